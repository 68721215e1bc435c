from dataclasses import dataclass, field
from typing import Any

import pytest

from gristmill.errors import InvalidInput
from gristmill.tasks.kind import Kind, decode_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    needed: int
    text: str = ""
    ratio: float = 0.0
    flag: bool = False
    maybe: str | None = None
    numbers: list[int] = field(default_factory=list)


KIND = Kind(name="everything", payload=Everything)


def test_payload_becomes_its_type_with_defaults() -> None:
    assert decode_payload(KIND, {"needed": 1}) == Everything(needed=1)
    assert decode_payload(
        KIND, {"needed": 1, "text": "文", "ratio": 2, "flag": True, "maybe": None, "numbers": [1]}
    ) == (Everything(needed=1, text="文", ratio=2, flag=True, maybe=None, numbers=[1]))


@pytest.mark.parametrize(
    ("payload", "code", "named"),
    [
        ({}, "payload_field_missing", "needed"),
        ({"needed": 1, "extra": 2}, "payload_field_unknown", "extra"),
        ({"needed": "1"}, "payload_field_type", "needed"),
        ({"needed": True}, "payload_field_type", "needed"),
        ({"needed": 1.0}, "payload_field_type", "needed"),
        ({"needed": None}, "payload_field_type", "needed"),
        ({"needed": 1, "text": 1}, "payload_field_type", "text"),
        ({"needed": 1, "text": None}, "payload_field_type", "text"),
        ({"needed": 1, "ratio": "x"}, "payload_field_type", "ratio"),
        ({"needed": 1, "ratio": True}, "payload_field_type", "ratio"),
        ({"needed": 1, "ratio": float("nan")}, "payload_field_type", "ratio"),
        ({"needed": 1, "ratio": float("-inf")}, "payload_field_type", "ratio"),
        ({"needed": 1, "ratio": 10**400}, "payload_field_type", "ratio"),
        ({"needed": 1, "flag": 1}, "payload_field_type", "flag"),
        ({"needed": 1, "maybe": 1}, "payload_field_type", "maybe"),
        ({"needed": 1, "numbers": 1}, "payload_field_type", "numbers"),
        ({"needed": 1, "numbers": [1, "2"]}, "payload_field_type", "numbers"),
        ({"needed": 1, "numbers": [None]}, "payload_field_type", "numbers"),
    ],
)
def test_payload_that_does_not_fit_is_refused_by_the_name_of_its_field(
    payload: dict[str, Any], code: str, named: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_payload(KIND, payload)

    assert (caught.value.code, caught.value.facts["field"]) == (code, named)
    assert "everything" in caught.value.message("en")
    assert "everything" in caught.value.message("zh")


def test_payload_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_payload(KIND, {"needed": "x" * 10_000})

    assert len(str(caught.value.facts["value"])) <= 80
