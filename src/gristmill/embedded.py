"""Gristmill inside a program: the service runs in it, for as long as it is open, and no port is.

The program's client talks to it over a socket in a folder that only its user may enter, so that both uses of the client
go the same way. Workers are processes as always; they end with the program, however that ends.
"""

import shutil
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from gristmill.api.server import Server
from gristmill.app import Gristmill, open_gristmill
from gristmill.client import Client
from gristmill.errors import Unavailable
from gristmill.settings import load_settings
from gristmill.worker.attached import AttachedWorker, worker_listens

__all__ = ["open_folder"]

_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.01


def open_folder(data: str | Path = "gristmill-data", *, workers: int | None = None, language: str = "en") -> Client:
    """A client of the Gristmill in ``data``, which is made if need be; it uses the settings of the environment.

    ``workers`` is how many tasks run at a time: as many as there are cores unless said; 0 leaves the work to others.
    Where a worker runs on the folder already, none is started.
    """
    with ExitStack() as stack:
        settings = load_settings(data=Path(data), overrides={"sources": {"roots": [Path("/")]}})
        app = open_gristmill(settings)
        stack.callback(app.close)
        # Not in the data directory: the path of a socket must be short.
        place = Path(tempfile.mkdtemp(prefix="gristmill-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        path = place / "api.sock"
        _serve(app, path, stack)
        if workers != 0 and not worker_listens(app, "default"):
            slots = workers or app.settings.workers.concurrency or _cores()
            stack.enter_context(AttachedWorker(app, ["--data", str(app.settings.data)], slots=slots))
        kept = stack.pop_all()
    return Client(
        "http://localhost",
        language=language,
        transport=httpx.HTTPTransport(uds=str(path)),
        shares_files=True,
        on_close=kept.close,
    )


def _serve(app: Gristmill, path: Path, stack: ExitStack) -> None:
    server = Server(app, path=path)
    thread = threading.Thread(target=server.serve_until_stopped, name="gristmill", daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join()

    stack.callback(stop)
    until = time.monotonic() + _READY_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise Unavailable("embedded_not_started", seconds=_READY_SECONDS)
        time.sleep(_LOOK_SECONDS)


def _cores() -> int:
    from gristmill.worker.foreground import cores

    return cores()
