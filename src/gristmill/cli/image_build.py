"""``gristmill images build``: queues datasets and sees them through to the end."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command
from gristmill.cli.follow import worker_at_hand
from gristmill.cli.image_folders import Folders, find_folders
from gristmill.cli.image_outcomes import described, read_texts
from gristmill.cli.image_progress import follow_builds
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import duration
from gristmill.worker.attached import worker_listens

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.model import Task

__all__ = ["build"]

_MOST_FAILURES_SHOWN = 20
_QUEUE = "images"


@command(
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
            waits = text and not listening
            read = read_texts(invocation, app, builds, each_look=see_to_workers if waits else None, by_others=listening)
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
    embedded = sum(one["embedded"] + one["reused"] for one in datasets)
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
