"""Nearest vectors where the server compares them: all of them, or those that an index picks."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.nearest import PgvectorIndex
from gristmill.ids import content_hash
from gristmill.index.model import ChunkPlace, Scored, StagedChunk
from tests.contracts.shelf import DIMENSION, FixedClock, Shelf
from tests.support.postgres import fresh_database
from tests.support.waiting import eventually

_MANY = 300
_RANDOM = np.random.default_rng(7)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """Three hundred chunks in a database of a server."""
    database = Database(fresh_database())
    shelf = Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    fill(shelf, "/many", _MANY)
    yield shelf
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


def fill(shelf: Shelf, source: str, count: int) -> None:
    version_id = shelf.begin(shelf.document(source))
    shelf.store.stage(
        version_id,
        [
            StagedChunk(
                position=number,
                text=f"{source} {number}",
                content_hash=content_hash(source, str(number)),
                place=ChunkPlace(start=0, end=1),
                vector=_RANDOM.normal(size=DIMENSION),
            )
            for number in range(count)
        ],
    )
    shelf.publish(version_id)


def indexes(shelf: Shelf) -> list[str]:
    with shelf.database.read() as tx:
        found = tx.execute(
            text(
                "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = oid "
                "WHERE relname LIKE 'embeddings_hnsw%' AND indisvalid"
            )
        )
        return list(found.scalars())


def nearest(shelf: Shelf, index: PgvectorIndex, vector: np.ndarray) -> list[Scored]:
    space = shelf.collection.space
    return index.nearest(
        collection_id=shelf.collection.id, space_id=space.id, dimension=space.dimension, vector=vector, limit=10
    )


def test_a_large_space_gets_an_index_that_finds_what_comparing_all_finds(shelf: Shelf) -> None:
    index = PgvectorIndex(shelf.database, indexed_from=_MANY)
    queries = [_RANDOM.normal(size=DIMENSION) for _ in range(20)]
    exact = [nearest(shelf, index, query) for query in queries]

    missing = index.maintain()
    eventually(lambda: indexes(shelf))

    assert missing == 1
    found = [nearest(shelf, index, query) for query in queries]
    same = [
        len({one.chunk_no for one in few} & {one.chunk_no for one in all_})
        for few, all_ in zip(found, exact, strict=True)
    ]
    assert sum(same) / (10 * len(queries)) >= 0.99
    assert [len(few) for few in found] == [10] * len(queries)


def test_a_small_space_needs_no_index(shelf: Shelf) -> None:
    index = PgvectorIndex(shelf.database, indexed_from=_MANY + 1)

    assert (index.maintain(), indexes(shelf)) == (0, [])


def test_an_index_goes_with_its_space(shelf: Shelf) -> None:
    index = PgvectorIndex(shelf.database, indexed_from=_MANY)
    index.maintain()
    eventually(lambda: indexes(shelf))
    shelf.store.delete_collection(shelf.collection.name)

    # The build may still be saying good-bye.
    eventually(index.maintain)
    eventually(lambda: not indexes(shelf))
