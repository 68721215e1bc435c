"""Looks at the rules when it is time to, keeps what they found, and tells who wants to be told.

Any number of processes may do so: one of them at a time looks at what all share, and one on each machine at that
machine. A worker's sweeper does, and the API as well, because somebody has to notice that there is no worker.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from gristmill.clock import Clock, to_rfc3339
from gristmill.db.alerts import Alert, Alerts, Notice, Settled
from gristmill.db.leaders import Leaders
from gristmill.errors import Forbidden, GristmillError, InvalidInput
from gristmill.ids import new_id
from gristmill.logs import get_log
from gristmill.monitoring.alerts import LOCAL_RULES, RULES, Snapshot, alarms, alert_message
from gristmill.settings import AlertSettings

__all__ = ["AlertWatch", "Tell"]

_log = get_log(__name__)

_PLACE = "alerts"
_STALE_CHECKS = 10
"""What a machine said of itself is over when it has said nothing for so many checks."""
_FIRST_PAUSE_SECONDS = 10.0
_LONGEST_PAUSE_SECONDS = 3600.0
_MOST_TRIES = 12
_KEPT_SECONDS = 30 * 24 * 3600

Tell = Callable[[str, Mapping[str, Any]], None]
"""Passes on one event under an id that a repetition has as well; raises if it did not arrive."""


class AlertWatch:
    """One process's share in watching."""

    def __init__(
        self,
        alerts: Alerts,
        leaders: Leaders,
        look: Callable[[], Snapshot],
        settings: AlertSettings,
        clock: Clock,
        *,
        host: str,
        language: str,
        tell: Tell | None = None,
    ) -> None:
        self._alerts = alerts
        self._leaders = leaders
        self._look = look
        self._settings = settings
        self._clock = clock
        self._host = host
        self._language = language
        self._tell = tell
        self._holder = new_id()
        self._telling = threading.Lock()

    def check(self) -> int:
        """Look at the rules whose turn it is; how many alerts that changed. Telling goes on beside it."""
        changed = self._check_shared() + self._check_host()
        if self._tell is not None and self._alerts.has_notice():
            # Whoever is told may be slow, and must hold up nothing.
            threading.Thread(target=self.tell_all, name="alerts", daemon=True).start()
        return changed

    def _check_shared(self) -> int:
        if not self._is_my_turn(_PLACE):
            return 0
        self._alerts.purge(resolved_before=self._clock.now() - _KEPT_SECONDS * 1_000_000)
        rules = RULES.keys() - LOCAL_RULES
        found = alarms(self._look(), self._settings, rules)
        return self._noted(self._alerts.settle(found, rules=rules, tell=self._tell is not None))

    def _check_host(self) -> int:
        if not self._is_my_turn(f"{_PLACE}@{self._host}"):
            return 0
        found = alarms(self._look(), self._settings, LOCAL_RULES)
        settled = self._alerts.settle(
            found,
            rules=LOCAL_RULES,
            subject=self._host,
            tell=self._tell is not None,
            stale_seconds=self._settings.check_seconds * _STALE_CHECKS,
        )
        return self._noted(settled)

    def _is_my_turn(self, place: str) -> bool:
        return self._leaders.take(place, self._holder, seconds=self._settings.check_seconds)

    @staticmethod
    def _noted(settled: Settled) -> int:
        for alert in settled.fired:
            write = _log.error if alert.severity == "critical" else _log.warning
            write(
                "alert.fired",
                rule=alert.rule,
                subject=alert.subject,
                alert=alert.id,
                message=alert_message(alert.rule, alert.facts),
            )
        for alert in settled.resolved:
            _log.info("alert.resolved", rule=alert.rule, subject=alert.subject, alert=alert.id)
        return len(settled.fired) + len(settled.resolved)

    def tell_all(self) -> int:
        """Tell of what is due, unless that is under way already; how many arrived."""
        if self._tell is None or not self._telling.acquire(blocking=False):
            return 0
        try:
            arrived = 0
            while notice := self._alerts.next_notice(again_seconds=_LONGEST_PAUSE_SECONDS):
                arrived += self._told(self._tell, notice)
            return arrived
        except GristmillError as error:
            _log.warning("alert.telling_failed", error=str(error))
            return arrived
        finally:
            self._telling.release()

    def _told(self, tell: Tell, notice: Notice) -> bool:
        alert = notice.alert
        try:
            tell(f"{alert.id}-{notice.event}", self._event(notice.event, alert))
        except GristmillError as error:
            # What the settings do not allow will not be allowed later.
            if notice.tries >= _MOST_TRIES or isinstance(error, Forbidden | InvalidInput):
                _log.error("alert.untold", alert=alert.id, rule=alert.rule, tries=notice.tries, error=str(error))
                self._alerts.told(notice.number)
            else:
                pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (notice.tries - 1))
                _log.warning("alert.not_told_yet", alert=alert.id, tries=notice.tries, error=str(error))
                self._alerts.try_again(notice.number, after_seconds=pause)
            return False
        self._alerts.told(notice.number)
        return True

    def _event(self, event: str, alert: Alert) -> Mapping[str, Any]:
        return {
            "event": f"alert.{event}",
            "id": alert.id,
            "rule": alert.rule,
            "severity": alert.severity,
            "subject": alert.subject,
            "message": alert_message(alert.rule, alert.facts, self._language),
            "facts": dict(alert.facts),
            "fired_at": to_rfc3339(alert.fired_at),
            "resolved_at": to_rfc3339(alert.resolved_at),
        }
