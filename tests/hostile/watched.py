"""A real worker that indexes what it is given while its memory and its slots are watched."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.processes import python_environment
from tests.support.service import Service
from tests.support.waiting import eventually

__all__ = ["DEFECTS", "Watched", "hits", "indexed", "working"]

DEFECTS = frozenset({"unexpected_error", "worker_lost", "memory_exhausted", "hard_limit_exceeded"})
"""Errors that a hostile file must not come to: they mean that it was not recognised as one."""

Worker = subprocess.Popen[bytes]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """How the indexing went."""

    details: Mapping[int, Mapping[str, Any]]
    slots: tuple[frozenset[int], frozenset[int]]
    """Pids before and after."""
    peak_mb: float

    def codes(self, doc_id: int) -> set[str]:
        """What is said of a document: its error, or its notices."""
        detail = self.details[doc_id]
        error = [detail["error"]] if "error" in detail else []
        return {told["code"] for told in [*error, *detail.get("notices", ())]}


@contextmanager
def working(
    data: Path, environment: Mapping[str, str] | None = None, *, first_on_path: Path | None = None
) -> Iterator[Worker]:
    """The worker of the product with two slots."""
    command = [sys.executable, "-m", "gristmill.worker", "--data", str(data), "--concurrency", "2", "--attached"]
    # Recognisers of text are as large as they are, which is not what is watched here.
    inherited = python_environment(GRISTMILL_IMAGES__OCR="off")
    if first_on_path:
        inherited["PYTHONPATH"] = f"{first_on_path}{os.pathsep}{inherited['PYTHONPATH']}"
    worker = subprocess.Popen(
        command, env=inherited | dict(environment or {}), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.communicate(timeout=30)


def indexed(service: Service, worker: Worker, ids: Sequence[int], *, seconds: float = 180) -> Watched:
    """Index the documents ``ids`` as one task, to its end."""
    before = eventually(lambda: _slots(worker) if len(_slots(worker)) == 2 else None, 20)
    queued = service.data(service.post("/api/index/index-documents", json={"doc_ids": list(ids)}))
    task_id = queued["task_id"]
    peak = 0.0

    def ended() -> dict[str, Any] | None:
        nonlocal peak
        peak = max(peak, *(_peak_mb(pid) for pid in _slots(worker)), 0.0)
        task: dict[str, Any] = service.data(service.get(f"/api/tasks/{task_id}"))
        return task if task["state"] in ("completed", "failed", "cancelled") else None

    assert (eventually(ended, seconds=seconds) or {})["state"] == "completed"
    items: list[dict[str, Any]] = []
    while len(items) < len(ids):
        page = {"limit": 1000, "offset": len(items)}
        found = service.data(service.get(f"/api/tasks/{task_id}/result", params=page))["items"]
        assert found
        items += found
    details = {item["doc_id"]: item for item in items}
    return Watched(details=details, slots=(before or frozenset(), _slots(worker)), peak_mb=peak)


def hits(service: Service, query: str) -> list[dict[str, Any]]:
    """Everything a keyword search finds."""
    found: list[dict[str, Any]] = []
    while True:
        body = {"query": query, "mode": "keyword", "limit": 100, "offset": len(found)}
        page = service.data(service.post("/api/search", json=body))["hits"]
        found += page
        if len(page) < 100:
            return found


def _slots(worker: Worker) -> frozenset[int]:
    return frozenset(child.pid for child in psutil.Process(worker.pid).children())


def _peak_mb(pid: int) -> float:
    """The most real memory the process ever had, where the system tells; else what it has now."""
    try:
        if sys.platform == "linux":
            status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
            return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except (OSError, StopIteration, psutil.Error):
        return 0.0
