"""``gristmill search``: one page of hits, for eyes or for a program."""

import sys
from typing import TYPE_CHECKING

import click

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import hit_json

if TYPE_CHECKING:
    from gristmill.index.model import Fragment, Hit

__all__ = ["search"]


@command(
    examples="""
    gristmill search "how are lost tasks found again"
    gristmill search 队列 --collection handbook --mode keyword --limit 3
    gristmill search "retry policy" --name "*.pdf" --json
    """
)
@click.argument("query")
@click.option("--collection", "-c", default="default", show_default=True, help="Collection to search.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    default="hybrid",
    show_default=True,
    help="By meaning and words, by meaning alone, or by words alone.",
)
@click.option("--kind", type=click.Choice(["text", "image", "code"]), help="Only this kind of document.")
@click.option("--name", metavar="GLOB", help="Only documents whose name matches, such as '*.pdf'.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most hits to show.")
@click.option("--offset", type=click.IntRange(0, 1000), default=0, help="Hits to pass over.")
def search(
    invocation: Invocation,
    query: str,
    collection: str,
    mode: str,
    kind: str | None,
    name: str | None,
    limit: int,
    offset: int,
) -> int:
    """Search what was indexed. Works with the service up or without it."""
    settings = invocation.settings()
    from gristmill.index.model import DocumentFilter, Material, SearchMode

    with invocation.app(settings) as app:
        page = app.searcher.search(
            query,
            collection=collection,
            mode=SearchMode(mode),
            material=None if kind is None else Material(kind),
            where=DocumentFilter(name=name),
            limit=limit,
            offset=offset,
        )
    invocation.answer(
        {
            "query": query,
            "collection": page.collection,
            "mode": page.mode.value,
            "total": page.total,
            "more": page.more,
            "hits": [hit_json(hit) for hit in page.hits],
        }
    )
    if not page.hits:
        invocation.say("cli_no_hits", query=query, collection=collection)
    for rank, hit in enumerate(page.hits, offset + 1):
        _tell(invocation, rank, hit)
    return 0


def _tell(invocation: Invocation, rank: int, hit: "Hit") -> None:
    place = []
    if hit.place.part:
        place.append(hit.place.part)
    if hit.place.page is not None:
        place.append(invocation.text("cli_page", page=hit.place.page))
    if hit.place.headings:
        place.append(" › ".join(hit.place.headings))
    where = click.style(" · ".join(place), dim=True)
    score = click.style(f"{hit.score:.2f}", fg="cyan")
    invocation.write(f"{rank}. {click.style(hit.name, bold=True)}  {score}  {where}".rstrip())
    for fragment in hit.highlights:
        invocation.write(f"   {_marked(fragment)}")
    invocation.write()


def _marked(fragment: "Fragment") -> str:
    colored = sys.stdout.isatty()
    parts = []
    end = 0
    for start, stop in fragment.ranges:
        match = fragment.text[start:stop]
        # Where there is no colour, the match must show all the same.
        parts += [fragment.text[end:start], click.style(match, fg="yellow", bold=True) if colored else f"«{match}»"]
        end = stop
    return " ".join("".join([*parts, fragment.text[end:]]).split())
