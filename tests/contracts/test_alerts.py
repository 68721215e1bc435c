"""Kept alerts: a condition fires once and is resolved once, and whoever is to be told is told in order."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gristmill.db.alerts import Alerts, Settled
from gristmill.db.database import Database
from gristmill.db.leaders import Leaders
from gristmill.monitoring.alerts import RULES, Alarm, alert_message
from tests.support.clock import TestClock

DAY = 24 * 3600
NO_WORKER = Alarm(rule="no_worker", severity="critical", facts={"waiting": 3})


def memory(host: str) -> Alarm:
    return Alarm(rule="memory_high", severity="warning", subject=host, facts={"host": host, "percent": 90, "most": 80})


@pytest.fixture
def alerts(task_database: Database, task_clock: TestClock) -> Alerts:
    return Alerts(task_database, task_clock)


@pytest.fixture
def settle(alerts: Alerts) -> Callable[[Sequence[Alarm]], Settled]:
    return lambda found: alerts.settle(found, rules=RULES.keys(), tell=True)


def names(settled: Settled) -> tuple[list[str], list[str]]:
    return [alert.rule for alert in settled.fired], [alert.rule for alert in settled.resolved]


def test_condition_fires_once_and_is_resolved_once(
    settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts, task_clock: TestClock
) -> None:
    looks = [names(settle(found)) for found in ([NO_WORKER], [NO_WORKER], [], [])]

    assert looks == [(["no_worker"], []), ([], []), ([], ["no_worker"]), ([], [])]
    assert alerts.firing() == []
    assert [alert.resolved_at for alert in alerts.latest(limit=5)] == [task_clock.now()]


def test_condition_that_comes_back_is_a_new_alert(
    settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts, task_clock: TestClock
) -> None:
    for found in ([NO_WORKER], [], [NO_WORKER]):
        settle(found)
        task_clock.pass_time(1)

    assert [alert.resolved_at is None for alert in alerts.latest(limit=5)] == [True, False]


def test_firing_alert_tells_the_latest_facts(settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts) -> None:
    settle([NO_WORKER])
    settle([Alarm(rule="no_worker", severity="critical", facts={"waiting": 8})])

    (alert,) = alerts.firing()
    assert alert.facts == {"waiting": 8}
    assert "8 tasks wait" in alert_message(alert.rule, alert.facts)
    assert "8 个任务" in alert_message(alert.rule, alert.facts, "zh")


def test_many_that_notice_at_once_fire_it_once(alerts: Alerts) -> None:
    with ThreadPoolExecutor(6) as pool:
        looks = list(pool.map(lambda _: alerts.settle([NO_WORKER], rules=["no_worker"]), range(12)))

    assert sum(len(look.fired) for look in looks) == 1
    assert len(alerts.latest(limit=5)) == 1


def test_machine_resolves_what_it_said_and_not_what_others_did(alerts: Alerts) -> None:
    for host in ("mill", "weir"):
        alerts.settle([memory(host)], rules=["memory_high"], subject=host, stale_seconds=300)

    over = alerts.settle([], rules=["memory_high"], subject="mill", stale_seconds=300)

    assert [alert.subject for alert in over.resolved] == ["mill"]
    assert [alert.subject for alert in alerts.firing()] == ["weir"]


def test_what_a_machine_said_is_over_when_it_says_nothing_more(alerts: Alerts, task_clock: TestClock) -> None:
    alerts.settle([memory("gone")], rules=["memory_high"], subject="gone", stale_seconds=300)
    task_clock.pass_time(301)

    over = alerts.settle([], rules=["memory_high"], subject="mill", stale_seconds=300)

    assert [alert.subject for alert in over.resolved] == ["gone"]


def test_other_rules_stay_as_they_are(alerts: Alerts) -> None:
    alerts.settle([NO_WORKER], rules=["no_worker"])

    assert alerts.settle([], rules=["memory_high"]) == Settled()
    assert len(alerts.firing()) == 1


def test_notices_of_one_alert_are_told_in_order(
    settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts, task_clock: TestClock
) -> None:
    settle([NO_WORKER])
    settle([])
    first = alerts.next_notice(again_seconds=60)
    while_it_is_told = alerts.next_notice(again_seconds=60)

    assert first is not None
    assert (first.event, first.tries) == ("fired", 1)
    assert while_it_is_told is None

    task_clock.pass_time(61)
    again = alerts.next_notice(again_seconds=60)
    assert again is not None
    assert (again.number, again.tries) == (first.number, 2)

    alerts.told(first.number)
    second = alerts.next_notice(again_seconds=60)
    assert second is not None
    assert second.event == "resolved"
    assert second.alert.resolved_at is not None


def test_notice_that_shall_wait_waits(
    settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts, task_clock: TestClock
) -> None:
    settle([NO_WORKER])
    notice = alerts.next_notice(again_seconds=3600)
    assert notice is not None

    alerts.try_again(notice.number, after_seconds=10)

    assert alerts.next_notice(again_seconds=60) is None
    task_clock.pass_time(10)
    assert alerts.next_notice(again_seconds=60) is not None


def test_nobody_is_left_a_notice_where_nobody_listens(alerts: Alerts) -> None:
    alerts.settle([NO_WORKER], rules=["no_worker"])

    assert alerts.next_notice(again_seconds=60) is None


def test_old_alerts_are_forgotten_with_what_was_left_to_tell(
    settle: Callable[[Sequence[Alarm]], Settled], alerts: Alerts, task_clock: TestClock
) -> None:
    settle([NO_WORKER])
    settle([])
    task_clock.pass_time(DAY)
    settle([NO_WORKER])

    assert alerts.purge(resolved_before=task_clock.now()) == 1
    assert [alert.resolved_at for alert in alerts.latest(limit=5)] == [None]
    notice = alerts.next_notice(again_seconds=60)
    assert notice is not None
    assert notice.alert.resolved_at is None


def test_place_is_taken_by_one_until_its_time_is_over(task_database: Database, task_clock: TestClock) -> None:
    leaders = Leaders(task_database, task_clock)

    with ThreadPoolExecutor(6) as pool:
        taken = list(pool.map(lambda holder: leaders.take("alerts", f"h{holder}", seconds=30), range(12)))
    again = leaders.take("alerts", "h0", seconds=30)
    other = leaders.take("other", "h0", seconds=30)
    task_clock.pass_time(30)

    assert sum(taken) == 1
    assert (again, other) == (False, True)
    assert leaders.take("alerts", "h1", seconds=30)


def test_place_taken_by_a_clock_that_was_wrong_is_free(task_database: Database, task_clock: TestClock) -> None:
    leaders = Leaders(task_database, task_clock)
    task_clock.jump(DAY)
    leaders.take("alerts", "ahead", seconds=30)

    task_clock.jump(-DAY)

    assert leaders.take("alerts", "here", seconds=30)
