"""What a long history costs: submitting, claiming and listing with few finished tasks behind them, and with a million."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from benchmarks.support import Options, Table, fresh, spread
from gristmill.app import Gristmill
from gristmill.db.sqlite import sqlite_module
from gristmill.tasks.model import Completed, TaskFilter, TaskState, Worker

__all__ = ["run"]

_FINISHED = 1_000_000
_ROUNDS = 200
_BATCH = 5_000
_WORKER = "bench"


def run(options: Options) -> Iterator[Table]:
    """The same work on a short history and on a long one, by turns."""
    finished, rounds = options.pick(_FINISHED, _BATCH), options.pick(_ROUNDS, 20)
    with fresh() as short, fresh() as long:
        for app in (short, long):
            app.store.register_worker(
                Worker(id=_WORKER, name=_WORKER, engine="local", queues=("bench",), slots=1, pid=0, host="localhost")
            )
            _finish(app, _BATCH)
        _multiply(long, finished // _BATCH)
        before, after = _measured(short, long, rounds)
        size = long.database.path.stat().st_size / 2**20
    yield Table(
        title=f"With {finished:,} finished tasks in the history, ms",
        head=("", f"median with {_BATCH:,}", f"median with {finished:,}", "ratio"),
        rows=[
            (name, 1000 * spread(times)[1], 1000 * spread(after[name])[1], spread(after[name])[1] / spread(times)[1])
            for name, times in before.items()
        ],
        note=(
            f"{rounds} of each, in process, on both by turns. The history has its events; the database takes "
            f"{size:,.0f} MB with it."
        ),
    )


def _measured(short: Gristmill, long: Gristmill, rounds: int) -> list[dict[str, list[float]]]:
    works = [_work(short), _work(long)]
    times: list[dict[str, list[float]]] = [{name: [] for name in works[0]} for _ in works]
    for name in works[0]:
        for _ in range(rounds):
            for work, taken in zip(works, times, strict=True):
                taken[name].append(_timed(work[name]))
    return times


def _work(app: Gristmill) -> dict[str, Callable[[], object]]:
    recent = app.clock.now()
    queue = app.tasks.draft("ping", {}).queue
    claimed: list[tuple[str, int]] = []

    def claim() -> None:
        claimed.extend((task.id, task.lease) for task in app.store.claim(_WORKER, queues=[queue], kinds={"ping"}))

    def finish() -> None:
        task_id, lease = claimed.pop()
        app.store.finish(task_id, lease, Completed(result={}))

    return {
        "submit": lambda: app.tasks.submit("ping", {}),
        "claim": claim,
        "finish": finish,
        "list the newest 20": lambda: app.store.find(TaskFilter(), limit=20),
        "list 20 that failed": lambda: app.store.find(TaskFilter(states=[TaskState.FAILED]), limit=20),
        "list 20 of a kind, waiting": lambda: app.store.find(
            TaskFilter(states=[TaskState.PENDING], kinds=["ping"]), limit=20
        ),
        "list 20 since a time": lambda: app.store.find(TaskFilter(created_after=recent), limit=20),
        "counts since a time": lambda: app.store.counts(TaskFilter(created_after=recent)),
    }


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _finish(app: Gristmill, tasks: int) -> None:
    """Let ``tasks`` pass through their whole life."""
    app.tasks.submit_all([app.tasks.draft("ping", {}) for _ in range(tasks)])
    queue = app.tasks.draft("ping", {}).queue
    claimed = app.store.claim(_WORKER, queues=[queue], kinds={"ping"}, limit=tasks)
    app.store.finish_all([(task.id, task.lease, Completed(result={"note": "bench"})) for task in claimed])


def _multiply(app: Gristmill, times: int) -> None:
    """Copy what is finished until there is ``times`` as much."""
    with app.database.write() as connection:
        for table, key in (("tasks", "id"), ("task_events", "task_id")):
            columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})") if not row[5]]
            copied = ", ".join(f"{name} || '-' || copy" if name == key else name for name in columns)
            connection.exec_driver_sql(
                "WITH RECURSIVE copies (copy) AS (SELECT 1 UNION ALL SELECT copy + 1 FROM copies WHERE copy < ?) "
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {copied} FROM {table}, copies",
                (times - 1,),
            )
    # What was written in one go is still in the log, which every read then has to look through.
    with closing(sqlite_module().connect(str(app.database.path))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
