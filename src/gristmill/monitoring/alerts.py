"""What somebody has to be told of: rules, each a function of what was seen at one moment.

Nothing here remembers or tells: whoever keeps the alerts finds out what is new, and what is over.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gristmill.messages import render
from gristmill.settings import AlertSettings

__all__ = ["LOCAL_RULES", "RULES", "Alarm", "Rule", "RunningTask", "Severity", "Snapshot", "alarms", "alert_message"]

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTask:
    """A task that a worker holds."""

    id: str
    kind: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What there is to judge by; seen from the machine ``host``."""

    host: str
    live_workers: int
    queues: Mapping[str, int]
    """Ready tasks by queue."""
    completed: int
    """Of late, as ``failed``."""
    failed: int
    running: Sequence[RunningTask]
    memory_percent: float
    """In use on ``host``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A condition that somebody should know of; two with the same rule and subject are the same one."""

    rule: str
    severity: Severity
    subject: str = ""
    """The queue, task or machine that it is about; empty where there is only one."""
    facts: Mapping[str, object] = field(default_factory=dict)

    def message(self, language: str = "en") -> str:
        """The fact and its remedy."""
        return alert_message(self.rule, self.facts, language)


_MESSAGES: Mapping[str, str] = {
    "no_worker": "alert_no_worker",
    "queue_long": "alert_queue_long",
    "error_rate": "alert_error_rate",
    "task_slow": "alert_task_slow",
    "memory_high": "alert_memory_high",
}


def alert_message(rule: str, facts: Mapping[str, object], language: str = "en") -> str:
    """What ``rule`` says where it found ``facts``: the fact and its remedy."""
    return render(_MESSAGES.get(rule, rule), facts, language)


Rule = Callable[[Snapshot, AlertSettings], Iterator[Alarm]]


def no_worker(seen: Snapshot, _settings: AlertSettings) -> Iterator[Alarm]:
    """Nothing runs tasks."""
    if seen.live_workers == 0:
        facts = {"waiting": sum(seen.queues.values())}
        yield Alarm(rule="no_worker", severity="critical", facts=facts)


def queue_long(seen: Snapshot, settings: AlertSettings) -> Iterator[Alarm]:
    """More waits in a queue than its workers will get through soon."""
    for queue, length in sorted(seen.queues.items()):
        if length > settings.queue_length:
            facts = {"queue": queue, "length": length, "most": settings.queue_length}
            yield Alarm(rule="queue_long", severity="warning", subject=queue, facts=facts)


def error_rate(seen: Snapshot, settings: AlertSettings) -> Iterator[Alarm]:
    """Of the tasks that ended of late, too many failed."""
    ended = seen.completed + seen.failed
    if ended < settings.error_least_tasks:
        return
    percent = 100 * seen.failed / ended
    if percent > settings.error_percent:
        facts = {"percent": round(percent, 1), "most": settings.error_percent, "failed": seen.failed, "ended": ended}
        yield Alarm(rule="error_rate", severity="warning", facts=facts)


def task_slow(seen: Snapshot, settings: AlertSettings) -> Iterator[Alarm]:
    """A task holds its slot for long."""
    for task in seen.running:
        if task.seconds > settings.task_seconds:
            facts = {
                "task_id": task.id,
                "kind": task.kind,
                "seconds": round(task.seconds),
                "most": settings.task_seconds,
            }
            yield Alarm(rule="task_slow", severity="warning", subject=task.id, facts=facts)


def memory_high(seen: Snapshot, settings: AlertSettings) -> Iterator[Alarm]:
    """The machine is about to run out of memory."""
    if seen.memory_percent > settings.memory_percent:
        facts = {"host": seen.host, "percent": round(seen.memory_percent, 1), "most": settings.memory_percent}
        yield Alarm(rule="memory_high", severity="warning", subject=seen.host, facts=facts)


RULES: Mapping[str, Rule] = {
    "no_worker": no_worker,
    "queue_long": queue_long,
    "error_rate": error_rate,
    "task_slow": task_slow,
    "memory_high": memory_high,
}
LOCAL_RULES = frozenset({"memory_high"})
"""Those about the machine that looks; each machine has to look for itself."""


def alarms(seen: Snapshot, settings: AlertSettings, rules: Collection[str]) -> list[Alarm]:
    """What ``rules`` say to ``seen``, without those that are switched off."""
    return [
        alarm
        for name, rule in RULES.items()
        if name in rules and name not in settings.off
        for alarm in rule(seen, settings)
    ]
