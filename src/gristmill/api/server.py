"""Serves the API with uvicorn: checks that it may listen where it is told to, then listens until it is stopped."""

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import uvicorn

from gristmill.api.app import create_app
from gristmill.api.auth import is_loopback
from gristmill.api.watchers import Hub
from gristmill.app import Gristmill, open_gristmill
from gristmill.errors import Conflict, InvalidInput
from gristmill.logs import configure_logs, get_log
from gristmill.settings import Settings

__all__ = ["Server", "run_api"]

_log = get_log(__name__)


_NOT_FORGOTTEN = frozenset(
    {"ASGI callable returned without completing handshake.", "ASGI callable returned without completing response."}
)
"""What uvicorn takes a handshake for that was refused with a problem, and a stream whose client does not read its end."""


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.getMessage() not in _NOT_FORGOTTEN


_DRAIN_SECONDS = 10
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
_LARGEST_MESSAGE = 4096
_UNREAD_SECONDS = 60
"""How long a client may leave what was sent to it unread before its connection is cut."""
_SWITCH_SECONDS = 0.0005
_OLDEST = 2
"""The generation of objects that a full look for garbage ends with."""
_MANY = 20_000
"""Objects; to look through as many takes 3 ms."""


class Server(uvicorn.Server):
    """A uvicorn server with our settings, on a socket that is bound already."""

    def __init__(self, app: Gristmill, *, path: Path | None = None) -> None:
        """Listen where the settings say, or on a socket at ``path``: whoever can reach that is let in."""
        if path is None:
            _check_listener(app)
        api = create_app(app)
        self.hub: Hub = api.state.hub
        super().__init__(
            uvicorn.Config(
                api,
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                # Watchers have nothing to say, and what they are told is not worth the memory that packing it takes.
                ws_max_size=_LARGEST_MESSAGE,
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # The address of a peer decides what it may do; a header must not change it.
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
        self._api = app.settings.api
        self.socket = _bound(self._api.host, self._api.port) if path is None else _bound_at(path)

    @property
    def port(self) -> int:
        """The port it listens on, also when it was left to the system to choose one."""
        port: int = self.socket.getsockname()[1]
        return port

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let watchers go first: their connections would hold it up."""
        await self.hub.close()
        await super().shutdown(sockets)

    def serve_until_stopped(self) -> None:
        """Answer requests until SIGTERM, SIGINT or :attr:`should_exit`."""
        if self.socket.family == socket.AF_UNIX:
            _log.info("api.listening", path=self.socket.getsockname())
        else:
            _log.info("api.listening", host=self._api.host, port=self.port)
        try:
            self.run(sockets=[self.socket])
        finally:
            self.socket.close()
            _log.info("api.stopped")


def run_api(settings: Settings) -> None:
    """Serve as ``settings`` say, until this process is told to stop.

    :class:`InvalidInput` (``host_needs_key``) for an address beyond this machine while there is no key, and
    :class:`Conflict` (``port_taken``).
    """
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    # A product with the query takes a millisecond; threads that share it spin while workers want the cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        server = Server(app)
        # Large uploads are held in a file until they are stored: on the disk that has room for them, not in memory.
        tempfile.tempdir = str(app.paths.temp)
        # Threads that compute hand over ten times sooner than usual: the loop, and the other half of a search, wait less.
        sys.setswitchinterval(_SWITCH_SECONDS)

        def stop(_number: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        # While it serves, the server has handlers of its own; these are for the moments before and after.
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        gc.callbacks.append(spare_what_stays)
        gc.collect()
        server.serve_until_stopped()
    finally:
        app.close()


def spare_what_stays(phase: str, facts: Mapping[str, int]) -> None:
    """Called around each look for garbage: what has survived a full one, if it is much, is not looked at again.

    To look through all that was imported, and through a model, would hold up every answer for 20 to 80 ms at a time.
    """
    if phase == "stop" and facts["generation"] == _OLDEST and len(gc.get_objects(_OLDEST)) > _MANY:
        gc.freeze()


def _check_listener(app: Gristmill) -> None:
    host = app.settings.api.host
    if not is_loopback(host) and not app.keys.valid():
        raise InvalidInput("host_needs_key", field="api.host", value=host)


def _bound_at(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(_BACKLOG)
    return listener


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; those that it accepts inherit it.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Conflict("port_taken", host=host, port=port, reason=reason) from error
    return listener
