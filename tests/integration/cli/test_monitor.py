"""What an operator types: look at what waits, empty a queue, ask for alerts, and have the doctor name what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.monitoring.alerts import Alarm
from gristmill.settings import Settings
from tests.integration.cli.terminal import Terminal
from tests.support.tasks import new_task, new_worker
from tests.support.valkey import own_server


@pytest.fixture
def app(terminal: Terminal) -> Iterator[Gristmill]:
    """The Gristmill of the terminal's data directory."""
    app = open_gristmill(Settings(data=terminal.data))
    yield app
    app.close()


def test_what_waits_is_shown_where_it_waits(terminal: Terminal, app: Gristmill) -> None:
    ready, scheduled = app.store.add([new_task(), new_task(scheduled_at=2**52)])

    assert [task["task_id"] for task in terminal.json("inspect", "reserved")["tasks"]] == [ready.id]
    assert [task["task_id"] for task in terminal.json("inspect", "scheduled")["tasks"]] == [scheduled.id]
    assert terminal.json("inspect", "active")["tasks"] == []
    queues = {queue["queue"]: queue for queue in terminal.json("inspect", "queues")["queues"]}
    assert (queues["default"]["waiting"], queues["default"]["scheduled"]) == (1, 1)


def test_purge_asks_somebody_or_needs_to_be_told(terminal: Terminal, app: Gristmill) -> None:
    (task,) = app.store.add([new_task()])

    refused = terminal.run("inspect", "purge", "default", typed="y\n")
    unknown = terminal.run("inspect", "purge", "nowhere", "--yes")
    before = app.store.get(task.id).state
    purged = terminal.json("inspect", "purge", "default", "--yes")

    assert (refused.code, unknown.code, before) == (2, 1, "pending")
    assert "--yes" in refused.err
    assert "default, documents" in unknown.err
    assert purged == {"queue": "default", "cancelled": 1}
    assert app.store.get(task.id).state == "cancelled"


def test_alerts_exit_with_1_while_a_critical_one_holds(terminal: Terminal, app: Gristmill) -> None:
    quiet = terminal.run("alerts")
    app.alerts.settle([Alarm(rule="no_worker", severity="critical", facts={"waiting": 4})], rules=["no_worker"])
    loud = terminal.run("alerts")
    chinese = terminal.run("alerts", "--json", environment={"GRISTMILL_LANGUAGE": "zh"})

    assert (quiet.code, loud.code) == (0, 1)
    assert "4 tasks wait" in loud.out
    assert "4 个任务" in chinese.json["alerts"][0]["message"]


def test_doctor_names_a_broker_without_a_password_and_workers_that_do_not_fit(
    terminal: Terminal, app: Gristmill, tmp_path: Path
) -> None:
    app.store.register_worker(new_worker(host="elsewhere", version="0.0.1", queues=("documents",)))
    app.store.add([new_task(engine="rq")])

    with own_server(tmp_path / "broker", password="open sesame") as broker:
        done = terminal.run("doctor", "--json", environment={"REDIS_URL": f"redis://127.0.0.1:{broker.port}/0"})

    checks = {check["code"]: check for check in done.json["checks"]}
    assert done.code == 3
    assert "NOAUTH" in checks["doctor_broker_auth"]["detail"]
    assert "GRISTMILL_REDIS__PASSWORD" in checks["doctor_broker_auth"]["remedy"]
    assert "--engine rq" in checks["doctor_engine_deaf"]["remedy"]
    assert "0.0.1" in checks["doctor_versions_differ"]["detail"]
    assert "default" in checks["doctor_queues_deaf"]["detail"]
