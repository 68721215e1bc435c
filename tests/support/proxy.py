"""A TCP proxy that can fall silent: connections stay open, and nothing comes through any more, as behind a dead router."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

__all__ = ["Proxy", "proxy_to"]

_LOOK_SECONDS = 0.05


class Proxy:
    """Listens on a port of its own and passes on what comes, until it is told to swallow it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._silent = threading.Event()
        self._stopped = threading.Event()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def fall_silent(self) -> None:
        """Swallow everything from now on, also on connections yet to come; none is closed."""
        self._silent.set()

    def speak(self) -> None:
        """Pass on again what comes over connections made from now on; those from before stay dead."""
        self._peers.clear()
        self._silent.clear()

    def close(self) -> None:
        """Close everything."""
        self._stopped.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, ExitStack() as opened:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stopped.is_set():
                for key, _ in selector.select(_LOOK_SECONDS):
                    assert isinstance(key.fileobj, socket.socket)
                    if key.fileobj is self._listener:
                        self._accept(selector, opened)
                    else:
                        self._pass_on(key.fileobj, selector)

    def _accept(self, selector: selectors.BaseSelector, opened: ExitStack) -> None:
        client, _ = self._listener.accept()
        opened.callback(client.close)
        if self._silent.is_set():
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        opened.callback(server.close)
        self._peers |= {client: server, server: client}
        selector.register(client, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)

    def _pass_on(self, end: socket.socket, selector: selectors.BaseSelector) -> None:
        try:
            data = end.recv(65536)
        except OSError:
            data = b""
        peer = self._peers.get(end)
        if not data:
            selector.unregister(end)
        if self._silent.is_set() or peer is None:
            return
        with suppress(OSError):
            if data:
                peer.sendall(data)
            else:
                peer.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """A proxy in front of a server of this machine."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
