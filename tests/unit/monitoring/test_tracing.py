"""Spans: a submission and the attempts that follow from it are one trace, in whatever process they are made."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span, use_span

from gristmill.app import Gristmill, open_gristmill
from gristmill.app.tracing import TracedTaskService
from gristmill.errors import InvalidInput, Unavailable
from gristmill.monitoring.tracing import NO_TRACING, OtelTracing, span_id, trace_id
from gristmill.settings import Settings
from gristmill.settings.model import TracingSettings
from gristmill.tasks.context import CancelRequested
from gristmill.tasks.model import Failed, Task, TaskError, Waiting
from tests.support.tasks import new_task


class Traces:
    """A service and a worker that trace, each as a process of its own would."""

    def __init__(self, app: Gristmill) -> None:
        self.app = app
        self.exporter = InMemorySpanExporter()
        self.submitter, self.runner = (
            OtelTracing(TracingSettings(), app.store.get, processor=SimpleSpanProcessor(self.exporter))
            for _ in range(2)
        )
        self.tasks = TracedTaskService(self.submitter, app.store, app.engine, app.kinds, app.clock)

    def run(self, task: Task, answer: Any) -> None:
        def handle(_context: Any, _payload: Any) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        handler = self.runner.handlers({task.kind: handle})[task.kind]
        context: Any = SimpleNamespace(task=task)
        handler(context, None)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Traces]:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    traces = Traces(app)
    yield traces
    traces.submitter.close()
    traces.runner.close()
    app.close()


def test_attempt_is_under_the_submission_it_follows_from(traces: Traces) -> None:
    task = replace(traces.tasks.submit("ping", {"note": "secret words"}), attempt=2)
    traces.run(task, {"note": "secret words"})

    submitted, ran = traces.spans
    assert (submitted.name, submitted.kind, submitted.parent) == ("submit ping", SpanKind.PRODUCER, None)
    assert (ran.name, ran.kind) == ("run ping", SpanKind.CONSUMER)
    assert submitted.context is not None
    assert ran.context is not None
    assert ran.parent is not None
    assert submitted.context.trace_id == ran.context.trace_id == trace_id(task.id)
    assert submitted.context.span_id == ran.parent.span_id == span_id(task.id)
    assert ran.attributes == {
        "gristmill.task_id": task.id,
        "gristmill.kind": "ping",
        "gristmill.queue": "default",
        "gristmill.engine": "local",
        "gristmill.attempt": 2,
        "gristmill.outcome": "completed",
    }
    assert all("secret words" not in span.to_json() for span in traces.spans)


def test_sub_task_belongs_to_the_trace_of_the_whole_family(traces: Traces) -> None:
    root = traces.tasks.submit("ping", {})
    (child,) = traces.app.store.add([new_task(parent_id=root.id)])
    (grandchild,) = traces.app.store.add([new_task(parent_id=child.id)])

    traces.run(grandchild, {})

    ran = traces.spans[-1]
    assert ran.context is not None
    assert ran.parent is not None
    assert (ran.context.trace_id, ran.parent.span_id) == (trace_id(root.id), span_id(root.id))
    assert (ran.attributes or {})["gristmill.parent_id"] == child.id


@pytest.mark.parametrize(
    ("answer", "status", "description"),
    [
        (Waiting(spawn=[]), StatusCode.UNSET, None),
        (Failed(error=TaskError(code="file_damaged")), StatusCode.ERROR, "file_damaged"),
        (Unavailable("url_unreachable", host="h", reason="r"), StatusCode.ERROR, "url_unreachable"),
        (ValueError("secret words"), StatusCode.ERROR, "ValueError"),
        (CancelRequested(), StatusCode.ERROR, "CancelRequested"),
    ],
)
def test_span_says_how_an_attempt_ended_and_no_more(
    traces: Traces, answer: Any, status: StatusCode, description: str | None
) -> None:
    task = traces.tasks.submit("ping", {})
    if isinstance(answer, BaseException):
        with pytest.raises(type(answer)):
            traces.run(task, answer)
    else:
        traces.run(task, answer)

    ran = traces.spans[-1]
    assert (ran.status.status_code, ran.status.description) == (status, description)
    assert "secret words" not in ran.to_json()


def test_what_a_handler_calls_is_under_its_attempt(traces: Traces) -> None:
    task = traces.tasks.submit("ping", {})
    seen = []

    def handle(_context: Any, _payload: Any) -> dict[str, Any]:
        seen.append(get_current_span().get_span_context().trace_id)
        return {}

    context: Any = SimpleNamespace(task=task)
    traces.runner.handlers({"ping": handle})["ping"](context, None)

    assert seen == [trace_id(task.id)]
    assert not get_current_span().get_span_context().is_valid


def test_submission_that_is_refused_is_a_span_that_failed(traces: Traces, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_tasks: Any) -> None:
        raise Unavailable("database_busy")

    monkeypatch.setattr(traces.app.store, "add", busy)
    with pytest.raises(Unavailable):
        traces.tasks.submit("ping", {})

    (submitted,) = traces.spans
    assert (submitted.status.status_code, submitted.status.description) == (StatusCode.ERROR, "database_busy")


def test_submission_inside_another_trace_is_linked_to_it(traces: Traces) -> None:
    outer = traces.submitter._tracer.start_span("request")
    with use_span(outer):
        traces.tasks.submit("ping", {})

    (submitted,) = traces.spans
    assert [link.context.span_id for link in submitted.links] == [outer.get_span_context().span_id]


def test_without_a_place_for_spans_nothing_is_wrapped(tmp_path: Path) -> None:
    app = open_gristmill(Settings(data=tmp_path / "data"))
    handlers: dict[str, Any] = {"ping": lambda _context, _payload: {}}

    assert app.tracing is NO_TRACING
    assert app.tracing.handlers(handlers) is handlers
    assert not isinstance(app.tasks, TracedTaskService)
    app.close()


def test_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    app = open_gristmill(Settings(data=tmp_path / "data", tracing=TracingSettings(otlp_url="http://127.0.0.1:1")))

    with pytest.raises(InvalidInput, match=r"gristmill\[otel\]"):
        _ = app.tracing
    monkeypatch.undo()
    app.close()


def test_id_that_is_no_uuid_has_a_trace_as_well() -> None:
    assert 0 < trace_id("own id") < 2**128
