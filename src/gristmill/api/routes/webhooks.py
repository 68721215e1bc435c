"""Webhooks: be told of the ends of tasks, look at what was told, have it told again.

All of it needs the scope admin: what is set up here goes on telling others of every task when the key that set it up is
gone, and the address of a receiver often is all it takes to post there.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.cursors import number_of
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.schemas.told import ErrorView
from gristmill.api.schemas.webhooks import (
    DeletedWebhook,
    DeliveryPage,
    DeliveryQuery,
    DeliveryView,
    NewWebhookView,
    PingView,
    WebhookBody,
    WebhookChange,
    WebhookList,
    WebhookView,
)
from gristmill.api.waiting import WaitingRoom
from gristmill.app import Gristmill
from gristmill.app.receivers import check_receiver
from gristmill.db.keys import Scope
from gristmill.errors import InvalidInput, Unavailable

__all__ = ["router"]

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=StrictRoute)

WebhookId = Annotated[str, Path(max_length=200, description="Id of a webhook.")]
DeliveryId = Annotated[str, Path(max_length=200, description="Id of a delivery.")]

_VIEW = {
    "id": "0199a1f0-7c1e-7d3a-9a55-3f1c6c0f9f10",
    "url": "https://desk.example/hooks/mill",
    "states": ["completed", "failed", "cancelled"],
    "kinds": ["batch_index"],
    "queues": [],
    "collection": None,
    "top_level_only": True,
    "active": True,
    "failures": 0,
    "created_at": "2026-05-04T12:00:00.000Z",
}
_NEW = {**_VIEW, "secret": "pQ3h0i2Kx0Vb6bYkqTjzGm1r8sW4uZ5n"}
_DELIVERY = {
    "id": "5f0c1c0e-6a0f-5b0e-8d59-0c6f2f7a9b11",
    "seq": 1207,
    "task_id": "0199a1f2-11aa-7c3e-8e11-7b6f0d9e2c44",
    "event": "task.completed",
    "state": "pending",
    "tries": 2,
    "next_try_at": "2026-05-04T12:00:24.000Z",
    "error": {
        "code": "receiver_refused",
        "message": "desk.example answered with status 503. It has to answer with 2xx; redirects are not followed.",
    },
    "created_at": "2026-05-04T12:00:00.000Z",
    "ended_at": None,
}
_REFUSALS = {403: ("scope_missing", "receiver_not_public"), 415: "content_type_unsupported"}
_UNFIT = ("webhook_url_invalid", "kind_unknown", "field_too_short")


def _check(app: Gristmill, url: str | None, kinds: list[str] | None) -> None:
    if url is not None:
        check_receiver(url, allowed_hosts=app.settings.webhooks.allowed_hosts)
    for kind in kinds or ():
        if kind not in app.kinds:
            raise InvalidInput("kind_unknown", kind=kind, known=", ".join(sorted(app.kinds)))


@router.get(
    "",
    summary="List webhooks",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "OK", "data": {"webhooks": [_VIEW]}}),
)
def list_webhooks(app: Service, reply: Reply) -> Envelope[WebhookList]:
    """All webhooks, oldest first."""
    return reply(WebhookList(webhooks=[WebhookView.of(webhook) for webhook in app.webhooks.all()]))


@router.post(
    "",
    status_code=201,
    summary="Make a webhook",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "Created", "data": _NEW}, status=201, description="Created")
    | problems({**_REFUSALS, 422: (*_UNFIT, "field_missing")}),
)
def create_webhook(app: Service, reply: Reply, body: WebhookBody) -> Envelope[NewWebhookView]:
    """Have every end of a task from now on posted to an address, signed.

    The answer holds the key that posts are signed with, this once. Addresses must be public, or be among
    `webhooks.allowed_hosts`; where a name leads is looked at with every post.
    """
    _check(app, body.url, body.kinds)
    webhook, secret = app.webhooks.add(body.url, body.to_wants(), secret=body.secret)
    return reply(NewWebhookView.of(webhook, secret=secret), "webhook_created", webhook_id=webhook.id)


@router.get(
    "/{webhook_id}",
    summary="Look at a webhook",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "OK", "data": _VIEW}) | problems({404: "webhook_not_found"}),
)
def get_webhook(app: Service, reply: Reply, webhook_id: WebhookId) -> Envelope[WebhookView]:
    """One webhook: what it is told of, and whether posts arrive."""
    return reply(WebhookView.of(app.webhooks.get(webhook_id)))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "Changed", "data": _VIEW})
    | problems({**_REFUSALS, 404: "webhook_not_found", 422: _UNFIT}),
)
def change_webhook(app: Service, reply: Reply, webhook_id: WebhookId, body: WebhookChange) -> Envelope[WebhookView]:
    """Change where a webhook is, how it is signed, what it is told of, or whether it is told at all.

    One that is switched on again is told of what ends from then on, and is posted what was waiting for it before.
    """
    _check(app, body.url, body.kinds)
    changed = app.webhooks.change(
        webhook_id, url=body.url, secret=body.secret, active=body.active, wants=body.changed_wants()
    )
    return reply(WebhookView.of(changed), "webhook_changed", webhook_id=webhook_id)


@router.delete(
    "/{webhook_id}",
    summary="Delete a webhook",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "Deleted", "data": {"id": _VIEW["id"]}})
    | problems({404: "webhook_not_found"}),
)
def delete_webhook(app: Service, reply: Reply, webhook_id: WebhookId) -> Envelope[DeletedWebhook]:
    """Forget a webhook and the log of its deliveries; a post that is on its way may still arrive."""
    app.webhooks.remove(webhook_id)
    return reply(DeletedWebhook(id=webhook_id), "webhook_deleted", webhook_id=webhook_id)


@router.post(
    "/{webhook_id}/ping",
    summary="Try a webhook",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "The receiver took it", "data": {"delivered": True, "error": None}})
    | problems({404: "webhook_not_found", 503: ("database_busy", "webhook_pings_full")}),
)
def ping_webhook(app: Service, reply: Reply, request: Request, webhook_id: WebhookId) -> Envelope[PingView]:
    """Post an event `ping` now, once, whether or not the webhook is switched on, and say what came of it."""
    room: WaitingRoom = request.app.state.waiting_room
    with room.seat() as has_seat:
        if not has_seat:
            raise Unavailable("webhook_pings_full")
        reason = app.posting.ping(webhook_id)
    if reason is None:
        return reply(PingView(delivered=True, error=None), "webhook_pinged")
    error = ErrorView(code=reason.code, message=reason.message(reply.language))
    return reply(PingView(delivered=False, error=error), "webhook_unanswered", reason=error.message)


@router.get(
    "/{webhook_id}/deliveries",
    summary="List deliveries",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "OK", "data": {"deliveries": [_DELIVERY], "next_cursor": None}})
    | problems({404: "webhook_not_found", 422: ("cursor_invalid", "field_not_a_choice")}),
)
def list_deliveries(
    app: Service, reply: Reply, webhook_id: WebhookId, query: Annotated[DeliveryQuery, Query()]
) -> Envelope[DeliveryPage]:
    """A page of what a webhook was told and is still to be told, the latest end at the front."""
    app.webhooks.get(webhook_id)
    found = app.deliveries.page(webhook_id, states=query.state, limit=query.limit + 1, before=number_of(query.cursor))
    page = found[: query.limit]
    return reply(
        DeliveryPage(
            deliveries=[DeliveryView.of(delivery, reply.language) for delivery in page],
            next_cursor=str(page[-1].seq) if len(found) > len(page) else None,
        )
    )


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    summary="Replay a delivery",
    dependencies=[needs(Scope.ADMIN)],
    responses=answers({"success": True, "message": "Queued", "data": _DELIVERY}, status=202, description="Accepted")
    | problems({404: ("webhook_not_found", "delivery_not_found"), 409: "delivery_pending"}),
)
def replay_delivery(
    app: Service, reply: Reply, webhook_id: WebhookId, delivery_id: DeliveryId
) -> Envelope[DeliveryView]:
    """Post a delivery that has ended once more: the same body, under the same id."""
    app.webhooks.get(webhook_id)
    replayed = app.deliveries.replay(webhook_id, delivery_id)
    return reply(DeliveryView.of(replayed, reply.language), "delivery_replayed", delivery_id=delivery_id)
