"""``gristmill status``: which processes live, whether they answer, and how much there is to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gristmill.cli.command import command
from gristmill.cli.instance import Instance, ask
from gristmill.cli.invocation import Invocation
from gristmill.cli.views import worker_json

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["status"]


@command(
    examples="""
    gristmill status
    gristmill status --json
    """
)
def status(invocation: Invocation) -> int:
    """Show what is running and how much there is to do.

    Exit code 3 if the API or the worker of `gristmill up` is not running or does not answer.
    """
    settings = invocation.settings()
    data = settings.data.expanduser().resolve()
    instance = Instance(data)
    processes: list[dict[str, Any]] = [
        {"name": process.name, "pid": pid, "state": _state(process.pid_file, pid), "log": str(process.log)}
        for process in instance.processes
        for pid in [process.pid()]
    ]
    url = instance.url if instance.api.pid() is not None else None
    answer = ask(url, "/health/ready") if url else None
    if url and answer is None:
        processes[0]["state"] = "silent"
    ready = answer is not None and answer[0] == 200
    workers, counts = _inside(invocation, settings)
    document = {
        "data": str(data),
        "url": url,
        "ready": ready,
        "processes": processes,
        "workers": workers,
        "tasks": counts,
    }
    invocation.answer(document)
    _tell(invocation, document)
    return 0 if all(process["state"] == "running" for process in processes) else 3


def _state(pid_file: Path, pid: int | None) -> str:
    if pid is not None:
        return "running"
    # `down` takes the file away: one that is left belonged to a process that died.
    return "died" if pid_file.exists() else "stopped"


def _inside(invocation: Invocation, settings: "Settings") -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The living workers and how many tasks are in which state; looking must not create anything."""
    if settings.database.url is None and not (settings.data.expanduser() / "gristmill.db").exists():
        return [], {}
    from gristmill.monitoring.presence import live_workers

    with invocation.app(settings) as app:
        alive = live_workers(app.store.workers(), now=app.clock.now(), lease_seconds=settings.tasks.lease_seconds)
        counts = {state.value: count for state, count in app.tasks.counts().items()}
    return [worker_json(worker, alive=True) for worker in alive], counts


def _tell(invocation: Invocation, document: dict[str, Any]) -> None:
    colors = {"running": "green", "stopped": "yellow", "died": "red", "silent": "red"}
    labels = {
        "running": "cli_state_running",
        "stopped": "cli_state_stopped",
        "died": "cli_state_died",
        "silent": "cli_state_silent",
    }
    invocation.say("cli_data", data=document["data"])
    for process in document["processes"]:
        label = click.style(invocation.text(labels[process["state"]]), fg=colors[process["state"]])
        place = document["url"] if process["name"] == "api" and document["url"] else ""
        pid = f"pid {process['pid']}" if process["pid"] else ""
        invocation.write(f"  {process['name']:<7} {label}  {pid}  {place}".rstrip())
        if process["state"] in ("died", "silent"):
            invocation.say("cli_see_log", log=process["log"])
    if any(process["state"] != "running" for process in document["processes"]):
        invocation.say("cli_start_with_up")
    shown = {process["pid"] for process in document["processes"]}
    others = [worker for worker in document["workers"] if worker["pid"] not in shown]
    for worker in others:
        invocation.write(f"  {worker['name']}  {worker['slots']} slots  {', '.join(worker['queues'])}")
    if document["tasks"]:
        counts = ", ".join(f"{count} {state}" for state, count in document["tasks"].items())
        invocation.say("cli_tasks", counts=counts)
