"""Alerts: which conditions hold, since when, and who still has to be told.

The rows make a condition fire once, however many processes notice it and however often they start anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import ColumnElement, delete, exists, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import alert_notices, alerts
from gristmill.ids import new_id

__all__ = ["Alert", "Alerts", "Condition", "Notice", "Settled"]


class Condition(Protocol):
    """Something that holds at the moment and somebody should know of."""

    @property
    def rule(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition from when it was first noticed until it was no more."""

    id: str
    rule: str
    subject: str
    severity: str
    facts: Mapping[str, Any]
    """As they were when it was last seen."""
    fired_at: int
    seen_at: int
    resolved_at: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a look changed."""

    fired: Sequence[Alert] = ()
    resolved: Sequence[Alert] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell: that ``alert`` has ``fired``, or was ``resolved``."""

    number: int
    event: str
    tries: int
    """How often it has been tried, this time included."""
    alert: Alert = field(repr=False)


class Alerts:
    """The alerts of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def settle(
        self,
        conditions: Sequence[Condition],
        *,
        rules: Collection[str],
        subject: str | None = None,
        tell: bool = False,
        stale_seconds: float | None = None,
    ) -> Settled:
        """Make ``conditions`` all that holds of ``rules``, or of what they say about ``subject`` alone.

        Those that are new fire, those that are gone are resolved, and so is, of the same rules, what nobody has seen
        for ``stale_seconds``. With ``tell``, each change leaves a notice.
        """
        now = self._clock.now()
        stale_before = None if stale_seconds is None else now - int(stale_seconds * 1_000_000)

        def change(tx: Connection) -> Settled:
            statement = select(alerts).where(alerts.c.resolved_at.is_(None), alerts.c.rule.in_(sorted(rules)))
            firing = {(row.rule, row.subject): _alert(row) for row in tx.execute(statement)}
            holding = {(condition.rule, condition.subject): condition for condition in conditions}
            fired = [_fired(tx, condition, now) for key, condition in holding.items() if key not in firing]
            for key, alert in firing.items():
                if key in holding:
                    values = {"seen_at": now, "facts": dict(holding[key].facts)}
                    tx.execute(update(alerts).where(alerts.c.id == alert.id).values(values))
            over = [
                alert
                for key, alert in firing.items()
                if key not in holding
                and (subject in (None, alert.subject) or (stale_before is not None and alert.seen_at < stale_before))
            ]
            for alert in over:
                tx.execute(update(alerts).where(alerts.c.id == alert.id).values(resolved_at=now))
            if tell:
                _leave(tx, fired, "fired", now)
                _leave(tx, over, "resolved", now)
            return Settled(fired=fired, resolved=over)

        if not conditions and not self.firing(rules=rules):
            return Settled()
        return self._database.transact(change)

    def firing(self, *, rules: Collection[str] | None = None) -> list[Alert]:
        """What holds now, the latest at the front."""
        condition: ColumnElement[bool] = alerts.c.resolved_at.is_(None)
        if rules is not None:
            condition &= alerts.c.rule.in_(sorted(rules))
        return self._find(condition, limit=None)

    def latest(self, *, limit: int) -> list[Alert]:
        """What fired last, whether it still holds or not."""
        return self._find(None, limit=limit)

    def _find(self, condition: ColumnElement[bool] | None, *, limit: int | None) -> list[Alert]:
        statement = select(alerts).order_by(alerts.c.fired_at.desc(), alerts.c.id.desc()).limit(limit)
        if condition is not None:
            statement = statement.where(condition)
        with self._database.read() as tx:
            return [_alert(row) for row in tx.execute(statement)]

    def has_notice(self) -> bool:
        """Whether somebody may have to be told something by now."""
        due = alert_notices.c.next_try_at <= self._clock.now()
        with self._database.read() as tx:
            return tx.execute(select(alert_notices.c.number).where(due).limit(1)).first() is not None

    def next_notice(self, *, again_seconds: float) -> Notice | None:
        """The next notice that is due; if it is not :meth:`told` until then, it is due again after ``again_seconds``.

        Of each alert, what happened first is told first. Two that ask get different notices.
        """
        now = self._clock.now()
        earlier = alert_notices.alias("earlier")
        first = ~exists().where(
            earlier.c.alert_id == alert_notices.c.alert_id, earlier.c.number < alert_notices.c.number
        )
        due = select(alert_notices.c.number).where(alert_notices.c.next_try_at <= now, first).limit(1)

        def take(tx: Connection) -> Notice | None:
            number = tx.execute(due.with_for_update(skip_locked=True)).scalar()
            if number is None:
                return None
            mine = alert_notices.c.number == number
            values = {"tries": alert_notices.c.tries + 1, "next_try_at": now + int(again_seconds * 1_000_000)}
            row = tx.execute(update(alert_notices).where(mine).values(values).returning(*alert_notices.c)).one()
            alert = _alert(tx.execute(select(alerts).where(alerts.c.id == row.alert_id)).one())
            return Notice(number=number, event=row.event, tries=row.tries, alert=alert)

        with self._database.read() as tx:
            if tx.execute(due).first() is None:
                return None
        return self._database.transact(take)

    def told(self, number: int) -> None:
        """Forget a notice: whom it concerns knows, or will never listen."""
        with self._database.write() as tx:
            tx.execute(delete(alert_notices).where(alert_notices.c.number == number))

    def try_again(self, number: int, *, after_seconds: float) -> None:
        """Let a notice be due again after ``after_seconds``."""
        due_at = self._clock.now() + int(after_seconds * 1_000_000)
        with self._database.write() as tx:
            tx.execute(update(alert_notices).where(alert_notices.c.number == number).values(next_try_at=due_at))

    def purge(self, *, resolved_before: int) -> int:
        """Forget alerts that were resolved before the given time; how many."""
        old = alerts.c.resolved_at < resolved_before
        with self._database.read() as tx:
            if tx.execute(select(alerts.c.id).where(old).limit(1)).first() is None:
                return 0
        with self._database.write() as tx:
            return tx.execute(delete(alerts).where(old)).rowcount


def _alert(row: Any) -> Alert:
    return Alert(**{column.name: getattr(row, column.name) for column in alerts.c})


def _fired(tx: Connection, condition: Condition, now: int) -> Alert:
    alert = Alert(
        id=new_id(),
        rule=condition.rule,
        subject=condition.subject,
        severity=condition.severity,
        facts=dict(condition.facts),
        fired_at=now,
        seen_at=now,
        resolved_at=None,
    )
    tx.execute(insert(alerts).values({column.name: getattr(alert, column.name) for column in alerts.c}))
    return alert


def _leave(tx: Connection, changed: Iterable[Alert], event: str, now: int) -> None:
    rows = [{"alert_id": alert.id, "event": event, "tries": 0, "next_try_at": now} for alert in changed]
    if rows:
        tx.execute(insert(alert_notices), rows)
