"""``gristmill tasks``: look at tasks, follow them, stop them, try them again."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gristmill.cli.command import command, family
from gristmill.cli.follow import follow
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import STATE_COLORS, columns, duration, event_json, task_json, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from gristmill.app import Gristmill
    from gristmill.tasks.model import Event, Task, TaskFilter

__all__ = ["tasks"]

_STATES = ("pending", "processing", "completed", "failed", "cancelled")
_LOOK_SECONDS = 0.25

tasks = family(
    "tasks",
    summary="List, show, watch, cancel and retry tasks.",
    examples="""
    gristmill tasks list --state failed
    gristmill tasks retry --state failed --collection handbook
    """,
)


def _filters(function: "Callable[..., Any]") -> "Callable[..., Any]":
    for option in (
        click.option("--text", help="Only tasks with this in their payload or error."),
        click.option("--since", metavar="HOURS", type=click.FloatRange(0), help="Only tasks submitted in these hours."),
        click.option("--parent", metavar="TASK_ID", help="Only children of this task."),
        click.option("--collection", "-c", help="Only tasks of this collection."),
        click.option("--queue", multiple=True, help="Only this queue; may be repeated."),
        click.option("--kind", multiple=True, help="Only this kind; may be repeated."),
        click.option("--state", multiple=True, type=click.Choice(_STATES), help="Only this state; may be repeated."),
    ):
        function = option(function)
    return function


def _where(task_ids: tuple[str, ...] = (), **chosen: Any) -> "TaskFilter":
    from gristmill.tasks.model import TaskFilter, TaskState

    since = chosen["since"]
    after = None if since is None else datetime.now(UTC) - timedelta(hours=since)
    return TaskFilter(
        ids=task_ids,
        states=[TaskState(state) for state in chosen["state"]],
        kinds=chosen["kind"],
        queues=chosen["queue"],
        collection=chosen["collection"],
        parent_id=chosen["parent"],
        created_after=None if after is None else int(after.timestamp() * 1_000_000),
        text=chosen["text"],
    )


@command(
    parent=tasks,
    name="list",
    examples="""
    gristmill tasks list
    gristmill tasks list --state failed --kind index_document --limit 100 --json
    """,
)
@_filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most tasks to list.")
def list_tasks(invocation: Invocation, *, limit: int, **chosen: Any) -> None:
    """List tasks, newest first."""
    with invocation.app() as app:
        found = app.tasks.find(_where(**chosen), limit=limit)
    invocation.answer({"tasks": [task_json(task, invocation.language) for task in found]})
    if not found:
        invocation.say("cli_no_tasks")
        return
    rows = [
        (task.id, task.kind, _state(task), f"{task.progress.percent}%", task.priority, when(task.created_at))
        for task in found
    ]
    for line in columns(rows, head=("TASK", "KIND", "STATE", "DONE", "PRIORITY", "SUBMITTED")):
        invocation.write(line)


def _state(task: "Task") -> str:
    return click.style(task.state.value, fg=STATE_COLORS.get(task.state.value))


@command(
    parent=tasks,
    name="show",
    examples="""
    gristmill tasks show 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11
    gristmill tasks show 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11 --json
    """,
)
@click.argument("task_id")
def show_task(invocation: Invocation, task_id: str) -> None:
    """Show one task and what happened to it."""
    with invocation.app() as app:
        task = app.tasks.get(task_id)
        events = app.tasks.events(task_id)
    described = task_json(task, invocation.language)
    invocation.answer({**described, "events": [event_json(event) for event in events]})
    progress = task.progress
    lines = [
        ("task", f"{task.id}  #{task.number}"),
        ("kind", f"{task.kind}  ({task.queue}, {task.priority})"),
        ("state", _state(task)),
        (
            "progress",
            f"{progress.percent}%  {progress.stage} {progress.processed}/{progress.total or '?'} {progress.unit}",
        ),
        ("attempt", f"{task.attempt}/{task.max_attempts}"),
        ("payload", str(described["payload"])),
    ]
    if task.started_at and task.finished_at:
        lines.append(("took", duration((task.finished_at - task.started_at) / 1_000_000)))
    if task.result:
        lines.append(("result", str(dict(task.result))))
    if task.error is not None:
        lines.append(("error", click.style(task.error.message(invocation.language), fg="red")))
    for label, value in lines:
        invocation.write(f"{label:<9} {value}")
    for event in events:
        invocation.write(_event_line(event))


def _event_line(event: "Event") -> str:
    detail = " ".join(f"{key}={value}" for key, value in event.detail.items())
    return f"  {when(event.at)}  {event.name:<16} {detail}".rstrip()


@command(
    parent=tasks,
    name="watch",
    examples="""
    gristmill tasks watch 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11
    gristmill tasks watch --json
    """,
)
@click.argument("task_id", required=False)
def watch(invocation: Invocation, task_id: str | None) -> int:
    """Follow a task to its end, or all tasks until Ctrl-C.

    With --json, each event is a line. Exit code 1 if the task failed or was cancelled.
    """
    from gristmill.tasks.model import TaskState

    with invocation.app() as app:
        if task_id is None:
            _watch_all(invocation, app)
        task = app.tasks.get(task_id)
        if not invocation.json:
            task = follow(invocation, app, task, cancels=False)
        cursor = 0
        while True:
            final = app.tasks.get(task_id).state.is_final
            while events := app.store.events(task_id, after=cursor, limit=1000):
                cursor = events[-1].seq
                for event in events:
                    invocation.answer_line(event_json(event))
            if final:
                break
            time.sleep(_LOOK_SECONDS)
        task = app.tasks.get(task_id)
    invocation.write(f"{task.id}  {_state(task)}")
    if task.error is not None:
        invocation.write(task.error.message(invocation.language))
    return 0 if task.state is TaskState.COMPLETED else 1


def _watch_all(invocation: Invocation, app: "Gristmill") -> NoReturn:
    """Write down what happens from now on, until somebody has seen enough."""
    tail = app.store.tail()
    while True:
        while events := tail.read():
            for event in events:
                invocation.answer_line(event_json(event))
                invocation.write(f"{event.task_id}{_event_line(event)}")
        time.sleep(_LOOK_SECONDS)


def _chosen(task_ids: tuple[str, ...], **filters: Any) -> "TaskFilter":
    if not task_ids and not any(filters.values()):
        raise click.UsageError("Name the tasks by id, or choose them with options such as --state.")
    return _where(task_ids, **filters)


@command(
    parent=tasks,
    name="cancel",
    examples="""
    gristmill tasks cancel 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11
    gristmill tasks cancel --state pending --collection handbook
    """,
)
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@_filters
def cancel(invocation: Invocation, task_ids: tuple[str, ...], **filters: Any) -> None:
    """Ask tasks and their descendants to stop. Ended tasks stay as they are."""
    where = _chosen(task_ids, **filters)
    with invocation.app() as app:
        for task_id in task_ids:
            app.tasks.get(task_id)
        changed = app.tasks.cancel(where)
    invocation.say("cli_tasks_cancelled", count=changed)
    invocation.answer({"cancelled": changed})


@command(
    parent=tasks,
    name="retry",
    examples="""
    gristmill tasks retry 0199f2c1-7f0a-7c55-b1a5-2f6a4c0d9e11
    gristmill tasks retry --state failed --kind index_document
    """,
)
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@_filters
def retry(invocation: Invocation, task_ids: tuple[str, ...], **filters: Any) -> None:
    """Run failed and cancelled tasks again, from the beginning."""
    where = _chosen(task_ids, **filters)
    with invocation.app() as app:
        if len(task_ids) == 1:
            app.tasks.retry_one(task_ids[0])
            count = 1
        else:
            for task_id in task_ids:
                app.tasks.get(task_id)
            count = app.tasks.retry(where)
    invocation.say("cli_tasks_retried", count=count)
    invocation.answer({"retried": count})
