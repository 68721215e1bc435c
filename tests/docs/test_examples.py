"""What the pages tell the reader to type works, and prints what they say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import DOCS
from tests.docs.examples import Example, fits, in_page, run

ROOT = DOCS.parent
PAGES = [page for page in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]) if in_page(page.read_text("utf-8"))]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if (tmp_path / "gristmill-data").exists():
        subprocess.run([Path(sys.executable).parent / "gristmill", "down"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_examples_work(page: Path, folder: Path) -> None:
    for example in in_page(page.read_text("utf-8")):
        run(example, folder)


def test_page_example_is_found_only_when_it_is_marked() -> None:
    page = "```console\n$ a\n```\n\n<!-- tested -->\n```console\n$ b\nc\n```\n<!-- tested -->\n```python\nd\n```\n"

    assert in_page(page) == [Example(language="console", text="$ b\nc\n"), Example(language="python", text="d\n")]


def test_page_example_passes_when_its_commands_print_what_it_says(tmp_path: Path) -> None:
    run(Example(language="console", text="$ echo one > file\n$ cat file; \\\n  echo two\n...\ntwo\n"), tmp_path)
    run(Example(language="python", text="assert open('file').read() == 'one\\n'"), tmp_path)


@pytest.mark.parametrize(
    "example",
    [
        Example(language="console", text="$ echo one\ntwo\n"),
        Example(language="console", text="$ true\nmissing\n"),
        Example(language="console", text="$ no-such-command\n"),
        Example(language="python", text="raise SystemExit(1)"),
    ],
    ids=["other", "nothing", "unknown", "python"],
)
def test_page_example_fails_when_it_does_not_do_what_it_says(example: Example, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        run(example, tmp_path)


@pytest.mark.parametrize(
    ("expected", "actual", "fit"),
    [
        ("a ... c", "a b c", True),
        ("a ... c", "a\nc", False),
        ("a\n...\nc", "a\nc", True),
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a.c", "abc", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_page_example_output_may_leave_parts_open(expected: str, actual: str, *, fit: bool) -> None:
    assert fits(expected, actual) is fit
