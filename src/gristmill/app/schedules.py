"""Schedules from the user's side, and the look at them that submits what is due. The same for HTTP and command line.

Any number of processes may look: workers do with every sweep, ``gristmill scheduler`` every second.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from gristmill.app.documents import Documents
from gristmill.clock import Clock
from gristmill.db.schedules import CarriedOut, StoredSchedules
from gristmill.errors import GristmillError, InvalidInput, Unavailable
from gristmill.failpoints import failpoint
from gristmill.ids import new_id
from gristmill.kinds import IndexSource
from gristmill.logs import get_log
from gristmill.settings import Settings
from gristmill.tasks.kind import Kind, decode_payload
from gristmill.tasks.model import Json, NewTask, Task, TaskError, TaskState
from gristmill.tasks.schedule import Misfire, Overlap, Plan, Schedule, due_ticks, plan, task_id_of, upcoming
from gristmill.tasks.secrets import Vault, opened
from gristmill.tasks.service import TaskService
from gristmill.tasks.ticks import Cron, Rule, following, read_cron, read_interval, ticks
from gristmill.tasks.workflow import sealed_payload

__all__ = ["Schedules"]

_log = get_log(__name__)

_NAME_CHARS = 100
_MOST_AT_ONCE = 200
"""Schedules that one look attends to; the next one does the rest."""
_SHOWN_AHEAD = 5


class Schedules:
    """What one may do with schedules."""

    def __init__(
        self,
        stored: StoredSchedules,
        tasks: TaskService,
        documents: Documents,
        kinds: Mapping[str, Kind],
        settings: Settings,
        clock: Clock,
        *,
        vault: Vault,
    ) -> None:
        self._stored = stored
        self._tasks = tasks
        self._documents = documents
        self._kinds = kinds
        self._settings = settings
        self._clock = clock
        self._vault = vault

    def all(self) -> list[Schedule]:
        """All schedules, by name."""
        return self._stored.all()

    def get(self, named: str) -> Schedule:
        """The schedule of that id or name; :class:`NotFound` (``schedule_not_found``)."""
        return self._stored.get(named)

    def upcoming(self, schedule: Schedule) -> list[int]:
        """Its next few ticks."""
        return upcoming(schedule, self._clock.now(), count=_SHOWN_AHEAD)

    def add(
        self,
        name: str,
        *,
        kind: str,
        payload: Json,
        cron: str | None = None,
        every: str | int | None = None,
        timezone: str | None = None,
        priority: int = 5,
        collection: str | None = None,
        misfire: Misfire = Misfire.ONCE,
        overlap: Overlap = Overlap.SKIP,
        paused: bool = False,
    ) -> Schedule:
        """Make a schedule; the first tick is the next that its rule has from now on.

        :class:`InvalidInput` for whatever its task would be refused for, and for a rule that cannot be read;
        :class:`Conflict` (``schedule_exists``).
        """
        _check_name(name)
        rule = self._rule(cron, every, timezone)
        now = self._clock.now()
        schedule = Schedule(
            id=new_id(),
            name=name,
            rule=rule,
            kind=kind,
            payload=payload,
            priority=priority,
            collection=collection,
            misfire=misfire,
            overlap=overlap,
            paused=paused,
            created_at=now,
            updated_at=now,
            next_tick_at=next(ticks(rule, now)),
        )
        return self._stored.add(self._checked(schedule))

    def change(self, named: str, changes: Mapping[str, Any]) -> Schedule:
        """Replace what ``changes`` names, each as :meth:`add` takes it; with another rule, ticks are counted anew."""
        rules = {field: changes[field] for field in ("cron", "every", "timezone") if field in changes}
        others = {field: value for field, value in changes.items() if field not in rules}
        if "name" in others:
            _check_name(others["name"])

        def changed(schedule: Schedule) -> Schedule:
            new = replace(self._opened(schedule), **others)
            if rules:
                rule = self._rule_of(schedule.rule, rules)
                new = replace(new, rule=rule, next_tick_at=next(ticks(rule, self._clock.now())))
            return self._checked(new)

        return self._changed(named, changed)

    def pause(self, named: str) -> Schedule:
        """Let it tick no more."""
        return self._changed(named, lambda schedule: replace(schedule, paused=True))

    def resume(self, named: str) -> Schedule:
        """Let it tick again from now on; what it would have done in between is not made up for."""

        def resumed(schedule: Schedule) -> Schedule:
            now, due_at = self._clock.now(), schedule.next_tick_at
            if not schedule.paused or due_at > now:
                return replace(schedule, paused=False)
            return replace(schedule, paused=False, next_tick_at=following(schedule.rule, due_at, now))

        return self._changed(named, resumed)

    def _changed(self, named: str, change: Callable[[Schedule], Schedule]) -> Schedule:
        while True:
            found = self._stored.get(named)
            stored = self._stored.replace(found, change(found))
            # It may just have fired.
            if stored is not None:
                return stored

    def remove(self, named: str) -> Schedule:
        """Forget it; the tasks that it submitted stay."""
        return self._stored.remove(named)

    def run(self, named: str, *, idempotency_key: str | None = None) -> Task:
        """Submit its task now, paused or not, whatever else runs; its ticks stay as they are."""
        schedule = self._opened(self._stored.get(named))
        task = self._stored.run(schedule, self._draft(schedule, idempotency_key=idempotency_key))
        if task.state is TaskState.PENDING:
            self._tasks.engine.dispatch([task])
        return task

    def fire_due(self) -> int:
        """Submit what is due; how many tasks that were. A schedule that cannot does not keep the others from it."""
        now = self._clock.now()
        return sum(self._fire(schedule, now) for schedule in self._stored.due(now, limit=_MOST_AT_ONCE))

    def _fire(self, schedule: Schedule, now: int) -> int:
        try:
            done = self._carried_out(schedule, now)
        except Unavailable:
            raise
        except GristmillError as error:
            self._failed(schedule, error)
            return 0
        except Exception:  # noqa: BLE001 - what is wrong with one row must not keep the others from their ticks
            _log.exception("schedule.raised", schedule=schedule.name)
            return 0
        if done is None:
            return 0
        failpoint("after_fire")
        if done.tasks:
            self._tasks.engine.dispatch(done.tasks)
        _tell(schedule, done)
        return len(done.tasks)

    def _carried_out(self, schedule: Schedule, now: int) -> CarriedOut | None:
        due = due_ticks(schedule, now)
        idle, busy = (self._plan(schedule, due, now, is_running=is_running) for is_running in (False, True))
        known = self._opened(schedule)
        drafts = {tick: self._draft(known, task_id=task_id_of(schedule, tick)) for tick in idle.fire}
        failpoint("before_fire")
        return self._stored.carry_out(schedule, idle=idle, busy=busy, drafts=drafts)

    def _plan(self, schedule: Schedule, due: list[int], now: int, *, is_running: bool) -> Plan:
        # Where sweeps are far apart, nobody can be expected to look any sooner.
        grace = max(self._settings.schedules.grace_seconds, 2 * self._settings.tasks.sweep_seconds)
        return plan(schedule, due, now=now, grace_seconds=grace, is_running=is_running)

    def _failed(self, schedule: Schedule, error: GristmillError) -> None:
        # Another process may be able to: one that knows the kind, or has the key. So the tick stays due.
        stored = asdict(TaskError.of(error))
        if schedule.error != stored:
            self._stored.fail(schedule, stored)
            _log.warning("schedule.failed", schedule=schedule.name, error=str(error))

    def _draft(self, schedule: Schedule, **options: Any) -> NewTask:
        return self._tasks.draft(
            schedule.kind,
            schedule.payload,
            priority=schedule.priority,
            collection=schedule.collection,
            **options,
        )

    def _checked(self, schedule: Schedule) -> Schedule:
        """``schedule`` as it is stored; refused if its task would be."""
        self._draft(schedule)
        kind = self._kinds[schedule.kind]
        payload = decode_payload(kind, schedule.payload)
        if isinstance(payload, IndexSource):
            schedule = replace(schedule, collection=self._documents.collection(payload.collection).name)
        return replace(schedule, payload=sealed_payload(schedule.kind, schedule.payload, self._kinds, self._vault))

    def _opened(self, schedule: Schedule) -> Schedule:
        kind = self._kinds.get(schedule.kind)
        if kind is None:
            return schedule
        return replace(schedule, payload=opened(kind, schedule.payload, self._vault))

    def _rule(self, cron: str | None, every: str | int | None, timezone: str | None) -> Rule:
        if (cron is None) == (every is None):
            raise InvalidInput("schedule_rule_not_one")
        if cron is not None:
            return read_cron(cron, timezone or self._settings.schedules.timezone)
        if timezone is not None:
            raise InvalidInput("timezone_without_cron", field="timezone", value=timezone)
        return read_interval(every or 0)

    def _rule_of(self, known: Rule, changes: Mapping[str, Any]) -> Rule:
        """``known`` with ``changes``: another zone for the same cron rule, or another rule."""
        cron, every, timezone = (changes.get(field) for field in ("cron", "every", "timezone"))
        if isinstance(known, Cron) and every is None:
            cron, timezone = cron or known.expression, timezone or known.timezone
        elif cron is None and every is None:
            raise InvalidInput("timezone_without_cron", field="timezone", value=str(timezone))
        return self._rule(cron, every, timezone)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _NAME_CHARS or not name.isprintable() or "/" in name:
        raise InvalidInput("schedule_name_invalid", field="name", value=name[:_NAME_CHARS])


def _tell(schedule: Schedule, done: CarriedOut) -> None:
    for task in done.tasks:
        _log.info("schedule.fired", schedule=schedule.name, task_id=task.id, kind=task.kind)
    if done.plan.skipped or done.plan.missed:
        facts = {"skipped": done.plan.skipped, "missed": done.plan.missed}
        _log.warning("schedule.not_fired", schedule=schedule.name, **facts)
