"""Runs Flower on our broker, never without asking who is there."""

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from gristmill.celery.opened import use
from gristmill.errors import Unavailable
from gristmill.settings import Settings

__all__ = ["run_flower"]


def run_flower(settings: Settings, credentials: Sequence[str], *, started: Callable[[int], None]) -> None:
    """Serve on ``flower.host`` and ``flower.port`` until SIGTERM or SIGINT, for who knows one of ``user:password``.

    ``started`` is called with the port once it listens. Flower's other options are those of its own ``FLOWER_...``
    variables. :class:`Unavailable` if the port is taken or Flower is not installed.
    """
    use(settings)
    try:
        from flower.app import Flower
        from flower.command import apply_env_options, extract_settings
        from flower.options import options
        from flower.urls import settings as web_settings
        from flower.views import monitor
        from tornado.web import authenticated
    except ImportError as error:
        raise Unavailable("extra_missing", feature="Flower", extra="flower") from error
    from gristmill.celery import app

    # Flower looks results up with the current application's backend.
    app.set_default()
    apply_env_options()
    options.address, options.port = settings.flower.host, settings.flower.port
    options.basic_auth = list(credentials)
    extract_settings()
    # Flower tells everybody its figures: names of workers and tasks, and how many there are.
    monitor.Metrics.get = authenticated(monitor.Metrics.get)
    flower = Flower(capp=app, options=options, **web_settings)
    try:
        port = flower.start_http_server()
    except OSError as error:
        facts = {"host": settings.flower.host, "port": settings.flower.port}
        raise Unavailable("port_taken", **facts, reason=error.strerror or str(error)) from error
    signal.signal(signal.SIGTERM, _leave)
    started(port)
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        flower.stop()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
