"""What a schedule is on the command line: the arguments of its task as they are typed, and how it is shown."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.views import error_json
from gristmill.clock import to_rfc3339

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.tasks.schedule import Schedule

__all__ = ["arguments_from", "schedule_json", "with_root"]


def arguments_from(payload: str | None) -> dict[str, Any]:
    """The arguments in ``payload``, which somebody typed as JSON."""
    try:
        arguments = json.loads(payload or "{}")
    except ValueError as error:
        raise click.BadParameter(f"{payload!r} is not JSON: {error}", param_hint="--payload") from error
    if not isinstance(arguments, dict):
        raise click.BadParameter(f'{payload!r} is not an object, as {{"doc_id": 1}}', param_hint="--payload")
    return arguments


def with_root(arguments: dict[str, Any]) -> dict[str, Any]:
    """A path as a worker needs it, whatever folder that runs in; its owner is the one who asks, and needs no root."""
    from gristmill.steps.paths import check_place
    from gristmill.steps.sources import check_url, is_url

    source = arguments.get("source")
    if not isinstance(source, str) or "root" in arguments:
        return arguments
    if is_url(source):
        check_url(source)
        return arguments
    place = os.path.realpath(Path(source).expanduser())
    real, root = check_place(place, [place if os.path.isdir(place) else str(Path(place).parent)])  # noqa: PTH112
    return {**arguments, "source": real, "root": root}


def schedule_json(app: "Gristmill", one: "Schedule", language: str) -> dict[str, Any]:
    """A schedule with its next ticks and how its latest task does."""
    from gristmill.tasks.secrets import masked
    from gristmill.tasks.ticks import Cron, Every

    rule = one.rule
    last = [] if one.last_task_id is None else app.store.get_many([one.last_task_id])
    return {
        "id": one.id,
        "name": one.name,
        "rule": f"every {rule.seconds} s" if isinstance(rule, Every) else f"{rule.expression} ({rule.timezone})",
        "cron": rule.expression if isinstance(rule, Cron) else None,
        "timezone": rule.timezone if isinstance(rule, Cron) else None,
        "every_seconds": rule.seconds if isinstance(rule, Every) else None,
        "kind": one.kind,
        "payload": masked(one.payload),
        "priority": one.priority,
        "collection": one.collection,
        "misfire": one.misfire.value,
        "overlap": one.overlap.value,
        "paused": one.paused,
        "next_ticks": [to_rfc3339(tick) for tick in app.schedules.upcoming(one)],
        "last_tick_at": to_rfc3339(one.last_tick_at),
        "last_run_at": to_rfc3339(one.last_run_at),
        "last_task_id": one.last_task_id,
        "last_task_state": last[0].state.value if last else None,
        "fired": one.fired,
        "skipped": one.skipped,
        "missed": one.missed,
        "error": None if one.error is None else error_json(one.error, language),
        "created_at": to_rfc3339(one.created_at),
        "updated_at": to_rfc3339(one.updated_at),
    }
