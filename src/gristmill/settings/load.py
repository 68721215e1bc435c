"""Reads settings from flags, the environment and a file, in that order of precedence.

Every refusal names the setting the way its author wrote it. This is the only place that reads the environment.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gristmill.errors import InvalidInput
from gristmill.settings import names
from gristmill.settings.model import Settings

__all__ = ["load_settings"]

_FILE_NAME = "gristmill.toml"
_HIDDEN = "***"
_SWITCHES = {"CELERY_ENABLED", "USE_CELERY"}
_YES = {"1", "true", "yes", "on"}
_LEVELS = {"warn": "warning", "critical": "error", "fatal": "error"}
_REDIS_URL = re.compile(r"(rediss?|unix)://")
_SERVICE_LINK = re.compile(r"tcp://.*:(\d+)")

_WRONG_LENGTH = frozenset({"missing", "too_long"})
_RULES: Mapping[str, str] = {
    "int_parsing": "setting_not_whole_number",
    "int_parsing_size": "setting_not_whole_number",
    "int_from_float": "setting_not_whole_number",
    "int_type": "setting_not_whole_number",
    "float_parsing": "setting_not_number",
    "float_type": "setting_not_number",
    "finite_number": "setting_not_number",
    "greater_than": "setting_out_of_range",
    "greater_than_equal": "setting_out_of_range",
    "less_than": "setting_out_of_range",
    "less_than_equal": "setting_out_of_range",
    "literal_error": "setting_not_a_choice",
    "tuple_type": "setting_not_list",
}
"""Which message tells of which fault the model found; all others are faults of text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One value with the name its author gave it."""

    value: object
    name: str


_Layer = dict[names.Keys, _Entry]


def load_settings(
    *,
    config: Path | None = None,
    data: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force: ``overrides`` win over the environment, the environment over the file.

    ``data`` is an override too. An override of None counts as not given, and so does an empty variable. The file is
    ``config``, else ``GRISTMILL_CONFIG``, else ``gristmill.toml`` here, else the one in the data directory.
    Paths become absolute: those in a file start from its folder, all others from the current one.
    Raises :class:`InvalidInput` for a name that is no setting and for a value that breaks a rule.
    """
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    flags = _tree({**(overrides or {}), **({} if data is None else {"data": data})}, Path.cwd())
    variables = _variables(given)
    file = _file(config, given, variables | flags)
    return _settings((_read(file) if file else {}, _legacy(given), variables, flags))


def _file(config: Path | None, environ: Mapping[str, str], known: _Layer) -> Path | None:
    named = config or (Path(environ["GRISTMILL_CONFIG"]) if "GRISTMILL_CONFIG" in environ else None)
    if named is not None:
        file = named.expanduser()
        if not file.is_file():
            raise InvalidInput("settings_file_missing", file=str(named))
        return file
    data = known.get(("data",))
    folder = data.value if data else Settings.model_fields["data"].default
    return next((file for file in (Path(_FILE_NAME), Path(str(folder)) / _FILE_NAME) if file.is_file()), None)


def _read(file: Path) -> _Layer:
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("settings_file_invalid", file=file.name, reason=str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("settings_file_unreadable", file=file.name, reason=type(error).__name__) from error
    return _tree(tree, file.absolute().parent, suffix=f" ({file.name})")


def _tree(tree: Mapping[str, object], folder: Path, *, above: names.Keys = (), suffix: str = "") -> _Layer:
    layer: _Layer = {}
    for key, value in tree.items():
        keys = (*above, key)
        name = ".".join(keys) + suffix
        if value is None:
            continue
        if leaf := names.leaf_at(keys):
            layer[keys] = _Entry(value=_plain(leaf, value, folder), name=name)
        elif not names.is_section(keys):
            raise _unknown(name, names.nearest_keys(keys))
        elif isinstance(value, Mapping):
            layer |= _tree(value, folder, above=keys, suffix=suffix)
        else:
            raise InvalidInput("setting_is_section", field=name, section=".".join(keys))
    return layer


def _variables(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for name, value in environ.items():
        if not name.startswith(names.PREFIX) or name in names.OTHER_VARIABLES:
            continue
        keys = tuple(name.removeprefix(names.PREFIX).lower().split("__"))
        leaf = names.leaf_at(keys)
        if leaf is None or name != name.upper():
            raise _unknown(name, names.nearest_variable(name))
        layer[keys] = _Entry(value=_plain(leaf, value, Path.cwd()), name=name)
    return layer


def _legacy(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for name, keys in names.LEGACY.items():
        value = environ.get(name)
        if value is None or keys is None or keys in layer:
            continue
        if name == "CELERY_BROKER_URL" and not _REDIS_URL.match(value):
            continue  # Another broker than Redis says nothing about ours.
        if name in ("REDIS_PORT", "FLOWER_PORT") and (link := _SERVICE_LINK.fullmatch(value)):
            value = link[1]  # Kubernetes sets this form for every service called "redis" or "flower".
        if name in _SWITCHES:
            value = "celery" if value.strip().lower() in _YES else "local"
        if name == "LOG_LEVEL":
            value = _LEVELS.get(value.lower(), value)
        layer[keys] = _Entry(value=_plain(names.LEAVES[keys], value, Path.cwd()), name=name)
    return layer


def _unknown(name: str, near: str | None) -> InvalidInput:
    if near is None:
        return InvalidInput("setting_unknown", field=name)
    return InvalidInput("setting_unknown_near", field=name, near=near)


def _plain(leaf: names.Leaf, value: object, folder: Path) -> object:
    """``value`` in the form the model reads: a list where one is meant, paths that start from ``folder``."""
    if isinstance(value, str):
        value = value.strip()
        if leaf.many:
            value = _listed(value)
        elif value.lower() in _choices(leaf):
            value = value.lower()
    if isinstance(value, bool) and not leaf.holds(bool):
        return str(value).lower()  # Or else it would pass for the number 1 or 0.
    if leaf.holds(Path):
        if isinstance(value, list | tuple):
            return [_path(item, folder) for item in value]
        return _path(value, folder)
    return value


def _listed(text: str) -> object:
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [item.strip() for item in text.split(",") if item.strip()]


def _path(value: object, folder: Path) -> object:
    return folder / Path(value).expanduser() if isinstance(value, str | Path) else value


def _choices(leaf: names.Leaf) -> tuple[str, ...]:
    return get_args(leaf.field.annotation) if get_origin(leaf.field.annotation) is Literal else ()


def _settings(layers: tuple[_Layer, ...]) -> Settings:
    merged: _Layer = {("data",): _Entry(value=Path.cwd() / Settings.model_fields["data"].default, name="data")}
    for layer in layers:
        if ("redis", "host") in layer:
            merged.pop(("redis", "url"), None)  # The model prefers a URL; one from a weaker source must not win.
        merged |= layer
    tree: dict[str, Any] = {}
    for keys, entry in merged.items():
        inner = tree
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        inner[keys[-1]] = entry.value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        # Not chained: the model's own report repeats the values, secrets included.
        raise _refusal(error.errors(include_url=False)[0], merged) from None


def _refusal(fault: ErrorDetails, merged: _Layer) -> InvalidInput:
    keys = tuple(key for key in fault["loc"] if isinstance(key, str))
    leaf = names.leaf_at(keys)
    if leaf is None:  # A rule over several settings of a section: its facts are their values.
        facts = fault.get("ctx", {})
        written = {key: merged[*keys, key].name for key in facts if (*keys, key) in merged}
        fields = {f"{key}_field": written.get(key, ".".join((*keys, key))) for key in facts}
        return InvalidInput(fault["type"], **facts, **fields)
    value = _HIDDEN if leaf.holds(SecretStr) else str(fault["input"])[:80]
    facts = {"field": merged[keys].name, "value": value}
    if fault["type"] in _WRONG_LENGTH and leaf.many:
        return InvalidInput("setting_wrong_length", **facts, count=len(get_args(leaf.field.annotation)))
    match _RULES.get(fault["type"]):
        case None:
            return InvalidInput("setting_not_text", **facts)
        case "setting_not_list":
            return InvalidInput("setting_not_list", **facts)
        case "setting_not_a_choice":
            return InvalidInput("setting_not_a_choice", **facts, choices=", ".join(_choices(leaf)))
        case rule:
            return InvalidInput(rule, **facts, range=", ".join(_bounds(leaf)))


def _item_rules(leaf: names.Leaf) -> tuple[Any, ...]:
    """The rules for each value of a list of numbers."""
    rules = next((getattr(part, "__metadata__", ()) for part in get_args(leaf.field.annotation)), ())
    return tuple(each for rule in rules for each in getattr(rule, "metadata", ()))


def _bounds(leaf: names.Leaf) -> list[str]:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return [
        f"{sign} {getattr(rule, name)}"
        for rule in (*leaf.field.metadata, *_item_rules(leaf))
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
