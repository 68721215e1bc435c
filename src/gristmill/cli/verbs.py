"""The verbs there are: where each one's code is, and the line that introduces it.

A plain table, so that ``gristmill --help`` imports no command at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["VERBS", "Verb"]


@dataclass(frozen=True, slots=True)
class Verb:
    """One word after ``gristmill``."""

    module: str
    """Under :mod:`gristmill.cli`; it has the command under its own name."""
    summary: str


VERBS: Mapping[str, Verb] = {
    "up": Verb("up", "Start the API and a worker in the background."),
    "down": Verb("down", "Stop what `up` started."),
    "status": Verb("status", "Show what is running and how much there is to do."),
    "serve": Verb("serve", "Run the API in the foreground."),
    "worker": Verb("worker", "Run a worker in the foreground."),
    "scheduler": Verb("scheduler", "Run the sweeper and the schedules in the foreground, without a worker."),
    "index": Verb("index", "Index files, folders and web pages."),
    "search": Verb("search", "Search what was indexed."),
    "images": Verb("images", "Build image datasets, find images by image, report duplicates."),
    "documents": Verb("documents", "List, show, register and delete documents."),
    "collections": Verb("collections", "List, show, change and delete collections."),
    "versions": Verb("versions", "List, compare and roll back versions; snapshots of collections."),
    "tasks": Verb("tasks", "List, show, watch, cancel and retry tasks."),
    "schedule": Verb("schedule", "Make tasks recur: add, edit, list, show, pause, resume, run and remove schedules."),
    "webhooks": Verb("webhooks", "List, add, try and remove webhooks; look at deliveries and replay them."),
    "engine": Verb("engine", "Show and choose what carries tasks to workers."),
    "inspect": Verb("inspect", "Look at workers, queues, kinds and settings."),
    "alerts": Verb("alerts", "Show the alerts that hold at the moment."),
    "flower": Verb("flower", "Run Flower in the foreground."),
    "keys": Verb("keys", "Create, list and revoke API keys."),
    "doctor": Verb("doctor", "Check that everything works, and say what to do if not."),
    "bench": Verb("bench", "Measure the engines on this machine."),
    "migrate": Verb("migrate", "Bring the database up to date."),
    "backup": Verb("backup", "Write everything into one file while it is in use."),
}
"""In the order in which help shows them."""
