"""``gristmill images``: image datasets are built, images found by image, duplicates reported."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import ROW_ID, command, family
from gristmill.cli.image_build import build
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns
from gristmill.errors import InvalidInput, LimitExceeded

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.app.images import ImageHit, Region
    from gristmill.index.model import Document, Indexed
    from gristmill.steps.image.duplicates import DuplicateGroup

__all__ = ["images"]

_REGION = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", re.ASCII)

images = family(
    "images",
    summary="Build image datasets, find images by image, report duplicates.",
    examples="""
    gristmill images build ~/pictures/mill
    gristmill images search wheel.jpg
    gristmill images duplicates mill
    """,
)


images.add_command(build)


@command(
    parent=images,
    name="list",
    examples="""
    gristmill images list
    gristmill images list --json
    """,
)
def list_images(invocation: Invocation) -> None:
    """List the collections of images, and the datasets in images.root that were not built yet."""
    from gristmill.index.model import DocumentFilter, DocumentState

    with invocation.app() as app:
        built = {found.name: found for found in app.index.collections()}
        listed = []
        for name in sorted({*built, *app.datasets.names()}):
            collection = built.get(name)
            if collection is not None and not app.embedders.is_of_images(collection.space):
                continue
            where = DocumentFilter(collection=name, states=[DocumentState.FAILED])
            listed.append(
                {
                    "name": name,
                    "images": None if collection is None else collection.document_count,
                    "failed": None if collection is None else app.index.count_documents(where),
                    "embedder": None if collection is None else collection.space.embedder,
                }
            )
    invocation.answer({"datasets": listed})
    if not listed:
        invocation.say("no_images_yet")
        return
    rows = [["-" if value is None else value for value in line.values()] for line in listed]
    for line in columns(rows, head=("NAME", "IMAGES", "FAILED", "EMBEDDER")):
        invocation.write(line)


@command(
    parent=images,
    name="search",
    examples="""
    gristmill images search wheel.jpg
    gristmill images search wheel.jpg --region 40,60,200,150 --collection mill
    gristmill images search --id 12 --limit 3 --json
    """,
)
@click.argument("file", required=False, metavar="[PATH]")
@click.option("--id", "document_id", type=ROW_ID, help="In place of a file: the id of an image in the index.")
@click.option(
    "--collection",
    "-c",
    "collections",
    multiple=True,
    help="Collection to search, may be repeated; by default that of the id, else all that hold images.",
)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most hits to show.")
@click.option("--region", metavar="X,Y,W,H", help="Only this part of the image, in pixels from its upper left corner.")
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.0, help="Leave out images that are less alike.")
def search(
    invocation: Invocation,
    file: str | None,
    document_id: int | None,
    collections: tuple[str, ...],
    limit: int,
    region: str | None,
    min_score: float,
) -> int:
    """Find the images that are most like one, or like a part of it."""
    if (file is None) == (document_id is None):
        raise click.UsageError("Give either the path of an image or --id.")
    part = None if region is None else _region(region)
    options: dict[str, Any] = {"collections": collections, "limit": limit, "least_score": min_score, "region": part}
    with invocation.app() as app:
        if document_id is not None:
            page = app.images.like_document(document_id, **options)
        else:
            assert file is not None
            name, data = _read(app, file)
            page = app.images.like_upload(data, name=name, **options)
    query = {"file": file} if document_id is None else {"id": document_id}
    hits = [_hit_json(hit) for hit in page.hits]
    invocation.answer({"query": query, "collections": list(page.collections), "more": page.more, "hits": hits})
    if not hits:
        invocation.say("cli_no_images", names=", ".join(page.collections))
        return 0
    rows = [
        (
            f"{hit['score']:.3f}",
            hit["doc_id"],
            hit["name"],
            "/".join(hit["folders"]) or "-",
            _pixels(hit),
            hit["collection"],
        )
        for hit in hits
    ]
    for line in columns(rows, head=("SCORE", "ID", "NAME", "FOLDER", "SIZE", "COLLECTION")):
        invocation.write(line)
    return 0


def _region(given: str) -> "Region":
    from gristmill.app.images import Region

    found = _REGION.fullmatch(given)
    if found is None:
        raise InvalidInput("region_unreadable", field="region", value=given[:80])
    x, y, width, height = map(int, found.groups())
    return Region(x=x, y=y, width=width, height=height)


def _read(app: "Gristmill", file: str) -> tuple[str, bytes]:
    """The name and the bytes of an image; of one that is too large, none."""
    from gristmill.steps.paths import check_path

    path = Path(file).absolute()
    real, _ = check_path(str(path), [str(path.resolve().parent)])
    most = app.settings.sources.max_file_mb * 1024 * 1024
    with Path(real).open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise LimitExceeded("file_too_large", limit_bytes=most)
    return path.name, data


def _hit_json(hit: "ImageHit") -> dict[str, Any]:
    return {
        "score": round(hit.score, 6),
        **_image_json(hit.image),
        "collection": hit.collection,
        "folders": list(hit.hit.place.headings),
        "source": hit.hit.source,
        "text": hit.hit.text,
    }


def _image_json(image: "Indexed") -> dict[str, Any]:
    return {
        "doc_id": image.document_id,
        "name": image.name,
        "media_type": image.media_type,
        "width": image.metadata.get("width"),
        "height": image.metadata.get("height"),
        "size": image.size,
        "version": image.version,
    }


def _pixels(image: dict[str, Any]) -> str:
    return f"{image['width'] or '?'}x{image['height'] or '?'}"


@command(
    parent=images,
    name="duplicates",
    examples="""
    gristmill images duplicates mill
    gristmill images duplicates mill --distance 4 --json
    """,
)
@click.argument("collection")
@click.option("--distance", type=int, default=10, show_default=True, help="Bits of 256 in which copies may differ.")
def duplicates(invocation: Invocation, collection: str, *, distance: int) -> int:
    """Report copies in a collection: the same bytes, or pictures scaled, compressed again or coloured a little.

    Of each group the one to keep comes first: the most pixels, then the most bytes, then the oldest. Nothing is deleted.
    """
    with invocation.app() as app:
        found = app.images.duplicates(collection, distance=distance)
        documents = app.index.documents_by_id([member.document_id for group in found for member in group.members])
    groups = [_group_json(group, documents) for group in found]
    redundant = [one for group in groups for one in group["redundant"]]
    freed = sum(one["size"] or 0 for one in redundant)
    invocation.answer(
        {
            "collection": collection,
            "distance": distance,
            "groups": groups,
            "redundant": len(redundant),
            "freed_bytes": freed,
        }
    )
    if not groups:
        invocation.say("cli_no_duplicates", collection=collection)
        return 0
    rows = [
        (
            number if at == 0 else "",
            "keep" if at == 0 else "redundant",
            one["doc_id"],
            _pixels(one),
            one["size"],
            one["place"],
        )
        for number, group in enumerate(groups, 1)
        for at, one in enumerate([group["keep"], *group["redundant"]])
    ]
    for line in columns(rows, head=("GROUP", "VERDICT", "ID", "SIZE", "BYTES", "FILE")):
        invocation.write(line)
    invocation.say(
        "cli_duplicates", groups=len(groups), count=len(redundant), bytes=f"{freed:,}", megabytes=f"{freed / 1e6:.1f}"
    )
    return 0


def _group_json(group: "DuplicateGroup", documents: "Mapping[int, Document]") -> dict[str, Any]:
    keep, *redundant = (
        {**_image_json(member), **_where(documents.get(member.document_id))} for member in group.members
    )
    return {"exact": group.is_exact, "keep": keep, "redundant": redundant}


def _where(document: "Document | None") -> dict[str, Any]:
    """The file of an image, and its place in the dataset; one that was just deleted has none."""
    if document is None:
        return {"source": None, "place": "-"}
    place = PurePath(document.source)
    if document.root is not None and place.is_relative_to(document.root):
        place = place.relative_to(document.root)
    return {"source": document.source, "place": str(place)}
