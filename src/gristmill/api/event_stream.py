"""A watcher's frames as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from anyio import create_task_group, move_on_after
from anyio.abc import TaskGroup
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gristmill.api.frames import Frame
from gristmill.api.watchers import LAST_WORD_SECONDS, Hub
from gristmill.tasks.feed import Wanted

__all__ = ["EVENT_STREAM", "EventStream"]

EVENT_STREAM = "text/event-stream"


class EventStream(Response):
    """Answers with events until the task has ended, the watcher is let go, or the client leaves."""

    media_type = EVENT_STREAM

    def __init__(
        self, hub: Hub, wanted: Wanted, *, language: str, cursor: int, key_id: str | None, is_again: bool
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        self._hub = hub
        self._wanted = wanted
        self._language = language
        self._cursor = cursor
        self._key_id = key_id
        self._is_again = is_again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; what there is to refuse is refused before the first."""
        watching = self._hub.watching(self._wanted, language=self._language, cursor=self._cursor, key_id=self._key_id)
        async with watching as watcher:
            if self._is_again and await watcher.has_told_all():
                # Browsers come back by themselves until they are told that there is nothing left.
                await Response(status_code=204)(scope, receive, send)
                return
            headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
            await send({"type": "http.response.start", "status": 200, "headers": headers})

            async def tell(frame: Frame) -> None:
                text = f"id: {frame.cursor}\nevent: {frame.type}\ndata: {frame.text}\n\n"
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

            async with create_task_group() as group:
                group.start_soon(_until_gone, receive, group)
                await watcher.run(tell)
                with move_on_after(LAST_WORD_SECONDS):
                    if (bye := watcher.bye()) is not None:
                        await tell(bye)
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                group.cancel_scope.cancel()


async def _until_gone(receive: Receive, group: TaskGroup) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    group.cancel_scope.cancel()
