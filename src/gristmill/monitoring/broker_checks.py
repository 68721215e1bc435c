"""Checks of what lies between those who submit and those who work: the broker, engines and queues, versions."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from gristmill.errors import Unavailable
from gristmill.monitoring.doctor import Finding
from gristmill.monitoring.monitor import Depth
from gristmill.tasks.model import Worker

__all__ = ["BrokerAnswer", "check_broker", "check_versions", "check_waiting"]

_MB = 1024 * 1024
_KEEPS_ALL = "noeviction"
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "broker_auth_failed": ("doctor_broker_auth", "doctor_broker_auth_remedy"),
    "broker_full": ("doctor_broker_full", "doctor_broker_full_remedy"),
}
_SILENT = ("doctor_broker_silent", "doctor_broker_silent_remedy")


class BrokerAnswer(Protocol):
    """What a broker says of itself."""

    @property
    def version(self) -> str:
        """Of its program."""
        ...

    @property
    def maxmemory(self) -> int:
        """Bytes it may use; 0 means any number."""
        ...

    @property
    def policy(self) -> str:
        """What it does when they are full."""
        ...


def check_broker(look: Callable[[], BrokerAnswer], *, host: str) -> Finding:
    """Whether the broker answers, lets us in, takes a write, and keeps what it is given."""
    began = time.perf_counter()
    try:
        answer = look()
    except Unavailable as error:
        code, remedy = _REFUSALS.get(error.code, _SILENT)
        facts = {"host": host, "reason": error.facts.get("reason", "")}
        return Finding(name="broker", ok=False, code=code, facts=facts, remedy_code=remedy, unreachable=True)
    facts = {
        "host": host,
        "version": answer.version,
        "milliseconds": round((time.perf_counter() - began) * 1000),
        "policy": answer.policy,
        "maxmemory_mb": answer.maxmemory // _MB,
    }
    if answer.maxmemory and answer.policy != _KEEPS_ALL:
        remedy = "doctor_broker_evicts_remedy"
        return Finding(name="broker", ok=False, code="doctor_broker_evicts", facts=facts, remedy_code=remedy)
    return Finding(name="broker", ok=True, code="doctor_broker_works", facts=facts)


def check_waiting(depths: Sequence[Depth], alive: Sequence[Worker], spare: str | None = None) -> Iterator[Finding]:
    """Whether a living worker may claim each task that is ready; those of the engine ``spare`` any worker may claim."""
    stranded = False
    for engine in sorted({depth.engine for depth in depths if depth.ready}):
        waiting = [depth for depth in depths if depth.engine == engine and depth.ready]
        workers = [worker for worker in alive if engine in (worker.engine, spare)]
        if not workers:
            stranded = True
            yield Finding(
                name="engines",
                ok=False,
                code="doctor_engine_deaf",
                facts={"engine": engine, "count": sum(depth.ready for depth in waiting)},
                remedy_code="doctor_engine_deaf_remedy",
            )
            continue
        heard = {queue for worker in workers for queue in worker.queues}
        for depth in waiting:
            if depth.queue not in heard:
                stranded = True
                yield Finding(
                    name="engines",
                    ok=False,
                    code="doctor_queue_stranded",
                    facts={"engine": engine, "queue": depth.queue, "count": depth.ready},
                    remedy_code="doctor_queue_stranded_remedy",
                )
    if not stranded:
        yield Finding(name="engines", ok=True, code="doctor_engines_heard")


def check_versions(alive: Sequence[Worker], *, ours: str) -> Finding:
    """Whether all living workers run the version that this process runs."""
    others = [f"{worker.name} ({worker.version or '?'})" for worker in alive if worker.version != ours]
    if others:
        return Finding(
            name="versions",
            ok=False,
            code="doctor_versions_differ",
            facts={"ours": ours, "others": ", ".join(others)},
            remedy_code="doctor_versions_remedy",
        )
    return Finding(name="versions", ok=True, code="doctor_versions_same", facts={"ours": ours})
