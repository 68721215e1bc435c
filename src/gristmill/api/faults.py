"""From what the models find wrong with a request to our own codes and facts: field, value and what would be right."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.messages import CATALOGUE

__all__ = ["Fault", "faults_of"]

_CODES: Mapping[str, str] = {
    "bool_parsing": "field_not_boolean",
    "bool_type": "field_not_boolean",
    "dict_type": "field_not_object",
    "enum": "field_not_a_choice",
    "extra_forbidden": "field_unknown",
    "finite_number": "field_not_number",
    "float_parsing": "field_not_number",
    "float_type": "field_not_number",
    "greater_than": "field_out_of_range",
    "greater_than_equal": "field_out_of_range",
    "int_from_float": "field_not_whole_number",
    "int_parsing": "field_not_whole_number",
    "int_parsing_size": "field_not_whole_number",
    "int_type": "field_not_whole_number",
    "less_than": "field_out_of_range",
    "less_than_equal": "field_out_of_range",
    "list_type": "field_not_list",
    "literal_error": "field_not_a_choice",
    "missing": "field_missing",
    "model_attributes_type": "field_not_object",
    "model_type": "field_not_object",
    "string_too_long": "field_too_long",
    "string_too_short": "field_too_short",
    "string_type": "field_not_text",
    "string_unicode": "field_not_text",
    "too_long": "field_too_long",
    "too_short": "field_too_short",
}

_SIGNS: Mapping[str, str] = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_PLACES = ("body", "cookie", "header", "path", "query")
_VALUE_CHARS = 80
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a request, as a code of the catalogue and its facts."""

    code: str
    facts: Mapping[str, object]


def faults_of(errors: Sequence[Any]) -> list[Fault]:
    """The first few of ``errors`` (pydantic's own form), in their order."""
    return [_fault(error) for error in errors[:_MOST_FAULTS]]


def _fault(error: Mapping[str, Any]) -> Fault:
    context: Mapping[str, Any] = error.get("ctx") or {}
    kind = error["type"]
    facts: dict[str, object] = {"field": _field(error["loc"]), "value": _shown(error.get("input"))}
    if kind in CATALOGUE:  # One of our own rules.
        inner = context.get("field")
        if kind == "field_unknown":
            del facts["value"]  # All that stands around the field.
        return Fault(code=kind, facts={**facts, **context, "field": _joined(facts["field"], inner)})
    code = _CODES.get(kind, "field_invalid")
    match code:
        case "field_missing":
            del facts["value"]
        case "field_not_a_choice":
            facts["choices"] = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        case "field_out_of_range":
            facts["range"] = ", ".join(f"{sign} {context[name]}" for name, sign in _SIGNS.items() if name in context)
        case "field_too_long":
            facts["maximum"] = context.get("max_length")
        case "field_too_short":
            facts["minimum"] = context.get("min_length")
        case "field_invalid":
            facts["reason"] = error["msg"]
    return Fault(code=code, facts=facts)


def _field(place: Sequence[str | int]) -> str:
    parts = place[1:] if place and place[0] in _PLACES else place
    if place and place[0] == "query":
        parts = parts[:1]  # A list is written in one piece there.
    return ".".join(map(str, parts)) or (str(place[0]) if place else "body")


def _joined(outer: object, inner: object) -> object:
    if inner is None or outer in _PLACES:
        return inner or outer
    return f"{outer}.{inner}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else reprlib.repr(value)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= _VALUE_CHARS else text[: _VALUE_CHARS - 1] + "…"
