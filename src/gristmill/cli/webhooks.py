"""``gristmill webhooks``: have the ends of tasks posted to an address, try it, look at what was posted, post it again."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command, family
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import columns, error_json, when
from gristmill.clock import to_rfc3339
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.db.deliveries import Delivery
    from gristmill.db.webhooks import StoredWebhook

__all__ = ["webhooks"]

_ENDS = ("completed", "failed", "cancelled")
_COLORS = {"delivered": "green", "failed": "red"}
_LENGTHS = {"url": (1, 2000), "secret": (16, 200)}
"""As the API has them: what is set up here can be sent to it unchanged."""

webhooks = family(
    "webhooks",
    summary="List, add, try and remove webhooks; look at deliveries and replay them.",
    examples="""
    gristmill webhooks add https://desk.example/hooks/mill --state failed
    gristmill webhooks list
    gristmill webhooks deliveries 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10 --state failed
    """,
)


@command(
    parent=webhooks,
    name="list",
    examples="""
    gristmill webhooks list
    gristmill webhooks list --json
    """,
)
def list_webhooks(invocation: Invocation) -> None:
    """List all webhooks, oldest first; of an address, the query is not shown."""
    with invocation.app() as app:
        found = app.webhooks.all()
    invocation.answer({"webhooks": [_webhook_json(one) for one in found]})
    if not found:
        invocation.say("cli_no_webhooks")
        return
    rows = [
        (
            one.id,
            "on" if one.active else "off",
            one.failures,
            ",".join(state.value for state in one.wants.states),
            ",".join(one.wants.kinds) or "-",
            ",".join(one.wants.queues) or "-",
            one.wants.collection or "-",
            one.address,
        )
        for one in found
    ]
    head = ("WEBHOOK", "ACTIVE", "FAILURES", "STATES", "KINDS", "QUEUES", "COLLECTION", "URL")
    for line in columns(rows, head=head):
        invocation.write(line)


@command(
    parent=webhooks,
    name="add",
    examples="""
    gristmill webhooks add https://desk.example/hooks/mill
    gristmill webhooks add https://desk.example/hooks/mill --state failed --kind batch_index --collection handbook
    """,
)
@click.argument("url")
@click.option("--secret", metavar="TEXT", help="Key that posts are signed with  [default: one that is made up].")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_ENDS),
    default=_ENDS,
    help="Only tasks that ended so; may be repeated  [default: any].",
)
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be repeated.")
@click.option("--queue", "queues", multiple=True, help="Only this queue; may be repeated.")
@click.option("--collection", "-c", help="Only tasks of this collection.")
@click.option("--sub-tasks", is_flag=True, help="Also of sub-tasks, such as the documents of a batch.")
def add_webhook(
    invocation: Invocation,
    /,
    url: str,
    *,
    secret: str | None,
    states: tuple[str, ...],
    kinds: tuple[str, ...],
    queues: tuple[str, ...],
    collection: str | None,
    sub_tasks: bool,
) -> None:
    """Have every end of a task from now on posted to a URL, and show the key that signs, this once.

    Addresses must be public, or be among webhooks.allowed_hosts.
    """
    from gristmill.db.webhooks import Wants
    from gristmill.tasks.model import TaskState

    with invocation.app() as app:
        _check(app, url, secret, kinds)
        wants = Wants(
            states=tuple(TaskState(state) for state in dict.fromkeys(states)),
            kinds=kinds,
            queues=queues,
            collection=collection,
            top_level_only=not sub_tasks,
        )
        made, key = app.webhooks.add(url, wants, secret=secret)
        is_posted = bool(app.monitor.live_workers())
    invocation.answer({**_webhook_json(made), "secret": key})
    invocation.say("webhook_created", webhook_id=made.id)
    invocation.write(key)
    if not is_posted:
        invocation.note("cli_no_poster")


def _check(app: "Gristmill", url: str, secret: str | None, kinds: Sequence[str]) -> None:
    """Refuse what the API refuses as well."""
    from gristmill.app.receivers import check_receiver

    for field, value in (("url", url), ("secret", secret)):
        least, most = _LENGTHS[field]
        if value is not None and len(value) < least:
            raise InvalidInput("field_too_short", field=field, minimum=least)
        if value is not None and len(value) > most:
            raise InvalidInput("field_too_long", field=field, maximum=most)
    check_receiver(url, allowed_hosts=app.settings.webhooks.allowed_hosts)
    for kind in kinds:
        if kind not in app.kinds:
            raise InvalidInput("kind_unknown", kind=kind, known=", ".join(sorted(app.kinds)))


@command(
    parent=webhooks,
    name="remove",
    examples="""
    gristmill webhooks remove 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10
    gristmill webhooks remove 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10 --yes --json
    """,
)
@click.argument("webhook_id")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can answer.")
def remove_webhook(invocation: Invocation, webhook_id: str, *, yes: bool) -> None:
    """Forget a webhook and the log of its deliveries; a post that is on its way may still arrive."""
    with invocation.app() as app:
        found = app.webhooks.get(webhook_id)
        if not yes:
            if invocation.json or not sys.stdin.isatty():
                raise click.UsageError("Removing a webhook needs --yes where nobody can be asked.")
            click.confirm(invocation.text("cli_ask_webhook_remove", url=found.address), abort=True, err=True)
        app.webhooks.remove(webhook_id)
    invocation.answer({"id": webhook_id})
    invocation.say("webhook_deleted", webhook_id=webhook_id)


@command(
    parent=webhooks,
    name="ping",
    examples="""
    gristmill webhooks ping 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10
    """,
)
@click.argument("webhook_id")
def ping(invocation: Invocation, webhook_id: str) -> int:
    """Post an event that means nothing now, once, whether or not the webhook is switched on.

    Exit code 1 if it did not arrive.
    """
    with invocation.app() as app:
        reason = app.posting.ping(webhook_id)
    if reason is None:
        invocation.answer({"delivered": True, "error": None})
        invocation.say("webhook_pinged")
        return 0
    message = reason.message(invocation.language)
    invocation.answer({"delivered": False, "error": {"code": reason.code, "message": message}})
    invocation.note("webhook_unanswered", reason=message)
    return 1


@command(
    parent=webhooks,
    name="deliveries",
    examples="""
    gristmill webhooks deliveries 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10
    gristmill webhooks deliveries 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10 --state failed --limit 100 --json
    """,
)
@click.argument("webhook_id")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(("pending", "delivered", "failed")),
    help="Only this state; may be repeated.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Most to list.")
@click.option(
    "--before", type=click.IntRange(1, 2**63 - 1), help="Only numbers below this: the last SEQ of the page before."
)
def list_deliveries(
    invocation: Invocation, webhook_id: str, *, states: tuple[str, ...], limit: int, before: int | None
) -> None:
    """List what a webhook was told and is still to be told, the latest end at the front."""
    with invocation.app() as app:
        app.webhooks.get(webhook_id)
        found = app.deliveries.page(webhook_id, states=states, limit=limit, before=before)
    described = [_delivery_json(one, invocation.language) for one in found]
    invocation.answer({"deliveries": described})
    if not found:
        invocation.say("cli_no_deliveries", webhook_id=webhook_id)
        return
    rows = [
        (
            one.seq,
            one.id,
            one.task_id,
            one.event,
            click.style(one.state, fg=_COLORS.get(one.state)),
            one.tries,
            when(one.next_try_at) if shown["next_try_at"] else "-",
            "-" if shown["error"] is None else shown["error"]["message"],
        )
        for one, shown in zip(found, described, strict=True)
    ]
    for line in columns(rows, head=("SEQ", "DELIVERY", "TASK", "EVENT", "STATE", "TRIES", "NEXT", "ERROR")):
        invocation.write(line)


@command(
    parent=webhooks,
    name="replay",
    examples="""
    gristmill webhooks replay 0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10 5f0c1c0e-6a0f-5b0e-8d59-0c6f2f7a9b11
    """,
)
@click.argument("webhook_id")
@click.argument("delivery_id")
def replay(invocation: Invocation, webhook_id: str, delivery_id: str) -> None:
    """Have a delivery that has ended posted once more: the same body, under the same id."""
    with invocation.app() as app:
        app.webhooks.get(webhook_id)
        replayed = app.deliveries.replay(webhook_id, delivery_id)
        is_posted = bool(app.monitor.live_workers())
    invocation.answer(_delivery_json(replayed, invocation.language))
    invocation.say("delivery_replayed", delivery_id=delivery_id)
    if not is_posted:
        invocation.note("cli_no_poster")


def _webhook_json(one: "StoredWebhook") -> dict[str, Any]:
    """A webhook with what of its address may be shown."""
    return {
        "id": one.id,
        "url": one.address,
        "states": [state.value for state in one.wants.states],
        "kinds": list(one.wants.kinds),
        "queues": list(one.wants.queues),
        "collection": one.wants.collection,
        "top_level_only": one.wants.top_level_only,
        "active": one.active,
        "failures": one.failures,
        "created_at": to_rfc3339(one.created_at),
    }


def _delivery_json(one: "Delivery", language: str) -> dict[str, Any]:
    """A delivery and why its last try did not arrive."""
    return {
        "id": one.id,
        "seq": one.seq,
        "task_id": one.task_id,
        "event": one.event,
        "state": one.state,
        "tries": one.tries,
        "next_try_at": to_rfc3339(one.next_try_at) if one.state == "pending" else None,
        "error": None if one.error is None else error_json(one.error, language),
        "created_at": to_rfc3339(one.created_at),
        "ended_at": to_rfc3339(one.ended_at),
    }
