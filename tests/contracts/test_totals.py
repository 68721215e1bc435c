"""Running totals: every event once, each time in its bucket, whoever stores them and however little history is left."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete

from gristmill.db.database import Database
from gristmill.db.schema import task_events
from gristmill.db.totals import BOUNDS, CRASHED, LEASE_LOST, Series, Times, TotalCounts, Totals
from gristmill.tasks.model import Completed, Failed, Lost, Retried
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, OUTCOMES, STATES, WORKER, Bench, new_task

PING = Series("ping", "local")


@pytest.fixture
def totals(task_database: Database, task_clock: TestClock) -> Totals:
    return Totals(task_database, task_clock)


def buckets(times: Times) -> dict[float, int]:
    """Those that hold something, by their upper end."""
    ends = [*BOUNDS, float("inf")]
    return {end: count for end, count in zip(ends, times.counts, strict=True) if count}


def events_of(counts: TotalCounts, series: Series = PING) -> dict[str, int]:
    return {event: count for (mine, event), count in counts.events.items() if mine == series}


def test_wait_runs_from_when_a_task_could_be_claimed(bench: Bench, totals: Totals, task_clock: TestClock) -> None:
    task = bench.add()
    task_clock.pass_time(3)
    bench.end(bench.take(task.id), Completed())

    assert buckets(totals.read().waits[PING]) == {5.0: 1}
    assert totals.read().waits[PING].seconds == pytest.approx(3)


def test_delay_of_a_scheduled_task_is_no_wait(bench: Bench, totals: Totals, task_clock: TestClock) -> None:
    task = bench.add(scheduled_at=task_clock.now() + 100_000_000)
    task_clock.pass_time(102)
    bench.store.promote_due()
    bench.take(task.id)

    assert totals.read().waits[PING].seconds == pytest.approx(2)


def test_each_attempt_waits_and_runs_on_its_own(bench: Bench, totals: Totals, task_clock: TestClock) -> None:
    task = bench.started()
    task_clock.pass_time(0.2)
    bench.end(task, Retried(error=ERROR, delay_seconds=60))
    task_clock.pass_time(61)
    bench.store.promote_due()
    task = bench.take(task.id)
    task_clock.pass_time(20)
    bench.end(task, Completed())

    found = totals.read()
    assert buckets(found.runs[PING]) == {0.25: 1, 30.0: 1}
    assert buckets(found.waits[PING]) == {0.005: 1, 1.0: 1}
    assert events_of(found)["retry_scheduled"] == 1


def test_pause_for_children_is_no_run(bench: Bench, totals: Totals, task_clock: TestClock) -> None:
    _, (child,) = bench.waiting()
    task_clock.pass_time(500)
    bench.end(bench.take(child.id), Completed())

    assert buckets(totals.read().runs[PING]) == {0.005: 2}


def test_task_that_never_ran_has_no_run(bench: Bench, totals: Totals) -> None:
    task = bench.add()
    bench.cancel(task.id)

    assert totals.read().runs == {}
    assert events_of(totals.read())["cancelled"] == 1


def test_request_to_cancel_between_claim_and_end_hides_no_run(bench: Bench, totals: Totals) -> None:
    task = STATES["cancel_asked"](bench)
    bench.end(task, OUTCOMES["cancelled"](task))

    assert sum(totals.read().runs[PING].counts) == 1


def test_silent_worker_is_told_from_a_process_that_died(bench: Bench, totals: Totals) -> None:
    bench.ended(Lost(reason="killed by SIGKILL"))
    bench.started()
    bench.store.remove_worker(WORKER, Lost(reason="heartbeat stopped"))

    found = events_of(totals.read())
    assert (found[CRASHED], found[LEASE_LOST], found["worker_lost"]) == (1, 1, 2)


@pytest.mark.parametrize("looks", [0, 1, 5])
def test_totals_are_the_same_however_often_they_were_stored(bench: Bench, totals: Totals, looks: int) -> None:
    for number in range(5):
        bench.ended(Completed() if number else Failed(error=ERROR))
        if number < looks:
            totals.store()

    found = totals.read()
    assert events_of(found) == {"submitted": 5, "claimed": 5, "completed": 4, "failed": 1}
    assert sum(found.waits[PING].counts) == sum(found.runs[PING].counts) == 5


def test_totals_outlive_the_history(bench: Bench, totals: Totals, task_clock: TestClock) -> None:
    for _ in range(3):
        bench.ended(Completed())
    totals.store()
    task_clock.pass_time(60)

    assert bench.store.purge(finished_before=task_clock.now(), limit=10) == 3
    bench.ended(Completed())

    assert events_of(totals.read())["completed"] == 4


def test_several_that_store_at_once_count_every_event_once(bench: Bench, totals: Totals) -> None:
    bench.store.add([new_task() for _ in range(300)])

    with ThreadPoolExecutor(4) as pool:
        stored = sum(pool.map(lambda _: totals.store(), range(12)))

    assert stored == 300
    assert events_of(totals.read()) == {"submitted": 300}


def test_event_that_is_committed_late_is_not_passed_over(
    bench: Bench, totals: Totals, task_database: Database, task_clock: TestClock
) -> None:
    bench.add()
    late = bench.add()
    bench.add()
    with task_database.write() as tx:
        kept = tx.execute(delete(task_events).where(task_events.c.task_id == late.id).returning(*task_events.c)).one()
    totals.store()
    before = events_of(totals.read())

    with task_database.write() as tx:
        tx.execute(task_events.insert().values(**kept._mapping))

    assert before == {"submitted": 1}
    assert events_of(totals.read()) == {"submitted": 3}


def test_number_that_was_never_used_holds_up_nothing_for_long(
    bench: Bench, totals: Totals, task_database: Database, task_clock: TestClock
) -> None:
    bench.add()
    unused = bench.add()
    bench.add()
    with task_database.write() as tx:
        tx.execute(delete(task_events).where(task_events.c.task_id == unused.id))

    task_clock.pass_time(31)

    assert events_of(totals.read()) == {"submitted": 2}


def test_what_sweeps_had_to_do_is_added_up(totals: Totals) -> None:
    totals.add_duties({"history.purged": 3})
    totals.add_duties({})
    totals.add_duties({"history.purged": 2, "workers.expired": 1})

    assert totals.read().duties == {"history.purged": 5, "workers.expired": 1}
