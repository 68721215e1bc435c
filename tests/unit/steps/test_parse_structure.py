"""Headings and tables of Markdown, and HTML written as Markdown."""

import pytest

from gristmill.steps.parse.markup import to_markdown
from gristmill.steps.parse.structure import structure_of


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("# One\ntext\n## Two ##\n", [(1, "One", 0), (2, "Two", 11)]),
        ("One\n===\n\nTwo\n---\n", [(1, "One", 0), (2, "Two", 9)]),
        ("```\n# no\n```\n# yes", [(1, "yes", 13)]),
        ("~~~~\n~~~\n# no\n~~~~\n# yes", [(1, "yes", 19)]),
        ("````md\n```\n# no\n````\n", []),
        ("#hashtag\n####### seven\n#\n", []),
        ("---\ntitle: x\n---\n", []),
        ("| a |\n| - |\n---\n", []),
        ("a\nb\n---\n", []),
        ("- item\n---\n", []),
        ("# **Bold** \\# sharp", [(1, "Bold** # sharp", 0)]),
        ("# 冬季粮食\n", [(1, "冬季粮食", 0)]),
        ("    # code\n", []),
    ],
)
def test_structure_finds_headings(text: str, headings: list[tuple[int, str, int]]) -> None:
    found = structure_of(text)

    assert [(heading.level, heading.title, heading.start) for heading in found.headings] == headings


def test_structure_finds_runs_of_rows_outside_fences() -> None:
    text = "x\n| a |\n| - |\n\n| lone |\n\n```\n| no |\n| no |\n```\n| b |\n| - |\n| 1 |"

    found = structure_of(text)

    assert [text[table.start : table.end] for table in found.tables] == ["| a |\n| - |", "| b |\n| - |\n| 1 |"]


@pytest.mark.parametrize(
    ("page", "markdown"),
    [
        ("<h2>A <b>b</b>\n c</h2><p>d<br>e</p>", "## A b c\n\nd\ne"),
        ("<ul><li>one<li>two<ol><li>in</ol></ul>after", "- one\n- two\n  1. in\n\nafter"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("<table><tr><th>a<th>b<tr><td>1<td>x|y</table>", "| a | b |\n| --- | --- |\n| 1 | x\\|y |"),
        ("<table><tr><td>only</td></tr></table>", "only"),
        ("<p>a</p><nav>menu</nav><script>if (a < b) {}</script><p>b</p>", "a\n\nb"),
        ("a <!-- <p>hidden</p> --> b", "a b"),
        ("1 < 2 &amp; 3 &gt; 2 &nbsp;ok", "1 < 2 & 3 > 2 ok"),
        ("<pre><code>x = 1\n# not a heading\n</code></pre>", "```\nx = 1\n# not a heading\n```"),
        ("<p># not a heading</p>", "\\# not a heading"),
        ("<nav>never closed <p>text", "never closed\n\ntext"),
        ("<p>text <unclosed", "text"),
        ('<a href="/x">link</a><img src="a.png">', "link"),
        ("<h1></h1><p>a</p>", "a"),
    ],
)
def test_markup_becomes_markdown(page: str, markdown: str) -> None:
    assert to_markdown(page) == markdown
