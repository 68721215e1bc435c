"""``gristmill schedule``: make tasks recur, look at what recurs, change it, pause it and run it now."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command, family
from gristmill.cli.follow import work_through
from gristmill.cli.invocation import Invocation
from gristmill.cli.scheduled import arguments_from, schedule_json, with_root
from gristmill.cli.views import columns, task_json, when

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gristmill.app import Gristmill
    from gristmill.tasks.schedule import Schedule

__all__ = ["schedule"]
_SETTLE_SECONDS = 1.0
"""A file that was written to so lately may not be whole; the next tick finds it."""

schedule = family(
    "schedule",
    summary="Make tasks recur: add, edit, list, show, pause, resume, run and remove schedules.",
    examples="""
    gristmill schedule add nightly --cron "0 3 * * *" --tz Europe/Berlin --index ~/handbook --collection handbook
    gristmill schedule list
    gristmill schedule run nightly
    """,
)


@command(
    parent=schedule,
    name="add",
    examples="""
    gristmill schedule add nightly --cron "0 3 * * *" --tz Europe/Berlin --index ~/handbook --prune
    gristmill schedule add news --every 15m --index https://example.com/news.html --collection news
    gristmill schedule add tidy --cron @weekly --kind clean_up
    gristmill schedule add again --every 1d --kind batch_index --payload '{"doc_ids": [1, 2], "force": true}'
    """,
)
@click.argument("name")
@click.option("--cron", metavar="RULE", help="Five fields, or @hourly, @daily, @weekly, @monthly, @yearly.")
@click.option("--every", metavar="INTERVAL", help="Instead of --cron: seconds, or 90s, 15m, 2h, 1d.")
@click.option("--tz", "timezone", metavar="ZONE", help="Whose clocks --cron is about  [default: the settings', UTC].")
@click.option("--index", "source", metavar="PATH_OR_URL", help="Index a folder, a file or a URL: what changed since.")
@click.option("--collection", "-c", help="Collection to index into, or to file the tasks under.")
@click.option("--force", is_flag=True, help="With --index: index again what has not changed, too.")
@click.option("--prune", is_flag=True, help="With --index: remove documents whose files are gone.")
@click.option("--kind", help="Instead of --index: the kind of task to submit.")
@click.option("--payload", metavar="JSON", help="With --kind: its arguments.")
@click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="9 is most urgent.")
@click.option(
    "--misfire",
    type=click.Choice(("once", "all", "skip")),
    default="once",
    show_default=True,
    help="What becomes of ticks while nobody looked: one task for all, one for each, none.",
)
@click.option(
    "--overlap",
    type=click.Choice(("skip", "allow")),
    default="skip",
    show_default=True,
    help="Whether a tick is skipped while the task before has not ended.",
)
@click.option("--paused", is_flag=True, help="Let it wait until it is resumed.")
def add_schedule(
    invocation: Invocation,
    /,
    name: str,
    *,
    source: str | None,
    kind: str | None,
    payload: str | None,
    force: bool,
    prune: bool,
    misfire: str,
    overlap: str,
    **given: Any,
) -> None:
    """Make a schedule. Its first tick is the next that its rule has from now on."""
    from gristmill.tasks.schedule import Misfire, Overlap

    if (source is None) == (kind is None):
        raise click.UsageError("Give exactly one of --index and --kind.")
    if source is None and (force or prune):
        raise click.UsageError("--force and --prune go with --index.")
    if source is not None and payload is not None:
        raise click.UsageError("--payload goes with --kind.")
    arguments = arguments_from(payload)
    if source is not None:
        kind = "index_source"
        arguments = {"source": source, "force": force, "prune": prune, "settle_seconds": _SETTLE_SECONDS}
        if given["collection"] is not None:
            arguments["collection"] = given["collection"]
    with invocation.app() as app:
        made = app.schedules.add(
            name,
            kind=kind or "",
            payload=with_root(arguments),
            misfire=Misfire(misfire),
            overlap=Overlap(overlap),
            **given,
        )
        described = schedule_json(app, made, invocation.language)
        is_looked_at = bool(app.monitor.live_workers())
    invocation.answer(described)
    invocation.say("cli_schedule_added", name=name, next=when(made.next_tick_at))
    if not is_looked_at:
        invocation.note("cli_no_scheduler")


@command(
    parent=schedule,
    name="edit",
    examples="""
    gristmill schedule edit nightly --cron "0 4 * * *"
    gristmill schedule edit nightly --index ~/papers --no-prune --name papers
    gristmill schedule edit again --payload '{"doc_ids": [3], "force": true}'
    """,
)
@click.argument("named", metavar="NAME")
@click.option("--name", help="What it is called from now on.")
@click.option("--cron", metavar="RULE", help="Five fields, or @hourly, @daily, @weekly, @monthly, @yearly.")
@click.option("--every", metavar="INTERVAL", help="Instead of --cron: seconds, or 90s, 15m, 2h, 1d.")
@click.option("--tz", "timezone", metavar="ZONE", help="Whose clocks the cron rule is about.")
@click.option("--index", "source", metavar="PATH_OR_URL", help="Index this folder, file or URL from now on.")
@click.option("--collection", "-c", help="Collection to index into, or to file the tasks under.")
@click.option("--force/--no-force", default=None, help="When it indexes: again what has not changed, too.")
@click.option("--prune/--no-prune", default=None, help="When it indexes: remove documents whose files are gone.")
@click.option("--kind", help="Instead of --index: the kind of task to submit.")
@click.option("--payload", metavar="JSON", help="All arguments of its task, instead of those it has.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 is most urgent.")
@click.option(
    "--misfire",
    type=click.Choice(("once", "all", "skip")),
    help="What becomes of ticks while nobody looked: one task for all, one for each, none.",
)
@click.option(
    "--overlap",
    type=click.Choice(("skip", "allow")),
    help="Whether a tick is skipped while the task before has not ended.",
)
def edit_schedule(
    invocation: Invocation,
    /,
    named: str,
    *,
    source: str | None,
    force: bool | None,
    prune: bool | None,
    payload: str | None,
    **given: Any,
) -> None:
    """Change what is given of a schedule, by name or id; the rest stays.

    With another rule or time zone, the next tick is the first of it from now on.
    """
    changes = {field: value for field, value in given.items() if value is not None}
    indexing = {
        field: value for field, value in (("source", source), ("force", force), ("prune", prune)) if value is not None
    }
    if indexing and (payload is not None or "kind" in changes):
        raise click.UsageError("--index, --force and --prune go with neither --kind nor --payload.")
    if not changes and not indexing and payload is None:
        raise click.UsageError("Give what is to be different, such as --every 2h.")
    arguments = None if payload is None else arguments_from(payload)
    with invocation.app() as app:
        found = app.schedules.get(named)
        changes |= _with_choices(changes) | _work(app, found, changes, indexing, arguments)
        changed = app.schedules.change(found.id, changes)
        described = schedule_json(app, changed, invocation.language)
    invocation.answer(described)
    invocation.say("schedule_changed", name=changed.name)


def _with_choices(changes: "Mapping[str, Any]") -> dict[str, Any]:
    from gristmill.tasks.schedule import Misfire, Overlap

    choices = {"misfire": Misfire, "overlap": Overlap}
    return {field: kinds(changes[field]) for field, kinds in choices.items() if field in changes}


def _work(
    app: "Gristmill",
    found: "Schedule",
    changes: "Mapping[str, Any]",
    indexing: "Mapping[str, Any]",
    arguments: "Mapping[str, Any] | None",
) -> dict[str, Any]:
    """The kind and the arguments of the task of ``found``, if the arguments are to be different."""
    from gristmill.tasks.secrets import opened

    kind = "index_source" if "source" in indexing else changes.get("kind", found.kind)
    if indexing and kind != "index_source":
        raise click.UsageError(f"{found.name} does not index but submits {kind}. Give --index as well.")
    if kind == "index_source" and "collection" in changes:
        indexing = {**indexing, "collection": changes["collection"]}
    if arguments is None and not indexing:
        return {}
    if arguments is None:
        arguments = opened(app.kinds[kind], found.payload, app.vault) if found.kind == kind else {}
    if "source" in indexing:
        # The root was that of the place before.
        kept = {field: value for field, value in arguments.items() if field != "root"}
        arguments = {"settle_seconds": _SETTLE_SECONDS, **kept}
    return {"kind": kind, "payload": with_root({**arguments, **indexing})}


@command(
    parent=schedule,
    name="list",
    examples="""
    gristmill schedule list
    gristmill schedule list --json
    """,
)
def list_schedules(invocation: Invocation) -> None:
    """List all schedules."""
    with invocation.app() as app:
        found = app.schedules.all()
        described = [schedule_json(app, one, invocation.language) for one in found]
    invocation.answer({"schedules": described})
    if not found:
        invocation.say("cli_no_schedules")
        return
    rows = [
        (
            one.name,
            shown["rule"],
            one.kind,
            "paused" if one.paused else when(one.next_tick_at),
            when(one.last_run_at),
            shown["last_task_state"] or "-",
            f"{one.fired}/{one.skipped}/{one.missed}",
        )
        for one, shown in zip(found, described, strict=True)
    ]
    for line in columns(rows, head=("NAME", "RULE", "KIND", "NEXT", "LAST", "STATE", "FIRED/SKIPPED/MISSED")):
        invocation.write(line)


@command(
    parent=schedule,
    name="show",
    examples="""
    gristmill schedule show nightly
    gristmill schedule show nightly --json
    """,
)
@click.argument("name")
def show_schedule(invocation: Invocation, name: str) -> None:
    """Show one schedule, by name or id, with its next five ticks."""
    with invocation.app() as app:
        found = app.schedules.get(name)
        ticks = app.schedules.upcoming(found)
        described = schedule_json(app, found, invocation.language)
    invocation.answer(described)
    error = described["error"]
    lines = [
        ("schedule", f"{found.name}  {found.id}"),
        ("rule", described["rule"]),
        ("task", f"{found.kind}  {json.dumps(described['payload'], ensure_ascii=False)}"),
        ("misfire", found.misfire.value),
        ("overlap", found.overlap.value),
        ("ticks", f"{found.fired} fired, {found.skipped} skipped, {found.missed} missed"),
        ("last tick", when(found.last_tick_at)),
        ("last task", f"{found.last_task_id or '-'}  {described['last_task_state'] or ''}".rstrip()),
        ("next", "paused" if found.paused else ""),
    ]
    for label, value in lines:
        invocation.write(f"{label:<10} {value}".rstrip())
    for tick in ticks:
        invocation.write(f"  {when(tick)}")
    if error is not None:
        invocation.write(f"{'error':<10} {click.style(error['message'], fg='red')}")


@command(
    parent=schedule,
    name="pause",
    examples="""
    gristmill schedule pause nightly
    """,
)
@click.argument("name")
def pause_schedule(invocation: Invocation, name: str) -> None:
    """Let a schedule tick no more, until it is resumed."""
    with invocation.app() as app:
        paused = app.schedules.pause(name)
        invocation.answer(schedule_json(app, paused, invocation.language))
    invocation.say("schedule_paused", name=paused.name)


@command(
    parent=schedule,
    name="resume",
    examples="""
    gristmill schedule resume nightly
    """,
)
@click.argument("name")
def resume_schedule(invocation: Invocation, name: str) -> None:
    """Let a schedule tick again. What it would have done in between is not made up for."""
    with invocation.app() as app:
        resumed = app.schedules.resume(name)
        invocation.answer(schedule_json(app, resumed, invocation.language))
    invocation.say("schedule_resumed", name=resumed.name)


@command(
    parent=schedule,
    name="run",
    examples="""
    gristmill schedule run nightly
    gristmill schedule run nightly --wait
    """,
)
@click.argument("name")
@click.option("--wait/--no-wait", default=False, help="Wait for the end, or only queue the work.", show_default=True)
def run_schedule(invocation: Invocation, name: str, *, wait: bool) -> int:
    """Submit the task of a schedule now, paused or not; its ticks stay as they are."""
    with invocation.app() as app:
        task = app.schedules.run(name)
        if wait:
            task = work_through(invocation, app, task, slots=1)
    invocation.answer(task_json(task, invocation.language))
    if not wait:
        invocation.say("cli_task_queued", task_id=task.id)
        return 0
    if task.state.value == "completed":
        invocation.write(json.dumps(dict(task.result or {}), ensure_ascii=False))
        return 0
    reason = task.error.message(invocation.language) if task.error else task.state.value
    invocation.note("cli_task_ended_badly", task_id=task.id, reason=reason)
    return 1


@command(
    parent=schedule,
    name="remove",
    examples="""
    gristmill schedule remove nightly
    gristmill schedule remove nightly --yes --json
    """,
)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
def remove_schedule(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Forget a schedule; the tasks that it submitted stay."""
    with invocation.app() as app:
        found = app.schedules.get(name)
        if not yes:
            if invocation.json or not sys.stdin.isatty():
                raise click.UsageError("Removing a schedule needs --yes where nobody can be asked.")
            click.confirm(invocation.text("cli_ask_schedule_remove", name=found.name), abort=True, err=True)
        described = schedule_json(app, app.schedules.remove(found.id), invocation.language)
    invocation.answer(described)
    invocation.say("schedule_deleted", name=found.name)
