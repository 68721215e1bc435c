"""``gristmill inspect``: what workers, queues and settings look like right now, under the words Celery users know."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, duration, kind_json, task_json, when, worker_json

if TYPE_CHECKING:
    from gristmill.tasks.model import Task

__all__ = ["inspect"]

_MOST = 1000

inspect = family(
    "inspect",
    summary="Look at workers, queues, kinds and settings.",
    examples="""
    gristmill inspect active
    gristmill inspect queues --json
    """,
)


@command(
    parent=inspect,
    name="active",
    examples="""
    gristmill inspect active
    gristmill inspect active --json
    """,
)
def active(invocation: Invocation) -> None:
    """Show the tasks that are being worked on."""
    with invocation.app() as app:
        found = app.monitor.active(limit=_MOST)
        names = {worker.id: worker.name for worker in app.store.workers()}
    _tell_tasks(invocation, found, names)


@command(
    parent=inspect,
    name="reserved",
    examples="""
    gristmill inspect reserved
    gristmill inspect reserved --json
    """,
)
def reserved(invocation: Invocation) -> None:
    """Show the tasks that are ready and wait for a free slot, the most urgent first."""
    with invocation.app() as app:
        found = app.monitor.reserved(limit=_MOST)
    _tell_tasks(invocation, found, {})


@command(
    parent=inspect,
    name="scheduled",
    examples="""
    gristmill inspect scheduled
    gristmill inspect scheduled --json
    """,
)
def scheduled(invocation: Invocation) -> None:
    """Show the tasks that wait for their time, the nearest first."""
    with invocation.app() as app:
        found = app.monitor.scheduled(limit=_MOST)
    _tell_tasks(invocation, found, {})


def _tell_tasks(invocation: Invocation, found: "Sequence[Task]", workers: dict[str, str]) -> None:
    invocation.answer(
        {
            "tasks": [
                {**task_json(task, invocation.language), "worker": workers.get(task.worker_id or "")} for task in found
            ]
        }
    )
    if not found:
        invocation.say("cli_no_tasks")
        return
    rows = [
        (
            task.id,
            task.kind,
            f"{task.progress.stage} {task.progress.percent}%".strip(),
            when(task.started_at),
            workers.get(task.worker_id or "", "-"),
        )
        for task in found
    ]
    for line in columns(rows, head=("TASK", "KIND", "DONE", "STARTED", "WORKER")):
        invocation.write(line)


@command(
    parent=inspect,
    name="registered",
    examples="""
    gristmill inspect registered
    gristmill inspect registered --json
    """,
)
def registered(invocation: Invocation) -> None:
    """Show the task kinds with their queues and limits, as configured."""
    settings = invocation.settings()
    from gristmill.kinds import effective_kinds

    found = [kind_json(kind) for kind in effective_kinds(settings.tasks.kinds).values()]
    invocation.answer({"kinds": found})
    rows = [
        (
            kind["kind"],
            kind["queue"],
            duration(kind["soft_limit_seconds"]),
            duration(kind["hard_limit_seconds"]),
            kind["max_attempts"],
        )
        for kind in found
    ]
    for line in columns(rows, head=("KIND", "QUEUE", "SOFT LIMIT", "HARD LIMIT", "ATTEMPTS")):
        invocation.write(line)


@command(
    parent=inspect,
    name="stats",
    examples="""
    gristmill inspect stats
    gristmill inspect stats --json
    """,
)
def stats(invocation: Invocation) -> None:
    """Show the workers and how many tasks are in which state."""
    with invocation.app() as app:
        described = [worker_json(seen.worker, alive=seen.alive) for seen in app.monitor.workers()]
        counts = {state.value: count for state, count in app.monitor.counts().items()}
    invocation.answer({"workers": described, "tasks": counts})
    rows = [
        (
            worker["name"],
            click.style("alive", fg="green") if worker["alive"] else click.style("lost", fg="red"),
            worker["slots"],
            ",".join(worker["queues"]),
        )
        for worker in described
    ]
    if rows:
        for line in columns(rows, head=("WORKER", "STATE", "SLOTS", "QUEUES")):
            invocation.write(line)
    else:
        invocation.say("cli_no_worker")
    for state, count in counts.items():
        invocation.write(f"{state:<11} {count}")


@command(
    parent=inspect,
    name="queues",
    examples="""
    gristmill inspect queues
    gristmill inspect queues --json
    """,
)
def queues(invocation: Invocation) -> None:
    """Show how long the queues are and how long their oldest task has waited."""
    with invocation.app() as app:
        found = app.monitor.queues()
    invocation.answer({"queues": [asdict(queue) for queue in found]})
    rows = [
        (
            queue.queue,
            queue.waiting,
            queue.scheduled,
            queue.active,
            "-" if queue.oldest_seconds is None else duration(queue.oldest_seconds),
        )
        for queue in found
    ]
    for line in columns(rows, head=("QUEUE", "WAITING", "SCHEDULED", "ACTIVE", "OLDEST")):
        invocation.write(line)


@command(
    parent=inspect,
    name="purge",
    examples="""
    gristmill inspect purge documents
    gristmill inspect purge documents --yes --json
    """,
)
@click.argument("queue")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(invocation: Invocation, *, queue: str, yes: bool) -> int:
    """Cancel every task that waits in QUEUE.

    What runs goes on, and what was cancelled can be run again: `gristmill tasks retry`. Exit code 1 if the answer
    was no.
    """
    from gristmill.errors import InvalidInput

    with invocation.app() as app:
        waiting = {length.queue: length.waiting + length.scheduled for length in app.monitor.queues()}.get(queue, 0)
        if waiting and not yes:
            if invocation.json or not sys.stdin.isatty():
                raise InvalidInput("cli_purge_needs_yes", queue=queue, count=waiting)
            if not click.confirm(invocation.text("cli_purge_confirm", queue=queue, count=waiting)):
                invocation.say("cli_purge_left")
                return 1
        count = app.monitor.purge(queue)
    invocation.answer({"queue": queue, "cancelled": count})
    invocation.say("queue_purged", queue=queue, count=count)
    return 0


@command(
    parent=inspect,
    name="conf",
    examples="""
    gristmill inspect conf
    gristmill inspect conf --json
    """,
)
def conf(invocation: Invocation) -> None:
    """Show the settings in force; secrets are masked."""
    described = masked(invocation.settings().model_dump(mode="json"))
    invocation.answer(described)
    for name, value in _flat(described, ""):
        invocation.write(f"{name} = {value}")


def masked(tree: dict[str, Any]) -> dict[str, Any]:
    """``tree`` without the passwords inside URLs; fields that are secret as a whole are masked by their type."""
    from urllib.parse import urlsplit

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, str) and "://" in value and (secret := urlsplit(value).password):
            return value.replace(f":{secret}@", ":***@", 1)
        return value

    return {key: plain(value) for key, value in tree.items()}


def _flat(tree: dict[str, Any], above: str) -> list[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            lines += _flat(value, f"{above}{key}.")
        else:
            lines.append((above + key, value))
    return lines
