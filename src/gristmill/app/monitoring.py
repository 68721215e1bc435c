"""Puts together what watches a Gristmill: the monitor, the metrics and the alerts."""

import socket
from typing import TYPE_CHECKING

import psutil

from gristmill.app.alerting import AlertWatch, Tell
from gristmill.app.metrics import Metrics
from gristmill.app.webhook import Webhook
from gristmill.db.leaders import Leaders
from gristmill.db.queues import Queues
from gristmill.monitoring.alerts import RunningTask, Snapshot
from gristmill.monitoring.monitor import Monitor

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["build_alert_watch", "build_metrics", "build_monitor"]

_MOST_RUNNING = 1000


def build_monitor(app: "Gristmill") -> Monitor:
    """What an operator sees and does."""
    return Monitor(
        app.tasks,
        Queues(app.database, app.clock),
        app.store.workers,
        app.kinds,
        app.clock,
        lease_seconds=app.settings.tasks.lease_seconds,
    )


def build_metrics(app: "Gristmill") -> Metrics:
    """What Prometheus is told."""
    return Metrics(app.monitor, app.totals, app.alerts, lambda: (app.engine.name, app.engine.health()), app.clock)


def build_alert_watch(app: "Gristmill") -> AlertWatch:
    """This process's share in watching."""
    return AlertWatch(
        app.alerts,
        Leaders(app.database, app.clock),
        lambda: _snapshot(app),
        app.settings.alerts,
        app.clock,
        host=socket.gethostname(),
        language=app.settings.language,
        tell=_webhook(app),
    )


def _snapshot(app: "Gristmill") -> Snapshot:
    queues = Queues(app.database, app.clock)
    ended = queues.ended(within_seconds=app.settings.alerts.error_window_seconds)
    now = app.clock.now()
    return Snapshot(
        host=socket.gethostname(),
        live_workers=len(app.monitor.live_workers()),
        queues={length.queue: length.waiting for length in app.monitor.queues()},
        completed=ended.completed,
        failed=ended.failed,
        running=[
            RunningTask(id=task.id, kind=task.kind, seconds=(now - task.started_at) / 1_000_000)
            for task in app.monitor.active(limit=_MOST_RUNNING)
            if task.started_at is not None
        ],
        memory_percent=psutil.virtual_memory().percent,
    )


def _webhook(app: "Gristmill") -> Tell | None:
    settings = app.settings.alerts
    if settings.webhook_url is None:
        return None
    webhook = Webhook(
        settings.webhook_url.get_secret_value(),
        secret=None if settings.webhook_secret is None else settings.webhook_secret.get_secret_value(),
        timeout_seconds=settings.webhook_timeout_seconds,
        allowed_hosts=settings.webhook_allowed_hosts,
    )
    return webhook.post
