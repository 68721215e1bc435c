"""What probes, monitors and readers of the reference see."""

import re
from typing import Any

from gristmill.monitoring.metrics import METRICS
from tests.support.service import Service
from tests.support.tasks import new_task, new_worker

METHODS = {"get", "post", "put", "patch", "delete"}
PUBLIC = {"/health/live", "/health/ready"}


def operations(api: Service) -> list[tuple[str, str, dict[str, Any]]]:
    paths = api.get("/openapi.json").json()["paths"]
    return [
        (path, method, found) for path, item in paths.items() for method, found in item.items() if method in METHODS
    ]


def metrics(api: Service) -> dict[str, float]:
    lines = api.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_liveness_asks_nobody(used: Service) -> None:
    assert used.get("/health/live").json()["status"] == "alive"


def test_readiness_needs_a_worker(api: Service) -> None:
    without = api.get("/health/ready")
    api.app.store.register_worker(new_worker(host="elsewhere"))
    api.app.store.heartbeat("worker-1")
    with_one = api.get("/health/ready")

    assert without.status_code == 503
    assert without.json()["status"] == "unhealthy"
    assert "gristmill worker" in without.json()["reason"]
    assert with_one.status_code == 200
    assert with_one.json() == {
        "status": "healthy",
        "reason": None,
        "active_workers": 1,
        "worker_names": ["local@worker-1"],
    }


def test_readiness_names_no_worker_to_strangers(api: Service) -> None:
    _, secret = api.app.keys.create("probe", "read")
    api.app.store.register_worker(new_worker(host="elsewhere"))

    assert api.get("/health/ready").json()["worker_names"] == []
    assert api.get("/health/ready").json()["active_workers"] == 1
    assert api.get("/health/ready", headers={"X-API-Key": secret}).json()["worker_names"] == ["local@worker-1"]


def test_metrics_count_tasks_queues_and_workers(api: Service) -> None:
    done, *_ = api.app.store.add(
        [
            new_task(),
            new_task(queue="documents"),
            new_task(queue="documents", scheduled_at=2**52),
            new_task(queue="own"),
        ]
    )
    api.app.tasks.cancel_one(done.id)
    api.app.store.register_worker(new_worker(slots=3, name='a "b"'))

    response = api.get("/metrics")
    found = metrics(api)

    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found['gristmill_tasks{state="pending"}'] == 3
    assert found['gristmill_tasks_submitted_total{kind="ping"}'] == 4
    assert found['gristmill_tasks_ended_total{engine="local",kind="ping",state="cancelled"}'] == 1
    assert found['gristmill_queue_ready_tasks{queue="documents"}'] == 1
    assert found['gristmill_queue_scheduled_tasks{queue="documents"}'] == 1
    assert found['gristmill_queue_ready_tasks{queue="own"}'] == 1
    assert 0 < found['gristmill_queue_oldest_seconds{queue="documents"}'] < 60
    assert found['gristmill_queue_oldest_seconds{queue="images"}'] == 0
    assert found["gristmill_workers"] == 1
    assert found["gristmill_live_workers"] == 1
    assert found["gristmill_worker_slots"] == 3
    assert 0 <= found['gristmill_worker_beat_age_seconds{worker="a \\"b\\""}'] < 60


def test_every_metric_is_declared_and_says_what_it_is(used: Service) -> None:
    text = used.get("/metrics").text

    for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE):
        metric = METRICS[name]
        assert f"# HELP {name} {metric.help}\n# TYPE {name} {metric.type}\n" in text
    for metric in METRICS.values():
        assert f"# TYPE {metric.name} " in text


def test_every_endpoint_is_explained_with_an_example_and_its_refusals(used: Service) -> None:
    found = operations(used)

    assert len(found) > 25
    for path, method, operation in found:
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["description"]) > len(operation["summary"]), where
        good = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert good, where
        for answer in good.values():
            assert all("example" in content for content in answer["content"].values()), where
        if path in PUBLIC:
            continue
        assert operation["security"], where
        assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), where
        for status, answer in operation["responses"].items():
            # What is not modified has nothing to say.
            if not status.startswith(("2", "304")) and (path, status) != ("/metrics", "200"):
                examples = answer["content"]["application/problem+json"]["examples"]
                assert all(example["value"]["code"] == code for code, example in examples.items()), where


def test_every_parameter_and_field_of_a_request_is_explained(used: Service) -> None:
    reference = used.get("/openapi.json").json()

    for path, method, operation in operations(used):
        for parameter in operation.get("parameters", []):
            assert parameter.get("description") or parameter["schema"].get("description"), (method, path, parameter)
    for name, schema in reference["components"]["schemas"].items():
        if name.endswith(("Body", "Selection", "Query", "Priority", "Filters")):
            for field, rule in schema["properties"].items():
                known = rule.get("description") or "$ref" in rule or "allOf" in rule
                assert known, (name, field)


def test_reference_page_loads_nothing_from_elsewhere(used: Service) -> None:
    page = used.get("/docs")

    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "//" not in page.text.replace("<!doctype html>", "")
    for part in ("/docs/page.js", "/docs/page.css"):
        assert part in page.text
        assert used.get(part).ok
