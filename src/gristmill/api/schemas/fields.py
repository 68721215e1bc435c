"""The kinds of values that requests are made of, and the base of every model that is read from outside."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["Input", "Moment", "Output", "Priority", "RowId", "as_list", "micros"]

_LARGEST_ID = 2**63 - 1
_LOST_PLUS = re.compile(r"(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (\d\d:\d\d)$")
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


class Input(BaseModel):
    """Something a client sends; a field it does not have is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_known_fields(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for name in value:
                if name not in cls.model_fields:
                    known = ", ".join(cls.model_fields)
                    raise PydanticCustomError(
                        "field_unknown", "unknown field", {"field": str(name)[:80], "known": known}
                    )
        return value


class Output(BaseModel):
    """Something we answer with."""

    model_config = ConfigDict(frozen=True)


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("field_not_whole_number", "a boolean is no number")
    return value


RowId = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=_LARGEST_ID)]
"""The number of a row."""

Priority = Annotated[
    int, BeforeValidator(_no_boolean), Field(ge=0, le=9, description="0 to 9; 9 is most urgent.", examples=[5])
]


def as_list(value: Any) -> Any:
    """A list of what may be written as one item, as several, or with commas between them."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, list):
        return [item for entry in value for item in (as_list(entry) if isinstance(entry, str) else [entry])]
    return value


def _moment(value: Any) -> datetime:
    # A plus sign that was not escaped in a URL arrives as a space.
    text = _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else ""
    try:
        moment = datetime.fromisoformat(text) if _DATE_AND_TIME.match(text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PydanticCustomError("field_not_a_time", "not a time")
    return moment


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A time in RFC 3339 with a time zone."""


def micros(moment: datetime | None) -> int | None:
    """``moment`` as it is stored."""
    return None if moment is None else int(moment.timestamp() * 1_000_000)
