"""A Redis of our own for `up --redis`: the server that is installed here, at the address the settings name."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli.instance import is_loopback
from gristmill.cli.processes import Background, tail
from gristmill.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["answers", "start_broker"]

_START_SECONDS = 10.0
_LOOK_SECONDS = 0.02


def answers(settings: "Settings") -> bool:
    """Whether a server that takes our password is there."""
    import redis

    from gristmill.engines.redis import connect

    try:
        connect(settings.redis).ping()
    except redis.RedisError:
        return False
    return True


def start_broker(process: Background, data: Path, settings: "Settings") -> None:
    """Start a server where ``redis.url`` says, for this machine alone, and wait until it answers.

    :class:`InvalidInput` if that address is not on this machine, :class:`Unavailable` if no server is installed.
    """
    from gristmill.engines.redis import PROGRAMS, connect, server_program

    program = server_program()
    if program is None:
        raise Unavailable("redis_not_installed", programs=", ".join(PROGRAMS))
    options = connect(settings.redis).connection_pool.connection_kwargs
    host, port, password = options.get("host", ""), options.get("port", 0), options.get("password")
    if not is_loopback(host) or options.get("username"):
        raise InvalidInput("redis_not_ours", host=host or "-")
    place = data / "redis"
    place.mkdir(mode=0o700, exist_ok=True)
    configuration = place / "redis.conf"
    # A file that only we can read: arguments are seen by everybody on the machine.
    configuration.touch(mode=0o600)
    lines = [
        f"bind {'127.0.0.1' if host == 'localhost' else host}",
        f"port {port}",
        f'dir "{place}"',
        "appendonly yes",
        "maxmemory-policy noeviction",
    ]
    if password:
        quoted = str(password).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'requirepass "{quoted}"')
    configuration.write_text("\n".join(lines) + "\n", "utf-8")
    began = process.log.stat().st_size if process.log.exists() else 0
    process.start([program, str(configuration)])
    deadline = time.monotonic() + _START_SECONDS
    while not answers(settings):
        if process.pid() is None or time.monotonic() > deadline:
            reason = tail(process.log, after=began) or "-"
            raise Unavailable("process_ended_at_once", name=process.name, log=str(process.log), reason=reason)
        time.sleep(_LOOK_SECONDS)
