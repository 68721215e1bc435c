"""What is said of a text without a model: true to it, in its language, and the same every time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.steps.enrich import describe

ENGLISH = """\
The upper weir was repaired in April 2024 by Miller Brown. The weir holds the water of the Upper Race back.
When the water rises above the mark, the miller closes the sluice gate. Because of this the mill never stood still."""
CHINESE = "水车在2023年5月修理。水车转动磨盘，磨盘研磨小麦。《磨坊手册》说明了水车的保养方法。"


def test_english_text_is_described_in_english() -> None:
    found = describe(ENGLISH, headings=("Mill", "Flood plan"))

    assert (found.language, found.title) == ("en", "Flood plan")
    assert {"weir", "water", "miller"} <= set(found.keywords)
    assert not {"the", "because", "was"} & set(found.keywords)
    assert {"Miller Brown", "Upper Race", "2024"} <= set(found.entities)
    assert "When" not in found.entities
    assert all(question.endswith("?") for question in found.questions)


def test_chinese_text_is_described_in_chinese() -> None:
    found = describe(CHINESE)

    assert (found.language, found.title) == ("zh", "水车在2023年5月修理。")
    assert found.keywords[:2] == ("水车", "磨盘")
    assert {"《磨坊手册》", "2023年5月"} <= set(found.entities)
    assert found.questions[0] == "关于“水车”，文中说了什么？"


@pytest.mark.parametrize("text", ["", " \n ", "12 34", "...", "# \n- \n"])
def test_text_without_words_has_nothing_said_of_it(text: str) -> None:
    found = describe(text)

    assert (found.keywords, found.questions, found.language) == ((), (), "und")


def test_long_text_has_a_short_summary_of_its_own_sentences() -> None:
    text = " ".join(f"Sentence {number} tells of the weir and the wheel." for number in range(100))

    found = describe(text)

    assert len(found.summary) <= 300
    assert found.summary.startswith("Sentence 0 ")
    assert all(sentence + "." in text for sentence in found.summary.rstrip(".").split(". "))


@given(st.text(max_size=400))
def test_any_text_is_described_within_bounds_and_alike(text: str) -> None:
    found = describe(text)

    assert found == describe(text)
    assert len(found.title) <= 80
    assert len(found.summary) <= 301
    assert len(found.keywords) <= 8
    assert len(found.entities) <= 12
