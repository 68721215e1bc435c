"""What a worker tells those who watch: spans to a collector, lines about a task with its id, numbers, its version."""

import json
from collections.abc import Callable
from typing import Any

import gristmill
from gristmill.monitoring.tracing import span_id, trace_id
from tests.integration.worker.conftest import Mill
from tests.support.collector import Receiver, receiving
from tests.support.handlers import payload
from tests.support.waiting import eventually


def spans_at(receiver: Receiver) -> dict[str, list[tuple[int, int]]]:
    """Trace and parent of each span that arrived, by name."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found: dict[str, list[tuple[int, int]]] = {}
    for post in receiver.posts:
        for resource in ExportTraceServiceRequest.FromString(post.body).resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                ids = (int.from_bytes(span.trace_id, "big"), int.from_bytes(span.parent_span_id, "big"))
                found.setdefault(span.name, []).append(ids)
    return found


def test_spans_of_api_and_slot_meet_at_the_collector(make_mill: Callable[..., Mill]) -> None:
    with receiving() as receiver:
        mill = make_mill(tracing={"otlp_url": receiver.url("/v1/traces")})
        mill.start()
        task = mill.app.tasks.submit("ping", {})
        mill.ended(task)
        mill.stop()

        spans = spans_at(receiver)

    assert spans["submit ping"] == [(trace_id(task.id), 0)]
    assert spans["run ping"] == [(trace_id(task.id), span_id(task.id))]


def test_every_line_about_a_task_has_its_id(mill: Mill) -> None:
    mill.start()
    raised = mill.app.tasks.submit("crashing", payload(mill.folder))
    done = mill.app.tasks.submit("ping", {})
    mill.ended(raised)
    mill.ended(done)

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in mill.logs().splitlines() if line.startswith("{") and line.endswith("}")]

    def ids(event: str) -> set[str | None]:
        return {line.get("task_id") for line in lines() if line["event"].startswith(event)}

    # Written after the row is.
    eventually(lambda: done.id in ids("task.ended"))
    assert raised.id in ids("slot.ended")
    assert None not in ids("task.")


def test_worker_says_its_version_and_counts_what_was_done(mill: Mill) -> None:
    mill.start()
    task = mill.app.tasks.submit("ping", {})
    mill.ended(task)

    assert [worker.version for worker in mill.app.store.workers()] == [gristmill.__version__]
    text = mill.app.metrics.text()
    assert 'gristmill_tasks_ended_total{engine="local",kind="ping",state="completed"} 1.0' in text
    assert 'gristmill_task_run_seconds_count{engine="local",kind="ping"} 1.0' in text
    assert 'gristmill_task_wait_seconds_bucket{engine="local",kind="ping",le="+Inf"} 1.0' in text
