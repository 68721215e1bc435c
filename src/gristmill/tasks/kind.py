"""What a task kind is, and how a stored payload becomes the value its handler works on."""

import dataclasses
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from gristmill.errors import InvalidInput
from gristmill.tasks.model import UNDECODABLE
from gristmill.tasks.retry import RetryPolicy

__all__ = ["Kind", "decode_payload", "fields_of", "first_missing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of task."""

    name: str
    payload: type
    queue: str = "default"
    soft_limit_seconds: float = 1500.0
    hard_limit_seconds: float = 1800.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


def decode_payload(kind: Kind, payload: Mapping[str, Any], *, unchecked: Collection[str] = ()) -> Any:
    """``payload`` as an instance of the kind's payload type; the values of ``unchecked`` fields are not known yet.

    Raises :class:`InvalidInput` that names the field that is unknown (``payload_field_unknown``), missing
    (``payload_field_missing``) or of the wrong type (``payload_field_type``); or ``payload_undecodable``.
    """
    if payload.keys() == {UNDECODABLE}:
        raise InvalidInput("payload_undecodable", kind=kind.name)
    hints, fields = _declared(kind.payload)
    for name in payload:
        if name not in fields:
            raise InvalidInput("payload_field_unknown", kind=kind.name, field=name, known=", ".join(fields))
    for name, declared in fields.items():
        if name not in payload:
            if declared.default is dataclasses.MISSING and declared.default_factory is dataclasses.MISSING:
                raise InvalidInput("payload_field_missing", kind=kind.name, field=name)
        elif name not in unchecked and not _fits(payload[name], hints[name]):
            expected = getattr(hints[name], "__name__", str(hints[name]))
            raise InvalidInput(
                "payload_field_type", kind=kind.name, field=name, value=repr(payload[name])[:80], expected=expected
            )
    return kind.payload(**payload)


def fields_of(kind: Kind) -> Sequence[str]:
    """The fields of the kind's payload, in their order."""
    return tuple(_declared(kind.payload)[1])


def first_missing(kind: Kind, payload: Mapping[str, Any]) -> str | None:
    """The first field that a payload of the kind needs and this one lacks."""
    for name, declared in _declared(kind.payload)[1].items():
        is_needed = declared.default is dataclasses.MISSING and declared.default_factory is dataclasses.MISSING
        if is_needed and name not in payload:
            return name
    return None


@cache
def _declared(payload: type) -> tuple[Mapping[str, Any], Mapping[str, dataclasses.Field[Any]]]:
    """Types and fields by name; every task passes here twice, and working them out costs more than the check."""
    return get_type_hints(payload), {f.name: f for f in dataclasses.fields(payload)}


def _fits(value: object, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if origin is list:
        (item,) = get_args(hint)
        return isinstance(value, list) and all(_fits(entry, item) for entry in value)
    if origin is dict:
        return isinstance(value, dict)
    if hint is float:
        # JSON has no form for infinity and NaN, although Python's reader accepts them, and no bound for integers.
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
