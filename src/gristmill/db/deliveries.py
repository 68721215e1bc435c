"""Deliveries: what was, or is to be, posted to each webhook, and how that went.

They are made from the event log behind a place that each webhook keeps: adding them and moving that place is one
transaction, so an end that was committed is told of once, whoever dies and however many look. One post at a time goes
to a webhook, oldest first; one that failed waits its time while those behind it are tried.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, delete, exists, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import delivery_is_pending, webhook_deliveries, webhooks
from gristmill.db.webhooks import StoredWebhook, webhook_from
from gristmill.errors import Conflict, NotFound
from gristmill.ids import derived_id
from gristmill.tasks.model import Json, Task, TaskError, TaskState

__all__ = ["Deliveries", "Delivery", "Due", "End"]

_LONGEST_WAIT_SECONDS = 2 * 3600.0
"""What is to wait for longer than anything does waits no more: a clock was wrong."""

_Condition: TypeAlias = ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """That a task has ended."""

    seq: int
    """The number of the event."""
    task: Task
    state: TaskState
    body: Json
    """What is told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One end that one webhook is told of."""

    id: str
    seq: int
    task_id: str
    event: str
    state: str
    """``pending``, ``delivered`` or ``failed``."""
    tries: int
    next_try_at: int
    error: Mapping[str, Any] | None
    """Why the last try did not arrive."""
    created_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery that is to be posted now, by whoever was given it."""

    id: str
    webhook: StoredWebhook
    task_id: str
    body: Json
    tries: int
    """How often it has been tried, this time included."""
    created_at: int


class Deliveries:
    """The deliveries of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def position(self) -> int | None:
        """Up to which event deliveries were made for every webhook; None if there is none that is switched on."""
        with self._database.read() as tx:
            return tx.execute(select(func.min(webhooks.c.seq)).where(webhooks.c.active)).scalar()

    def make(self, ends: Sequence[End], *, after: int, until: int) -> int:
        """Make the deliveries of ``ends``, which are all between ``after`` and ``until``; how many were new.

        Webhooks that are told of a part of them already are told of the rest.
        """
        now = self._clock.now()
        behind = webhooks.c.active & (webhooks.c.seq >= after) & (webhooks.c.seq < until)

        def work(tx: Connection) -> int:
            rows = tx.execute(select(webhooks).where(behind).order_by(webhooks.c.id).with_for_update()).all()
            found = []
            for row in rows:
                webhook = webhook_from(row)
                news = (end for end in ends if end.seq > row.seq)
                found += [_new_row(webhook, end, now) for end in news if webhook.wants.includes(end.task, end.state)]
            if found:
                tx.execute(insert(webhook_deliveries), found)
            tx.execute(update(webhooks).where(webhooks.c.id.in_([row.id for row in rows])).values(seq=until))
            return len(found)

        return self._database.transact(work)

    def due(self) -> list[str]:
        """The webhooks that something can be posted to now, those that waited longest at the front."""
        now = self._clock.now()
        statement = select(webhooks.c.id).where(webhooks.c.active, _is_free(now), exists().where(_is_due(now)))
        with self._database.read() as tx:
            return list(tx.execute(statement.order_by(webhooks.c.free_at, webhooks.c.id)).scalars())

    def take(self, webhook_id: str, *, busy_seconds: float) -> Due | None:
        """The first delivery of the webhook that is due, if nobody is posting to it.

        Nobody else is given one until it has :meth:`arrived` or :meth:`failed`, or ``busy_seconds`` are over.
        """
        now = self._clock.now()
        mine = webhooks.c.id == webhook_id
        busy = update(webhooks).where(mine, webhooks.c.active, _is_free(now), exists().where(_is_due(now)))
        first = select(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id, _is_due_by(now))

        def work(tx: Connection) -> Due | None:
            values = {"free_at": now + int(busy_seconds * 1_000_000)}
            webhook = tx.execute(busy.values(values).returning(*webhooks.c)).first()
            if webhook is None:
                return None
            row = tx.execute(first.order_by(webhook_deliveries.c.seq).limit(1).with_for_update()).first()
            if row is None:
                # Posted by another while this transaction waited for it.
                tx.execute(update(webhooks).where(mine).values(free_at=0))
                return None
            tries = row.tries + 1
            tx.execute(update(webhook_deliveries).where(webhook_deliveries.c.id == row.id).values(tries=tries))
            return Due(
                id=row.id,
                webhook=webhook_from(webhook),
                task_id=row.task_id,
                body=row.body,
                tries=tries,
                created_at=row.created_at,
            )

        return self._database.transact(work)

    def arrived(self, due: Due) -> bool:
        """Note that the receiver took it; false if another has tried it since."""
        values = {"state": "delivered", "error": None, "ended_at": self._clock.now()}
        return self._settle(due, values, {"free_at": 0, "failures": 0})

    def failed(
        self,
        due: Due,
        error: TaskError,
        *,
        again_seconds: float | None,
        pause_seconds: float,
        switch_off: bool = False,
    ) -> bool:
        """Note that it did not arrive, and why; without ``again_seconds``, it is given up.

        Nothing is posted to its webhook for ``pause_seconds``, nor at all if it is switched off. False if another has
        tried it since.
        """
        now = self._clock.now()
        values: dict[str, Any] = {"error": asdict(error)}
        if again_seconds is None:
            values |= {"state": "failed", "ended_at": now}
        else:
            values["next_try_at"] = now + int(again_seconds * 1_000_000)
        webhook = {"free_at": now + int(pause_seconds * 1_000_000), "failures": webhooks.c.failures + 1}
        return self._settle(due, values, {**webhook, "active": False} if switch_off else webhook)

    def _settle(self, due: Due, values: Mapping[str, Any], webhook: Mapping[str, Any]) -> bool:
        mine = (webhook_deliveries.c.id == due.id) & (webhook_deliveries.c.tries == due.tries) & delivery_is_pending

        def work(tx: Connection) -> bool:
            if not tx.execute(update(webhook_deliveries).where(mine).values(values)).rowcount:
                return False
            tx.execute(update(webhooks).where(webhooks.c.id == due.webhook.id).values(webhook))
            return True

        return self._database.transact(work)

    def page(
        self, webhook_id: str, *, states: Collection[str] = (), limit: int, before: int | None = None
    ) -> list[Delivery]:
        """A page of the webhook's deliveries, the latest end at the front."""
        condition = webhook_deliveries.c.webhook_id == webhook_id
        if states:
            condition &= webhook_deliveries.c.state.in_(sorted(states))
        if before is not None:
            condition &= webhook_deliveries.c.seq < before
        statement = select(*_SHOWN).where(condition).order_by(webhook_deliveries.c.seq.desc()).limit(limit)
        with self._database.read() as tx:
            return [_delivery(row) for row in tx.execute(statement)]

    def replay(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Let a delivery that has ended be posted once more, under the same id. Durable.

        :class:`NotFound` (``delivery_not_found``), :class:`Conflict` (``delivery_pending``).
        """
        mine = (webhook_deliveries.c.id == delivery_id) & (webhook_deliveries.c.webhook_id == webhook_id)
        now = self._clock.now()
        values = {"state": "pending", "tries": 0, "next_try_at": now, "error": None, "ended_at": None}
        with self._database.write(durable=True) as tx:
            changed = tx.execute(update(webhook_deliveries).where(mine, ~delivery_is_pending).values(values)).rowcount
            row = tx.execute(select(*_SHOWN).where(mine)).first()
        if row is None:
            raise NotFound("delivery_not_found", delivery_id=delivery_id)
        if not changed:
            raise Conflict("delivery_pending", delivery_id=delivery_id)
        return _delivery(row)

    def purge(self, *, before: int, limit: int) -> int:
        """Forget up to ``limit`` deliveries that were to be posted, for the last time, before a moment; how many."""
        old = select(webhook_deliveries.c.id).where(webhook_deliveries.c.next_try_at < before).limit(limit)
        with self._database.read() as tx:
            if tx.execute(old.limit(1)).first() is None:
                return 0
        with self._database.write() as tx:
            return tx.execute(delete(webhook_deliveries).where(webhook_deliveries.c.id.in_(old))).rowcount


_SHOWN = tuple(column for column in webhook_deliveries.c if column.name not in {"webhook_id", "body"})


def _delivery(row: Any) -> Delivery:
    return Delivery(**{column.name: getattr(row, column.name) for column in _SHOWN})


def _new_row(webhook: StoredWebhook, end: End, now: int) -> dict[str, Any]:
    return {
        # Made anew after a backup was restored, another event may have the same number; not so of the same task.
        "id": derived_id(webhook.id, f"{end.seq} {end.task.id}"),
        "webhook_id": webhook.id,
        "seq": end.seq,
        "task_id": end.task.id,
        "event": f"task.{end.state.value}",
        "body": dict(end.body),
        "state": "pending",
        "tries": 0,
        "next_try_at": now,
        "created_at": now,
    }


def _is_free(now: int) -> _Condition:
    return _has_come(webhooks.c.free_at, now)


def _is_due_by(now: int) -> _Condition:
    return delivery_is_pending & _has_come(webhook_deliveries.c.next_try_at, now)


def _has_come(moment: ColumnElement[int], now: int) -> _Condition:
    return or_(moment <= now, moment > now + int(_LONGEST_WAIT_SECONDS * 1_000_000))


def _is_due(now: int) -> _Condition:
    return (webhook_deliveries.c.webhook_id == webhooks.c.id) & _is_due_by(now)
