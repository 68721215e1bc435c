"""How every setting is called: in a file, in the environment, and in the programs Gristmill replaces.

Read off the model, so that a name cannot exist in one place and not in the other. Knows no values.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gristmill.settings.model import Settings

__all__ = [
    "LEAVES",
    "LEGACY",
    "OTHER_VARIABLES",
    "PREFIX",
    "Keys",
    "Leaf",
    "is_section",
    "leaf_at",
    "nearest_keys",
    "nearest_variable",
    "variable_of",
]

PREFIX = "GRISTMILL_"

Keys = tuple[str, ...]
"""The keys that lead to one setting, outermost first."""

_ANY = "*"
"""Stands in a path for a key the user chooses."""

OTHER_VARIABLES: Mapping[str, str] = {
    "GRISTMILL_CONFIG": "Settings file to read; `--config` wins over it.",
    "GRISTMILL_FAILPOINT": "For tests alone: where the program is to fail, and how.",
}
"""Variables with our prefix that are no settings."""

LEGACY: Mapping[str, Keys | None] = {
    "REDIS_URL": ("redis", "url"),
    "CELERY_BROKER_URL": ("redis", "url"),
    "REDIS_HOST": ("redis", "host"),
    "REDIS_PORT": ("redis", "port"),
    "REDIS_PASSWORD": ("redis", "password"),
    "REDIS_DB": ("redis", "db"),
    "WORKER_CONCURRENCY": ("workers", "concurrency"),
    "WORKER_COUNT": ("workers", "concurrency"),
    "WORKER_MAX_TASKS_PER_CHILD": ("workers", "max_tasks_per_slot"),
    "LOG_LEVEL": ("log", "level"),
    "CELERY_ENABLED": ("engine", "name"),
    "USE_CELERY": ("engine", "name"),
    "CELERY_RESULT_BACKEND": None,
    "FLOWER_PORT": ("flower", "port"),
    "FLOWER_BASIC_AUTH": ("flower", "basic_auth"),
}
"""Variables people already have, most telling first, with the setting each means; None: accepted, without effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One setting: where it stands and how the model declares it."""

    keys: Keys
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """Its name in messages and in prose."""
        return ".".join(self.keys)

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.keys)

    @property
    def many(self) -> bool:
        """Whether it holds a list."""
        return get_origin(self.field.annotation) is tuple

    def holds(self, wanted: type) -> bool:
        """Whether ``wanted`` is among the types it may hold, alone, optional or listed."""
        return wanted in _types_in(self.field.annotation)


def _types_in(annotation: Any) -> set[Any]:
    found = {annotation}
    for part in get_args(annotation):
        found |= _types_in(part)
    return found


def _walk(model: type[BaseModel], keys: Keys) -> Iterator[Leaf]:
    for name, field in model.model_fields.items():
        here = (*keys, name)
        inner = field.annotation
        if get_origin(inner) is dict:
            here, inner = (*here, _ANY), get_args(inner)[1]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _walk(inner, here)
        else:
            yield Leaf(keys=here, field=field)


LEAVES: Mapping[Keys, Leaf] = {leaf.keys: leaf for leaf in _walk(Settings, ())}
"""All settings in the order of the model; ``*`` stands for a key the user chooses, such as a task kind."""

_SECTIONS = frozenset(keys[:depth] for keys in LEAVES for depth in range(1, len(keys)))


def _matches(pattern: Keys, keys: Keys) -> bool:
    return len(pattern) == len(keys) and all(known in (_ANY, key) for known, key in zip(pattern, keys, strict=True))


def leaf_at(keys: Keys) -> Leaf | None:
    """The setting that ``keys`` lead to, if there is one."""
    return LEAVES.get(keys) or next((leaf for leaf in LEAVES.values() if _matches(leaf.keys, keys)), None)


def is_section(keys: Keys) -> bool:
    """Whether settings stand below ``keys``."""
    return any(_matches(section, keys) for section in _SECTIONS)


def variable_of(keys: Keys) -> str:
    """The environment variable of the setting that ``keys`` lead to."""
    return PREFIX + "__".join(keys).upper()


def nearest_variable(name: str) -> str | None:
    """The variable that the unknown ``name`` most likely means."""
    keys = tuple(name.removeprefix(PREFIX).lower().split("__"))
    known = [variable_of(candidate) for candidate in _resembling(LEAVES, keys)]
    # Compared without the prefix, which would make all of them look alike.
    found = _nearest(
        name.removeprefix(PREFIX).upper(), [full.removeprefix(PREFIX) for full in (*known, *OTHER_VARIABLES)]
    )
    return PREFIX + found if found else None


def nearest_keys(keys: Keys) -> str | None:
    """The setting or section, dotted, that the unknown ``keys`` most likely mean."""
    return _nearest(".".join(keys), [".".join(known) for known in _resembling((*LEAVES, *_SECTIONS), keys)])


def _nearest(name: str, known: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _resembling(known: Iterable[Keys], keys: Keys) -> Iterator[Keys]:
    """The known names, with the keys the user chose where the choice is theirs."""
    for candidate in known:
        filled = tuple(keys[at] if key == _ANY and at < len(keys) else key for at, key in enumerate(candidate))
        if _ANY not in filled:
            yield filled
