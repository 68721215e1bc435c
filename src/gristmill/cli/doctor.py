"""``gristmill doctor``: runs every check and says what to do."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gristmill.cli.command import command
from gristmill.cli.instance import Instance, ask
from gristmill.cli.invocation import Invocation
from gristmill.errors import GristmillError
from gristmill.worker.attached import AttachedWorker, worker_listens

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.monitoring.doctor import Finding
    from gristmill.settings import Settings

__all__ = ["doctor"]

_PING_SECONDS = 20.0


@command(
    examples="""
    gristmill doctor
    gristmill --data /srv/gristmill doctor --json
    """
)
def doctor(invocation: Invocation) -> int:
    """Check that everything works, and say what to do if not.

    Looks at the configuration, the SQLite library or the Postgres server, the database, the disk, the broker, the
    workers of every queue and engine and their versions, the embedder, and sends a real task on a round trip, with a
    worker of its own if none is running. Exit code 3 if something does not answer, 1 if something else is wrong.
    """
    findings: list[Finding] = []
    for finding in _examine(invocation):
        findings.append(finding)
        mark = click.style("✓", fg="green") if finding.ok else click.style("✗", fg="red")
        invocation.write(f"{mark} {finding.name}: {finding.detail(invocation.language)}")
        if remedy := finding.remedy(invocation.language):
            invocation.write(f"    → {remedy}")
    well = all(finding.ok for finding in findings)
    invocation.answer(
        {
            "ok": well,
            "checks": [
                {
                    "name": finding.name,
                    "ok": finding.ok,
                    "code": finding.code,
                    "detail": finding.detail(invocation.language),
                    "remedy": finding.remedy(invocation.language),
                }
                for finding in findings
            ],
        }
    )
    if well:
        return 0
    return 3 if any(finding.unreachable for finding in findings) else 1


def _examine(invocation: Invocation) -> "Iterator[Finding]":
    from gristmill.monitoring.doctor import Finding, check_disk, failure

    try:
        settings = invocation.settings()
    except GristmillError as error:
        yield failure("configuration", error)
        return
    data = str(settings.data)
    yield Finding(name="configuration", ok=True, code="doctor_configuration", facts={"data": data})
    try:
        usable = _examine_database_software(settings)
    except GristmillError as error:
        usable = failure("database", error)
    yield usable
    if not usable.ok and usable.remedy_code is None:
        return
    try:
        with invocation.app(settings) as app:
            yield check_disk(app.paths.data)
            yield from _examine_inside(invocation, app)
    except GristmillError as error:
        yield failure("database", error)


def _examine_database_software(settings: "Settings") -> "Finding":
    """What stands below the database: a library for a file, a server for the other."""
    from gristmill.db.database import Database
    from gristmill.db.server import look_at_server
    from gristmill.db.sqlite import sqlite_module
    from gristmill.monitoring.doctor import check_server, check_sqlite
    from gristmill.worker.foreground import cores

    url = settings.database.url
    database = None if url is None else Database(url.get_secret_value(), connections=settings.database.connections)
    if database is None or database.dialect == "sqlite":
        return check_sqlite(lambda: str(sqlite_module().sqlite_version))
    # One API, and a worker: the supervisor with its sweeper, its notices and its ears, and two for each slot.
    needed = settings.database.connections + 4 + 2 * (settings.workers.concurrency or cores())
    try:
        return check_server(lambda: asdict(look_at_server(database)), needed=needed)
    finally:
        database.close()


def _examine_inside(invocation: Invocation, app: "Gristmill") -> "Iterator[Finding]":
    from gristmill.monitoring.doctor import check_database, check_embedder, check_round_trip

    def write() -> None:
        with app.database.write():
            pass

    database = check_database(app.database.migrate, write)
    yield database
    if not database.ok:
        return
    yield from _examine_api(app.settings)
    yield from _examine_way(app)
    with ExitStack() as stack:
        log = str(app.paths.logs / "worker.log")
        if not worker_listens(app, app.kinds["ping"].queue):
            stack.enter_context(AttachedWorker(app, invocation.flags(app.settings.data), slots=1))
        yield check_round_trip(app.tasks, timeout_seconds=_PING_SECONDS, log=log)
    name = app.settings.embedding.name
    yield check_embedder(name, lambda text: app.embedders.get(name).embed_query(text))


def _examine_way(app: "Gristmill") -> "Iterator[Finding]":
    """What lies between those who submit and those who work."""
    import gristmill
    from gristmill.engines.broker_facts import address_of, look_at_broker
    from gristmill.engines.local import LOCAL
    from gristmill.engines.policy import has_redis
    from gristmill.monitoring.broker_checks import check_broker, check_versions, check_waiting
    from gristmill.monitoring.doctor import check_workers

    redis = app.settings.redis
    if has_redis(redis):
        yield check_broker(lambda: look_at_broker(redis), host=address_of(redis))
    alive = app.monitor.live_workers()
    yield check_workers(app.kinds, alive)
    if alive:
        spare = LOCAL if app.settings.engine.fallback else None
        yield from check_waiting(app.monitor.depths(), alive, spare)
        yield check_versions(alive, ours=gristmill.__version__)


def _examine_api(settings: "Settings") -> "Iterator[Finding]":
    """Only where one was started in the background: others are their process manager's business."""
    from gristmill.monitoring.doctor import Finding

    url = Instance(settings.data).url
    if url is None:
        return
    answer = ask(url, "/health/ready")
    if answer is not None and answer[0] == 200:
        yield Finding(name="api", ok=True, code="doctor_api_answers", facts={"url": url})
        return
    yield Finding(
        name="api",
        ok=False,
        code="doctor_api_silent",
        facts={"url": url, "log": str(Instance(settings.data).api.log)},
        remedy_code="doctor_api_remedy",
        unreachable=True,
    )
