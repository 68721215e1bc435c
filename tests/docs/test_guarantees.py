"""Every promise of docs/guarantees.md has its proof, and every place to fail is told of."""

import ast
import re
from pathlib import Path

import pytest

from docs.generate import DOCS
from gristmill.failpoints import DEEDS, NAMES

PAGE = DOCS / "guarantees.md"
TEXT = PAGE.read_text("utf-8")
PROOF = re.compile(r"\[`(test_\w+)`\]\(([^)]+\.py)\)")
HEADS = ("| We guarantee |", "| We promise |", "| Place |", "| --- |")
FAULTS = [line for line in TEXT.splitlines() if line.count(" | ") == 3 and not any(head in line for head in HEADS)]
PROMISES = [line for line in TEXT.splitlines() if re.match(r"\| \d+\. ", line)]


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("name", "file"), sorted(set(PROOF.findall(TEXT))), ids=str)
def test_proof_of_a_guarantee_exists(name: str, file: str) -> None:
    assert name in functions_of(PAGE.parent / file)


@pytest.mark.parametrize("line", [*PROMISES, *FAULTS], ids=lambda line: line[2:40])
def test_guarantee_names_its_proof(line: str) -> None:
    assert PROOF.search(line.rpartition(" | ")[2])


def test_page_has_its_promises_and_faults() -> None:
    assert [int(line[2:].partition(".")[0]) for line in PROMISES] == list(range(1, 9))
    assert len(FAULTS) > 20


def test_every_fault_that_is_tested_is_on_the_page() -> None:
    files = {file.name for file in (DOCS.parent / "tests" / "faults").glob("test_*.py")}

    assert files - {Path(file).name for _, file in PROOF.findall(TEXT)} <= {"test_history.py"}


@pytest.mark.parametrize("name", NAMES)
def test_failpoint_is_on_the_page_with_its_meaning(name: str) -> None:
    assert f"| `{name}` | {NAMES[name]} |" in TEXT


@pytest.mark.parametrize("deed", DEEDS)
def test_deed_of_a_failpoint_is_on_the_page(deed: str) -> None:
    assert f"`{deed}`" in TEXT
