"""``gristmill images``: image datasets are built, images found by image, duplicates reported."""

import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import ROW_ID, command, family
from gristmill.cli.follow import worker_at_hand
from gristmill.cli.image_builds import Folders, described, find_folders, read_texts
from gristmill.cli.image_progress import follow_builds
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, duration
from gristmill.errors import InvalidInput, LimitExceeded
from gristmill.worker.attached import worker_listens

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.app.images import ImageHit, Region
    from gristmill.index.model import Document, Indexed
    from gristmill.steps.image.duplicates import DuplicateGroup
    from gristmill.tasks.model import Task

__all__ = ["images"]

_MOST_FAILURES_SHOWN = 20
_QUEUE = "images"
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


@command(
    parent=images,
    name="build",
    examples="""
    gristmill images build ~/pictures/mill ~/pictures/harbour
    gristmill images build dataset1 --local --force
    gristmill images build ~/pictures/mill --json
    """,
)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--local", is_flag=True, help="Compute on this machine alone, whatever engine is set up.")
@click.option("--force", is_flag=True, help="Embed again what has not changed, too.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end, or only queue the work.", show_default=True)
@click.option("--text/--no-text", default=True, help="Wait for the text in the images as well.", show_default=True)
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="9 is most urgent.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Batches at a time, if no worker is running yet.")
def build(
    invocation: Invocation,
    folders: tuple[str, ...],
    *,
    local: bool,
    force: bool,
    wait: bool,
    text: bool,
    priority: int,
    concurrency: int | None,
) -> int:
    """Bring image datasets up to date.

    A dataset is a folder of images, with the folders in it; its collection has the folder's name. What is new or
    changed is embedded, what is gone is removed, what is as it was is passed over. A name without a folder here is
    looked for in images.root. Works with the service up or without it: where no worker is running, one is started for
    as long as it takes. Text in the images is read afterwards, by workers that run already or by the one of this
    command. The first Ctrl-C cancels the work, the second leaves at once.
    """
    began = time.monotonic()
    with invocation.app() as app:
        found = find_folders(app, folders)
        tasks = [
            app.datasets.build(each.names, root=each.root, distributed=not local, force=force, priority=priority)
            for each in found
        ]
        mode = app.datasets.mode(distributed=not local, fresh=True)
        if mode.fault is not None:
            count = sum(len(each.names) for each in found)
            invocation.note("datasets_build_queued_locally", count=count, reason=mode.reason(invocation.language))
        listening = worker_listens(app, _QUEUE)
        if not wait:
            _tell_queued(invocation, found, tasks, listening=listening)
            return 0
        slots = concurrency or _cores(app)
        with worker_at_hand(invocation, app, _QUEUE, slots=slots) as see_to_workers:
            builds = follow_builds(invocation, app, [task.id for task in tasks], each_look=see_to_workers)
            seconds = time.monotonic() - began
            datasets = [one for built in builds for one in described(app, built, invocation.language)]
            _tell_built(invocation, datasets, seconds)
            read = read_texts(invocation, app, builds, each_look=see_to_workers if text and not listening else None)
    if read is not None and read["is_over"]:
        invocation.say("cli_text_read", **read)
    invocation.answer(
        {
            "datasets": datasets,
            "mode": mode.name,
            "reason": mode.reason(invocation.language),
            "seconds": round(seconds, 3),
            "text": read,
        }
    )
    return 1 if any(one["state"] != "completed" or one["failed"] for one in datasets) else 0


def _cores(app: "Gristmill") -> int:
    from gristmill.worker.foreground import cores

    return app.settings.workers.concurrency or cores()


def _tell_queued(invocation: Invocation, found: Sequence[Folders], tasks: "Sequence[Task]", *, listening: bool) -> None:
    for each, task in zip(found, tasks, strict=True):
        invocation.say("cli_images_queued", names=", ".join(each.names), task_id=task.id)
    if not listening:
        invocation.note("cli_no_worker")
    queued = [
        {"datasets": each.names, "task_id": task.id, "state": "queued"} for each, task in zip(found, tasks, strict=True)
    ]
    invocation.answer({"builds": queued, "worker_running": listening})


def _tell_built(invocation: Invocation, datasets: Sequence[dict[str, Any]], seconds: float) -> None:
    for one in datasets:
        invocation.write(one["message"])
        if one["removed"]:
            invocation.say("cli_images_removed", count=one["removed"])
        if one["error"] is not None:
            invocation.write(f"  {click.style(one['dataset'], fg='red')}: {one['error']['message']}")
    embedded = sum(one["embedded"] for one in datasets)
    if embedded:
        invocation.say(
            "cli_images_embedded", count=embedded, duration=duration(seconds), rate=f"{embedded / seconds:.1f}"
        )
    failed = [(f"{one['dataset']}/{line['name']}", line["error"]) for one in datasets for line in one["failures"]]
    if failed:
        invocation.say("cli_failed", count=len(failed))
    for name, error in failed[:_MOST_FAILURES_SHOWN]:
        invocation.write(f"  {click.style(name, fg='red')}: {error['message']}")
    if len(failed) > _MOST_FAILURES_SHOWN:
        invocation.say("cli_more", count=len(failed) - _MOST_FAILURES_SHOWN)


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
        (number if at == 0 else "", "keep" if at == 0 else "redundant", one["doc_id"], _pixels(one), one["size"], _path(one))
        for number, group in enumerate(groups, 1)
        for at, one in enumerate([group["keep"], *group["redundant"]])
    ]
    for line in columns(rows, head=("GROUP", "VERDICT", "ID", "SIZE", "BYTES", "FILE")):
        invocation.write(line)
    invocation.say(
        "cli_duplicates", groups=len(groups), count=len(redundant), bytes=f"{freed:,}", megabytes=f"{freed / 1e6:.1f}"
    )
    return 0
