"""The reference says what the code does: pages are current, and settings, messages and codes are complete."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import gristmill
from docs.generate import DOCS, pages
from gristmill import errors
from gristmill.messages import CATALOGUE, LANGUAGES
from gristmill.settings.names import LEAVES, Leaf

SOURCE = Path(gristmill.__file__).parent
PAGES = pages()
CARRIERS = frozenset({name for name in errors.__all__ if name[0].isupper()} | {"Notice", "PydanticCustomError"})
"""Classes whose first argument, or ``code``, is the code of a message."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if SOURCE / "messages" not in path.parents:
            yield path, ast.parse(path.read_text("utf-8"))


def literals(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from literals(body)
            yield from literals(orelse)


def raised(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", None))
        if name in CARRIERS:
            given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
            yield from ((node.lineno, code) for argument in given for code in literals(argument))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_reference_page_is_current(page: Path) -> None:
    assert page.exists(), "run `make docs`"
    assert page.read_text("utf-8") == PAGES[page], "run `make docs`"


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=lambda leaf: leaf.dotted)
def test_setting_has_a_description(leaf: Leaf) -> None:
    assert leaf.field.description
    assert leaf.field.description.endswith(".")


@pytest.mark.parametrize("code", CATALOGUE)
def test_message_exists_in_every_language_with_the_same_facts(code: str) -> None:
    texts = [getattr(CATALOGUE[code], language) for language in LANGUAGES]

    facts = [{name for _, name, _, _ in string.Formatter().parse(text) if name is not None} for text in texts]

    assert all(text.strip() for text in texts)
    assert facts == [facts[0]] * len(facts)


def test_code_that_is_raised_has_a_message() -> None:
    used = [(path.relative_to(SOURCE), line, code) for path, tree in modules() for line, code in raised(tree)]

    assert len(used) > 10
    assert [place for place in used if place[2] not in CATALOGUE] == []


def test_message_is_used_by_some_code() -> None:
    named = {
        node.value
        for _, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert sorted(set(CATALOGUE) - named) == []
