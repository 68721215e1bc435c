"""``gristmill up``: the API and a worker in the background, one set for each data directory."""

import socket
import sys
import time
from typing import TYPE_CHECKING

import click

from gristmill.cli.broker import answers, start_broker
from gristmill.cli.command import command
from gristmill.cli.guard import check_open_to_network, make_data_directory
from gristmill.cli.instance import Instance, ask, reachable_url
from gristmill.cli.invocation import Invocation
from gristmill.cli.processes import Background, alone, stop_all, tail
from gristmill.engines.local import LOCAL
from gristmill.engines.policy import has_redis
from gristmill.errors import Conflict, InvalidInput, Unavailable

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["up"]

_START_SECONDS = 30.0
_LOOK_SECONDS = 0.02


@command(
    examples="""
    gristmill up
    gristmill up --port 9000 --concurrency 4
    gristmill --data /srv/gristmill up
    GRISTMILL_REDIS__URL=redis://127.0.0.1:6379/0 gristmill up --redis
    """
)
@click.option("--host", help="Address to listen on; any but loopback needs an API key.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--concurrency", type=click.IntRange(1, 256), help="Slots of the worker; by default one per CPU core.")
@click.option("--queues", metavar="A,B", help="Queues the worker listens to.")
@click.option(
    "--redis", is_flag=True, help="Start a Redis as well, at the address of redis.url, if none answers there."
)
def up(
    invocation: Invocation,
    host: str | None,
    port: int | None,
    concurrency: int | None,
    queues: str | None,
    *,
    redis: bool,
) -> int:
    """Start the API and a worker in the background, one worker for each engine in use.

    Returns when the API answers. What is running already is left alone; what has died is started again.
    """
    settings = invocation.settings(
        {"api": {"host": host, "port": port}, "workers": {"concurrency": concurrency, "queues": queues}}
    )
    check_open_to_network(invocation, settings)
    data = settings.data.expanduser().resolve()
    make_data_directory(data)
    instance = Instance(data)
    with alone(instance.run):
        known = instance.url
        workers = {engine: instance.worker_of(engine) for engine in _engines(invocation, settings)}
        missing = [process for process in (instance.api, *workers.values()) if process.pid() is None]
        if redis and not has_redis(settings.redis):
            raise InvalidInput("redis_without_address")
        # One that we started before is looked after like everything else.
        lacks_redis = (redis or instance.broker.pid_file.exists()) and not answers(settings)
        if not missing and not lacks_redis:
            raise Conflict("already_up", url=known or "", pid=instance.api.pid() or 0)
        host, port = settings.api.host, settings.api.port
        if instance.api in missing:
            port, known = _free_port(host, port), None
        url = known or reachable_url(host, port)
        flags = invocation.flags(data)
        serve = ["serve", "--host", host, "--port", str(port)]
        work = ["worker"]
        work += ["--concurrency", str(concurrency)] if concurrency else []
        work += ["--queues", queues] if queues else []
        started = []
        try:
            if lacks_redis:
                start_broker(instance.broker, data, settings)
                started.append((instance.broker, 0))
            verbs = [(process, [*work, "--engine", engine]) for engine, process in workers.items()]
            for process, verb in ((instance.api, serve), *verbs):
                if process in missing:
                    began = process.log.stat().st_size if process.log.exists() else 0
                    process.start([sys.executable, "-m", "gristmill.cli.main", *verb, *flags])
                    started.append((process, began))
            instance.note(url)
            _wait_until_live(instance.api, url, started)
        except BaseException:
            # Half an instance helps nobody, and whoever interrupts us wants it gone.
            stop_all([process for process, _ in started], patience_seconds=1.0)
            raise
        _tell(invocation, instance, url, [process.name for process, _ in started])
    return 0


def _engines(invocation: Invocation, settings: "Settings") -> list[str]:
    """The engines that have a share of the tasks now."""
    if not has_redis(settings.redis):
        return [LOCAL]
    with invocation.app(settings) as app:
        shares = app.engines.policy().shares
    return sorted(shares)


def _free_port(host: str, port: int) -> int:
    """``port``, or any free one for 0; :class:`Conflict` if something listens there."""
    try:
        with socket.create_server(
            (host.strip("[]"), port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ) as probe:
            free: int = probe.getsockname()[1]
            return free
    except OSError as error:
        raise Conflict("port_taken", host=host, port=port, reason=error.strerror or str(error)) from error


def _wait_until_live(api: Background, url: str, started: list[tuple[Background, int]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for process, began in started:
            if process.pid() is None:
                reason = tail(process.log, after=began) or "-"
                raise Unavailable("process_ended_at_once", name=process.name, log=str(process.log), reason=reason)
        answer = ask(url, "/health/live")
        if answer is not None and answer[0] == 200:
            return
        time.sleep(_LOOK_SECONDS)
    raise Unavailable("api_silent", url=url, seconds=int(_START_SECONDS), log=str(api.log))


def _tell(invocation: Invocation, instance: Instance, url: str, started: list[str]) -> None:
    invocation.say("cli_up", url=url)
    for process in instance.processes:
        state = "cli_started" if process.name in started else "cli_was_running"
        invocation.say(state, name=f"{process.name:<7}", pid=process.pid() or 0, log=str(process.log))
    invocation.answer(
        {
            "url": url,
            "processes": [
                {
                    "name": process.name,
                    "pid": process.pid(),
                    "started": process.name in started,
                    "log": str(process.log),
                }
                for process in instance.processes
            ],
        }
    )
