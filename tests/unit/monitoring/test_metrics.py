"""The metrics of a whole installation, as Prometheus itself reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from gristmill.app import Gristmill, open_gristmill
from gristmill.monitoring.alerts import Alarm
from gristmill.monitoring.metrics import METRICS
from gristmill.settings import Settings
from gristmill.tasks.model import Completed, Failed, Lost, Retried
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench, new_task

Values = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def app(tmp_path: Path, clock: TestClock) -> Iterator[Gristmill]:
    app = open_gristmill(Settings(data=tmp_path / "data"), clock=clock)
    yield app
    app.close()


def read(app: Gristmill) -> Values:
    """Every value by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(app.metrics.text())
        for sample in family.samples
    }


def test_what_happened_to_tasks_is_counted_by_kind_and_engine(app: Gristmill, clock: TestClock) -> None:
    bench = Bench(app.store)
    bench.ended(Completed())
    bench.ended(Failed(error=ERROR))
    bench.ended(Retried(error=ERROR, delay_seconds=60))
    bench.ended(Lost(reason="killed by SIGKILL"))
    bench.cancel(bench.add(engine="rq").id)

    found = read(app)

    assert found["gristmill_tasks_submitted_total", ("ping",)] == 5
    assert found["gristmill_tasks_ended_total", ("local", "ping", "completed")] == 1
    assert found["gristmill_tasks_ended_total", ("local", "ping", "failed")] == 1
    assert found["gristmill_tasks_ended_total", ("rq", "ping", "cancelled")] == 1
    assert found["gristmill_task_retries_total", ("local", "ping")] == 1
    assert found["gristmill_task_crashes_total", ("local", "ping")] == 1
    assert found["gristmill_lease_losses_total", ("local", "ping")] == 0


def test_worker_that_falls_silent_is_a_lease_loss_and_work_for_the_sweeper(app: Gristmill, clock: TestClock) -> None:
    Bench(app.store).started()
    app.sweeper.sweep()
    for _ in range(4):
        clock.pass_time(10)
        app.sweeper.sweep()

    found = read(app)

    assert found["gristmill_lease_losses_total", ("local", "ping")] == 1
    assert found["gristmill_sweep_work_total", ("workers.expired",)] == 1
    assert found["gristmill_workers", ()] == 0


def test_histogram_has_growing_buckets_that_end_in_all(app: Gristmill, clock: TestClock) -> None:
    bench = Bench(app.store)
    for seconds in (0.003, 0.2, 0.2, 4000):
        task = bench.started()
        clock.pass_time(seconds)
        bench.end(task, Completed())

    found = read(app)
    name, who = "gristmill_task_run_seconds", ("local", "ping")

    def bucket(end: str) -> float:
        return found[f"{name}_bucket", (who[0], who[1], end)]

    assert [bucket(end) for end in ("0.005", "0.1", "0.25", "1800.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert found[f"{name}_count", who] == 4
    assert found[f"{name}_sum", who] == pytest.approx(4000.403)


def test_alerts_and_queues_are_among_them(app: Gristmill, clock: TestClock) -> None:
    app.alerts.settle([Alarm(rule="no_worker", severity="critical")], rules=["no_worker"])
    app.store.add([new_task(engine="rq"), new_task(queue="images")])
    clock.pass_time(3)

    found = read(app)

    assert found["gristmill_alerts_firing", ("no_worker", "critical")] == 1
    assert found["gristmill_engine_ready_tasks", ("rq",)] == 1
    assert found["gristmill_queue_oldest_seconds", ("images",)] == 3
    assert found["gristmill_engine_up", ("local",)] == 1


def test_monitors_that_ask_at_the_same_time_are_told_the_same(app: Gristmill, clock: TestClock) -> None:
    before = app.metrics.text()
    app.store.add([new_task()])

    assert app.metrics.text() == before
    clock.pass_time(6)
    assert app.metrics.text() != before


def test_reading_them_walks_through_no_history(app: Gristmill, clock: TestClock) -> None:
    asked: list[str] = []
    Bench(app.store).ended(Completed())
    app.totals.store()
    with app.database.read() as tx:
        engine = tx.engine

    @event.listens_for(engine, "before_cursor_execute")
    def _note(_tx: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    app.metrics.text()
    app.alert_watch._look()
    event.remove(engine, "before_cursor_execute", _note)

    looks = [statement for statement in asked if "FROM task" in statement]
    assert len(looks) > 5
    with app.database.read() as tx:
        for look in looks:
            given = ("x",) * look.count("?")
            plan = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {look}", given)]
            assert [step for step in plan if step in ("SCAN tasks", "SCAN task_events")] == [], look


def test_every_name_ends_as_its_type_asks() -> None:
    for metric in METRICS.values():
        assert metric.name.startswith("gristmill_")
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert metric.name.endswith("_seconds") or metric.type != "histogram"
