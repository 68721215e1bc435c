"""Memory of the whole service, API and worker with their processes, while it indexes a large library."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.corpus import long_document
from benchmarks.support import Options, Table, fresh, serving, working
from gristmill.worker.foreground import cores

__all__ = ["run"]

_FILE_CHARS = 2_000_000
_LOOK_SECONDS = 0.5
_BOUND_MB = 1500.0


def run(options: Options) -> Iterator[Table]:
    """One table."""
    with (
        tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder,
        fresh(embedding={"name": "fast"}) as app,
        working(app, slots=cores()) as worker,
        serving(app) as client,
    ):
        files = list(_library(Path(folder), options.pick(options.library_mb, 10) * 1_000_000))
        size_mb = sum(file.stat().st_size for file in files) / 1e6
        documents = app.documents.register_local([(str(file), folder) for file in files], collection="library")
        start = time.monotonic()
        task = app.documents.index([document.id for document in documents])
        peaks = {"whole service": 0.0, "API": 0.0, "worker, watching its slots": 0.0, "largest slot": 0.0}
        while not (ended := app.tasks.get(task.id)).state.is_final:
            for name, megabytes in _memory(client.pid, worker).items():
                peaks[name] = max(peaks[name], megabytes)
            time.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - start
        chunks = sum(detail.get("chunks", 0) for detail in app.tasks.items(ended.id))
    yield Table(
        title=f"Memory while a library of {size_mb:,.0f} MB is indexed, MB",
        head=("", "greatest", f"of {_BOUND_MB:,.0f} MB"),
        rows=[(name, megabytes, megabytes / _BOUND_MB) for name, megabytes in peaks.items()],
        note=(
            f"{len(files)} files, {chunks:,} chunks in {seconds:,.0f} s; `fast` embedder, {cores()} slots. Pages that "
            "processes share count once, by their share in each."
        ),
    )


def _library(folder: Path, size: int) -> Iterator[Path]:
    text = long_document(_FILE_CHARS)
    for number in range(max(1, size // _FILE_CHARS)):
        file = folder / f"{number:04}.md"
        # Each file with words of its own in every line, or its chunks would be found to be embedded already.
        file.write_text("\n".join(f"{line} {number}" if line else "" for line in text.splitlines()), "utf-8")
        yield file


def _memory(api: int, worker: int) -> dict[str, float]:
    slots = [_pss_mb(process.pid) for process in psutil.Process(worker).children(recursive=True)]
    values = {
        "API": _pss_mb(api),
        "worker, watching its slots": _pss_mb(worker),
        "largest slot": max(slots, default=0.0),
    }
    return values | {"whole service": values["API"] + values["worker, watching its slots"] + sum(slots)}


def _pss_mb(pid: int) -> float:
    """Memory of a process, shared pages divided among those that share them; zero if it has ended."""
    try:
        usage = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return 0.0
    # Only Linux tells shares.
    return float(getattr(usage, "pss", usage.rss)) / 2**20
