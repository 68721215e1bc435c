"""What operators see and do over HTTP."""

import logging
import re
from pathlib import Path

import pytest
import requests

from gristmill.monitoring.alerts import Alarm
from tests.support.service import Service, serving
from tests.support.tasks import new_task, new_worker
from tests.support.waiting import eventually


def test_every_point_of_a_tasks_way_can_be_listed(api: Service) -> None:
    worker = new_worker(host="elsewhere", version="0.1.0")
    api.app.store.register_worker(worker)
    ready, scheduled, running = api.app.store.add(
        [new_task(), new_task(scheduled_at=2**52), new_task(queue="documents")]
    )
    api.app.store.claim(worker.id, queues=["documents"], kinds=["ping"])

    for name, task in (("active", running), ("reserved", ready), ("scheduled", scheduled)):
        (seen,) = api.data(api.get(f"/api/monitor/{name}"))["tasks"]
        assert seen["id"] == task.id
    (seen_worker,) = api.data(api.get("/api/monitor/workers"))["workers"]
    queues = {queue["queue"]: queue for queue in api.data(api.get("/api/monitor/queues"))["queues"]}
    assert (seen_worker["alive"], seen_worker["version"], seen_worker["slots"]) == (True, "0.1.0", 1)
    assert (queues["default"]["waiting"], queues["default"]["scheduled"], queues["documents"]["active"]) == (1, 1, 1)
    assert queues["documents"]["oldest_seconds"] is None
    assert api.data(api.get("/api/monitor/stats")) == {
        "workers": 1,
        "slots": 1,
        "tasks": {"pending": 2, "processing": 1},
    }
    kinds = {kind["kind"]: kind for kind in api.data(api.get("/api/monitor/registered"))["kinds"]}
    assert kinds["index_document"]["queue"] == "documents"


def test_health_is_told_in_words_and_numbers(api: Service) -> None:
    without = api.data(api.get("/api/monitor/health", headers={"Accept-Language": "zh"}))
    api.app.store.register_worker(new_worker(host="elsewhere"))

    assert (without["status"], without["active_workers"], without["worker_names"]) == ("unhealthy", 0, [])
    assert "工作进程" in without["reason"]
    assert api.data(api.get("/api/monitor/health")) == {
        "status": "healthy",
        "reason": None,
        "active_workers": 1,
        "worker_names": ["local@worker-1"],
    }


def test_purge_needs_a_key_that_may_write_and_a_queue_that_exists(api: Service) -> None:
    waiting, other = api.app.store.add([new_task(), new_task(queue="documents")])
    _, reader = api.app.keys.create("reader", "read")
    _, writer = api.app.keys.create("writer", "write")

    refused = api.post("/api/monitor/queues/default/purge", headers={"X-API-Key": reader})
    unknown = api.post("/api/monitor/queues/nowhere/purge", headers={"X-API-Key": writer})
    purged = api.post("/api/monitor/queues/default/purge", headers={"X-API-Key": writer})

    assert (refused.status_code, unknown.status_code) == (403, 404)
    assert unknown.json()["code"] == "queue_unknown"
    assert api.data(purged) == {"count": 1}
    assert [api.app.tasks.get(task.id).state for task in (waiting, other)] == ["cancelled", "pending"]


def test_alerts_are_listed_while_they_hold_and_afterwards_if_asked(api: Service) -> None:
    alarm = Alarm(rule="no_worker", severity="critical", facts={"waiting": 2})
    api.app.alerts.settle([alarm], rules=["no_worker"])
    (firing,) = api.data(api.get("/api/alerts"))["alerts"]
    api.app.alerts.settle([], rules=["no_worker"])
    (resolved,) = api.data(api.get("/api/alerts?resolved=true"))["alerts"]

    assert (firing["rule"], firing["severity"], firing["state"]) == ("no_worker", "critical", "firing")
    assert "2 tasks wait" in firing["message"]
    assert (resolved["id"], resolved["state"]) == (firing["id"], "resolved")
    assert api.data(api.get("/api/alerts"))["alerts"] == []


def test_api_notices_by_itself_that_there_is_no_worker(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {"alerts": {"check_seconds": 1}}) as api:

        def fired() -> bool:
            return [alert["rule"] for alert in api.data(api.get("/api/alerts"))["alerts"]] == ["no_worker"]

        eventually(fired, seconds=20)
        text = requests.get(f"{api.url}/metrics", timeout=20).text

        assert re.search(r'^gristmill_alerts_firing\{rule="no_worker",severity="critical"\} 1', text, re.MULTILINE)


def test_submission_is_logged_with_the_id_of_the_task(api: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="gristmill"):
        task = api.data(api.post("/api/tasks", json={"kind": "ping", "payload": {"note": "secret words"}}))

    facts = [record.__dict__["gristmill_facts"] for record in caplog.records if record.message == "task.submitted"]
    assert facts == [{"task_id": task["id"], "kind": "ping", "queue": "default", "engine": "local"}]
    assert "secret words" not in caplog.text
