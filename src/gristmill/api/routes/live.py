"""Follow tasks over a WebSocket, and get the tickets that browsers need for it."""

from contextlib import suppress

from anyio import create_task_group, move_on_after
from anyio.abc import TaskGroup
from fastapi import APIRouter, Request, WebSocket
from starlette.websockets import WebSocketDisconnect

from gristmill.api.auth import caller_of, needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.cursors import number_of
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.frames import Frame
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers
from gristmill.api.schemas.watching import SocketQuery, TicketView, WatchQuery
from gristmill.api.validated import validated_query
from gristmill.api.watcher import Watcher
from gristmill.api.watchers import LAST_WORD_SECONDS, Hub
from gristmill.db.keys import Scope
from gristmill.db.tickets import TICKET_SECONDS
from gristmill.tasks.feed import Wanted

__all__ = ["router"]

router = APIRouter(tags=["tasks"], route_class=StrictRoute)

_DONE, _LET_GO = 1000, 4000
"""Close codes (RFC 6455, section 7.4); the second is ours, and the message before it says why."""


@router.post(
    "/api/tickets",
    summary="Get a ticket",
    dependencies=[needs(Scope.READ)],
    responses=answers(
        {"success": True, "message": "OK", "data": {"ticket": "mXq3Zr8v", "expires_in_seconds": TICKET_SECONDS}}
    ),
)
def issue_ticket(app: Service, reply: Reply, request: Request) -> Envelope[TicketView]:
    """A ticket opens one WebSocket or event stream, for reading, where no key can be sent: in a browser."""
    ticket = app.tickets.issue(caller_of(request).key_id)
    return reply(TicketView(ticket=ticket, expires_in_seconds=TICKET_SECONDS))


@router.websocket("/ws/tasks")
async def watch_tasks(socket: WebSocket) -> None:
    """Follow all tasks, or those that the query names."""
    query = validated_query(WatchQuery, socket.query_params)
    await _serve(socket, query.to_wanted(), query)


@router.websocket("/ws/tasks/{task_id}")
async def watch_task(socket: WebSocket, task_id: str) -> None:
    """Follow one task until it has ended."""
    await _serve(socket, Wanted(task_id=task_id), validated_query(SocketQuery, socket.query_params))


async def _serve(socket: WebSocket, wanted: Wanted, query: SocketQuery) -> None:
    """Send until the task has ended, the watcher is let go, or the client leaves."""
    hub: Hub = socket.app.state.hub
    watching = hub.watching(
        wanted,
        language=socket.state.language,
        cursor=number_of(query.cursor),
        key_id=caller_of(socket).key_id,
    )
    async with watching as watcher:
        await socket.accept()
        async with create_task_group() as group:
            group.start_soon(_until_gone, socket, group)
            await _tell(socket, watcher)
            group.cancel_scope.cancel()


async def _tell(socket: WebSocket, watcher: Watcher) -> None:
    async def send(frame: Frame) -> None:
        await socket.send_text(frame.text)

    with suppress(WebSocketDisconnect):
        await watcher.run(send)
        bye = watcher.bye()
        # Who is let go for not reading may not read this either.
        with move_on_after(LAST_WORD_SECONDS):
            if bye is not None:
                await send(bye)
            await socket.close(_DONE if bye is None else _LET_GO)


async def _until_gone(socket: WebSocket, group: TaskGroup) -> None:
    """What a watcher says is of no interest; that it goes is."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    group.cancel_scope.cancel()
