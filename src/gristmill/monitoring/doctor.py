"""Checks that everything Gristmill needs is there and works; each failure comes with its remedy.

A check is a function that gets what it looks at and returns a :class:`Finding`; it never raises a deliberate error.
It knows no database and no model: those come in as functions.
"""

import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gristmill.errors import GristmillError, Unavailable
from gristmill.messages import render
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import TaskState, Worker
from gristmill.tasks.service import TaskService

__all__ = [
    "Finding",
    "check_database",
    "check_disk",
    "check_embedder",
    "check_round_trip",
    "check_server",
    "check_sqlite",
    "check_workers",
    "failure",
]

_LEAST_FREE_MB = 500
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    code: str
    """Message that says what was found."""
    facts: Mapping[str, object] = field(default_factory=dict)
    remedy_code: str | None = None
    """Message that says what to do; an error's own message says both."""
    unreachable: bool = False
    """Whether a service does not answer, rather than something being wrong."""

    def detail(self, language: str = "en") -> str:
        """What was found."""
        return render(self.code, self.facts, language)

    def remedy(self, language: str = "en") -> str | None:
        """What to do about it."""
        return None if self.remedy_code is None else render(self.remedy_code, self.facts, language)


def failure(name: str, error: GristmillError) -> Finding:
    """A check that ended in ``error``."""
    return Finding(name=name, ok=False, code=error.code, facts=error.facts, unreachable=isinstance(error, Unavailable))


def check_sqlite(version: Callable[[], str]) -> Finding:
    """Whether the SQLite library at hand is one that does not corrupt its file."""
    try:
        return Finding(name="sqlite", ok=True, code="doctor_sqlite_safe", facts={"version": version()})
    except GristmillError as error:
        return failure("sqlite", error)


def check_server(look: Callable[[], Mapping[str, Any]], *, needed: int) -> Finding:
    """Whether the database server will do: what it is, whether it keeps what it has, and has ``needed`` connections.

    ``look`` tells its ``version``, that of ``pgvector``, its ``connections``, and whether it ``is_durable``.
    """
    try:
        facts: Mapping[str, Any] = {**look(), "needed": needed}
    except GristmillError as error:
        return failure("postgres", error)
    if not facts["is_durable"]:
        remedy = "doctor_postgres_forgets_remedy"
        return Finding(name="postgres", ok=False, code="doctor_postgres_forgets", facts=facts, remedy_code=remedy)
    if facts["connections"] < needed:
        remedy = "doctor_postgres_small_remedy"
        return Finding(name="postgres", ok=False, code="doctor_postgres_small", facts=facts, remedy_code=remedy)
    return Finding(name="postgres", ok=True, code="doctor_postgres_works", facts=facts)


def check_database(migrate: Callable[[], Collection[str]], write: Callable[[], None]) -> Finding:
    """Whether the database can be reached, is up to date and takes a write."""
    began = time.perf_counter()
    try:
        migrate()
        write()
    except GristmillError as error:
        return failure("database", error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return failure("database", Unavailable("database_unusable", reason=reason))
    milliseconds = round((time.perf_counter() - began) * 1000)
    return Finding(name="database", ok=True, code="doctor_database_works", facts={"milliseconds": milliseconds})


def check_disk(data: Path) -> Finding:
    """Whether there is room to go on."""
    free = shutil.disk_usage(data).free // _MB
    if free >= _LEAST_FREE_MB:
        return Finding(name="disk", ok=True, code="doctor_disk_free", facts={"free_mb": free})
    return Finding(
        name="disk",
        ok=False,
        code="doctor_disk_low",
        facts={"free_mb": free, "least_mb": _LEAST_FREE_MB},
        remedy_code="doctor_disk_remedy",
    )


def check_workers(kinds: Mapping[str, Kind], alive: Sequence[Worker]) -> Finding:
    """Whether a living worker listens on every queue that some kind is routed to."""
    heard = {queue for worker in alive for queue in worker.queues}
    deaf = sorted({kind.queue for kind in kinds.values()} - heard)
    facts: dict[str, object] = {
        "count": len(alive),
        "slots": sum(worker.slots for worker in alive),
        "queues": ", ".join(deaf),
    }
    if not alive:
        return Finding(
            name="workers",
            ok=False,
            code="doctor_no_worker",
            facts=facts,
            remedy_code="doctor_no_worker_remedy",
            unreachable=True,
        )
    if deaf:
        return Finding(
            name="workers", ok=False, code="doctor_queues_deaf", facts=facts, remedy_code="doctor_queues_remedy"
        )
    return Finding(name="workers", ok=True, code="doctor_workers_listen", facts=facts)


def check_round_trip(tasks: TaskService, *, timeout_seconds: float, log: str) -> Finding:
    """Whether a task that is handed in comes back done."""
    began = time.perf_counter()
    try:
        task = tasks.submit("ping", {"note": "doctor"}, priority=9)
        task = tasks.wait(task.id, timeout_seconds=timeout_seconds)
        if not task.state.is_final:
            tasks.cancel_one(task.id)
    except GristmillError as error:
        return failure("round trip", error)
    facts: dict[str, object] = {
        "milliseconds": round((time.perf_counter() - began) * 1000),
        "seconds": timeout_seconds,
        "state": task.state.value,
        "log": log,
    }
    if task.state is TaskState.COMPLETED:
        return Finding(name="round trip", ok=True, code="doctor_round_trip", facts=facts)
    return Finding(
        name="round trip",
        ok=False,
        code="doctor_round_trip_failed",
        facts=facts,
        remedy_code="doctor_round_trip_remedy",
    )


def check_embedder(name: str, embed: Callable[[str], Sized]) -> Finding:
    """Whether the configured embedder turns a text into a vector."""
    began = time.perf_counter()
    try:
        dimension = len(embed("the quick brown fox 敏捷的狐狸"))
    except GristmillError as error:
        return failure("embedder", error)
    milliseconds = round((time.perf_counter() - began) * 1000)
    facts = {"embedder": name, "dimension": dimension, "milliseconds": milliseconds}
    return Finding(name="embedder", ok=True, code="doctor_embedder_works", facts=facts)
