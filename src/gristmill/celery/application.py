"""A Celery application whose tasks are rows: what is sent, looked up and revoked through it goes to the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from celery.app.control import Control
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from celery.result import AsyncResult

from gristmill.celery.opened import gristmill
from gristmill.celery.rows import Rows
from gristmill.engines.celery import kind_of, task_name
from gristmill.errors import InvalidInput
from gristmill.kinds import KINDS
from gristmill.tasks.model import TaskFilter

__all__ = ["Application", "PatientDispatcher", "PatientEvents", "RowControl"]


class RowControl(Control):  # type: ignore[misc]  # Published without types.
    """Celery's remote control, with a revoke that cannot be forgotten."""

    def revoke(
        self,
        task_id: str | Sequence[str],
        destination: Sequence[str] | None = None,
        terminate: bool = False,  # noqa: FBT001, FBT002 - Celery's signature
        signal: str = "SIGTERM",
        **kwargs: Any,
    ) -> list[dict[str, Any]] | None:
        """Cancel tasks: durable at once, whether or not a worker is up. Running ones are always told to stop."""
        del destination, terminate, signal
        ids = [task_id] if isinstance(task_id, str) else list(task_id)
        changed = gristmill().tasks.cancel(TaskFilter(ids=ids)) if ids else 0
        return [{"gristmill": {"ok": f"{changed} cancelled"}}] if kwargs.get("reply") else None


class PatientDispatcher(EventDispatcher):  # type: ignore[misc]  # As above.
    """Keeps what cannot be sent for later. Celery's own tries for ever, and the worker hears no SIGTERM meanwhile."""

    def send(self, type: str, **options: Any) -> None:  # noqa: A002 - Celery's signature
        """Send an event, or keep it until the connection is back."""
        super().send(type, **{**options, "retry": False})


class PatientEvents(Events):  # type: ignore[misc]  # As above.
    """Celery's events, sent by a :class:`PatientDispatcher`."""

    dispatcher_cls = PatientDispatcher


class Application(Celery):  # type: ignore[misc]  # As above.
    """What ``celery -A gristmill.celery`` runs on."""

    control_cls = RowControl
    events_cls = PatientEvents

    def send_task(
        self, name: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult:
        """Submit a task by its name; :class:`InvalidInput` (``celery_task_unknown``) if there is none."""
        kind = kind_of(name)
        if kind is None:
            raise InvalidInput("celery_task_unknown", task=name, known=", ".join(map(task_name, sorted(KINDS))))
        return self.tasks[task_name(kind)].apply_async(args, kwargs, **options)

    # Celery would let CELERY_BROKER_URL and CELERY_RESULT_BACKEND win over every setting of ours.

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Any:
        """A connection to the broker that our settings name."""
        return super().connection_for_read(url or self.conf["broker_url"], **kwargs)

    def connection_for_write(self, url: str | None = None, **kwargs: Any) -> Any:
        """As :meth:`connection_for_read`."""
        return super().connection_for_write(url or self.conf["broker_url"], **kwargs)

    def connection(self, hostname: str | None = None, **kwargs: Any) -> Any:
        """As :meth:`connection_for_read`."""
        return super().connection(hostname or self.conf["broker_url"], **kwargs)

    def _get_backend(self) -> Rows:
        return Rows(app=self)
