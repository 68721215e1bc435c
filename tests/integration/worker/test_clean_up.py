"""What is nobody's any more goes at once when a task asks for it."""

import io
import os
from pathlib import Path

from gristmill.app import open_gristmill
from gristmill.settings import Settings
from gristmill.tasks.context import RunContext
from gristmill.tasks.model import Completed, TaskState
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from tests.support.clock import TestClock
from tests.support.tasks import Bench

LONG_AGO = 1_600_000_000


def test_clean_up_removes_what_the_sweeper_would_and_says_how_much(tmp_path: Path) -> None:
    clock = TestClock()
    app = open_gristmill(Settings(data=tmp_path / "data"), clock=clock)
    bench = Bench(app.store)
    ended = bench.ended(Completed(items=[{"n": 1}]))
    (app.paths.temp / f"{ended.id}-1").mkdir()
    blob, _ = app.documents.keep(io.BytesIO(b"nobody refers to this"))
    with app.blobs.open(blob) as path:
        os.utime(path, (LONG_AGO, LONG_AGO))
    clock.pass_time(app.settings.tasks.result_expires_seconds + 1)
    app.tasks.submit("clean_up", {})
    runner = Runner(app.store, app.kinds, build_handlers(app), clock)
    task = bench.take(kinds=("clean_up",))

    done = runner.run(
        task, RunContext(task, app.store, clock, temp_dir=tmp_path / "own"), guard=lambda attempt: attempt()
    )

    assert done is not None
    assert done.state is TaskState.COMPLETED
    assert done.result == {
        "items.purged": 1,
        "versions.purged": 0,
        "deletions.purged": 0,
        "uploads.purged": 1,
        "thumbnails.purged": 0,
        "temp.purged": 1,
    }
    assert list(app.paths.temp.iterdir()) == []
    app.close()
