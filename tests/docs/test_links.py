"""Links between the pages of the project lead somewhere."""

import re
from pathlib import Path

import pytest

from docs.generate import DOCS

ROOT = DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_to_what_exists(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text("utf-8"))]

    assert [target for target in targets if not (page.parent / target).exists()] == []
