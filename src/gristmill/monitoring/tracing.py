"""Spans for OpenTelemetry: one where a task is submitted, and one for each attempt to run it, in whatever process.

The ids of a trace are worked out from the ids of tasks, so that nothing has to be carried from one process to the
other: a task and all its sub-tasks are one trace, under the span of the submission that began it. Imports the
libraries only where spans are wanted.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

import gristmill
from gristmill.errors import GristmillError, InvalidInput, NotFound
from gristmill.settings.model import TracingSettings
from gristmill.tasks.context import Stop
from gristmill.tasks.model import Attempted, Failed, NewTask, Retried, Task
from gristmill.tasks.ports import Handler, TaskContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

__all__ = ["NO_TRACING", "OtelTracing", "Tracing", "span_id", "trace_id"]

_EXPORT_SECONDS = 2.0
"""How long a collector that does not answer may hold up the end of a process."""


class Tracing(Protocol):
    """Where spans go."""

    def handlers(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        """``handlers``, each call of which is a span."""
        ...

    @contextmanager
    def submitting(self, drafts: Sequence[NewTask]) -> Iterator[None]:
        """A span for each of ``drafts``, around what hands them in."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class _NoTracing:
    def handlers(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        return handlers

    @contextmanager
    def submitting(self, drafts: Sequence[NewTask]) -> Iterator[None]:
        del drafts
        yield

    def close(self) -> None:
        pass


NO_TRACING: Tracing = _NoTracing()


def trace_id(root_id: str) -> int:
    """The trace of the task ``root_id`` and all its sub-tasks."""
    try:
        return UUID(root_id).int
    except ValueError:
        return int.from_bytes(hashlib.sha256(root_id.encode()).digest()[:16], "big")


def span_id(task_id: str) -> int:
    """The span of the submission of ``task_id``."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big") or 1


class OtelTracing:
    """Implements :class:`Tracing` with the SDK of OpenTelemetry."""

    def __init__(
        self,
        settings: TracingSettings,
        find: Callable[[str], Task],
        *,
        processor: "SpanProcessor | None" = None,
    ) -> None:
        """``find`` looks a task up by its id. Spans go to ``processor``, else to where ``settings`` say.

        :class:`InvalidInput` (``otel_missing``) where the libraries are not installed.
        """
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        except ImportError as error:
            raise InvalidInput("otel_missing", field="tracing.otlp_url") from error

        given: ContextVar[tuple[int, int] | None] = ContextVar("gristmill_span_ids", default=None)

        class Ids(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                ids = given.get()
                return super().generate_trace_id() if ids is None else ids[0]

            def generate_span_id(self) -> int:
                ids = given.get()
                return super().generate_span_id() if ids is None else ids[1]

        if processor is None:
            processor = BatchSpanProcessor(_exporter(settings))
        resource = Resource.create({"service.name": settings.service_name, "service.version": gristmill.__version__})
        self._provider = TracerProvider(resource=resource, id_generator=Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("gristmill", gristmill.__version__)
        self._given = given
        self._find = find

    def handlers(self, handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
        """``handlers``, each call of which is a span."""
        return {kind: self._traced(handler) for kind, handler in handlers.items()}

    def _traced(self, handler: Handler) -> Handler:
        def handle(context: TaskContext, payload: Any, /) -> Any:
            with self._running(context.task) as span:
                answer = handler(context, payload)
                _note(span, answer)
            return answer

        return handle

    @contextmanager
    def submitting(self, drafts: Sequence[NewTask]) -> Iterator[None]:
        """A span for each of ``drafts``, around what hands them in."""
        spans = [self._submitted(draft) for draft in drafts]
        try:
            yield
        except GristmillError as error:
            for span in spans:
                _fail(span, error.code)
            raise
        finally:
            for span in spans:
                span.end()

    def _submitted(self, draft: NewTask) -> "Span":
        from opentelemetry import context, trace

        around = trace.get_current_span().get_span_context()
        root = self._root(draft.id, draft.parent_id)
        attributes = {"gristmill.kind": draft.kind, "gristmill.queue": draft.queue, "gristmill.engine": draft.engine}
        token = self._given.set((trace_id(root), span_id(draft.id)))
        try:
            span = self._tracer.start_span(
                f"submit {draft.kind}",
                # A trace of its own; whoever submits may be in another, which lives longer or shorter.
                context=context.Context() if draft.id == root else self._under(root),
                kind=trace.SpanKind.PRODUCER,
                attributes={"gristmill.task_id": draft.id, **attributes},
                links=[trace.Link(around)] if around.is_valid else [],
            )
        finally:
            self._given.reset(token)
        return span

    @contextmanager
    def _running(self, task: Task) -> "Iterator[Span]":
        from opentelemetry import trace

        attributes: dict[str, Any] = {
            "gristmill.task_id": task.id,
            "gristmill.kind": task.kind,
            "gristmill.queue": task.queue,
            "gristmill.engine": task.engine or "",
            "gristmill.attempt": task.attempt,
        }
        if task.parent_id is not None:
            attributes["gristmill.parent_id"] = task.parent_id
        span = self._tracer.start_span(
            f"run {task.kind}",
            context=self._under(self._root(task.id, task.parent_id)),
            kind=trace.SpanKind.CONSUMER,
            attributes=attributes,
        )
        # What an exception says and where it was raised may hold what a task works on; its name does not.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except Stop as stop:
                _fail(span, type(stop).__name__)
                raise
            except GristmillError as error:
                _fail(span, error.code)
                raise
            except Exception as error:
                _fail(span, type(error).__name__)
                raise

    @staticmethod
    def _under(root_id: str) -> Any:
        """The context of the submission of ``root_id``, wherever that was."""
        from opentelemetry import trace

        parent = trace.SpanContext(
            trace_id(root_id), span_id(root_id), is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED)
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(parent))

    def _root(self, task_id: str, parent_id: str | None) -> str:
        """The task at the top of the family, as far as it is still known."""
        while parent_id is not None:
            task_id = parent_id
            try:
                parent_id = self._find(task_id).parent_id
            except NotFound:
                return task_id
        return task_id

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _exporter(settings: TracingSettings) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise InvalidInput("otel_missing", field="tracing.otlp_url") from error
    return OTLPSpanExporter(endpoint=settings.otlp_url, timeout=_EXPORT_SECONDS)


def _note(span: "Span", answer: Any) -> None:
    outcome = type(answer).__name__.lower() if isinstance(answer, Attempted) else "completed"
    span.set_attribute("gristmill.outcome", outcome)
    if isinstance(answer, Failed | Retried):
        _fail(span, answer.error.code)


def _fail(span: "Span", code: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, code))
