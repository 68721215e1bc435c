"""``gristmill inspect``: what workers, queues and settings look like right now, under the words Celery users know."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.queues import queue_lengths
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
    from gristmill.tasks.model import TaskFilter, TaskState

    with invocation.app() as app:
        found = app.tasks.find(TaskFilter(states=[TaskState.PROCESSING]), limit=_MOST)
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
    """Show the tasks that are ready and wait for a free slot."""
    from gristmill.tasks.model import TaskFilter, TaskState

    with invocation.app() as app:
        found = app.tasks.find(TaskFilter(states=[TaskState.PENDING]), limit=_MOST)
    _tell_tasks(invocation, [task for task in found if task.due], {})


def _tell_tasks(invocation: Invocation, found: "list[Task]", workers: dict[str, str]) -> None:
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
    settings = invocation.settings()
    from gristmill.monitoring.presence import live_workers

    with invocation.app(settings) as app:
        workers = app.store.workers()
        alive = live_workers(workers, now=app.clock.now(), lease_seconds=settings.tasks.lease_seconds)
        counts = {state.value: count for state, count in app.tasks.counts().items()}
    living = {worker.id for worker in alive}
    described = [worker_json(worker, alive=worker.id in living) for worker in workers]
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
        found = queue_lengths(app)
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
