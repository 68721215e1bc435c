"""The vectors in memory: exact, current, and never half-updated."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.vectors import VectorIndex, to_blob, unit_vector
from gristmill.errors import Conflict, InvalidInput
from gristmill.index.model import Collection, Scored
from tests.contracts.shelf import DIMENSION, FixedClock, Shelf, vector_of


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    database = Database(f"sqlite:///{tmp_path / 'vectors.db'}")
    database.migrate()
    yield Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    in_use = database.checked_out()
    database.close()
    assert in_use == 0


def nearest(index: VectorIndex, collection: Collection, text: str, *, limit: int = 10) -> list[Scored]:
    return index.nearest(
        collection_id=collection.id,
        space_id=collection.space.id,
        dimension=DIMENSION,
        vector=vector_of(text),
        limit=limit,
    )


def test_module_does_not_import_numpy_until_it_is_needed() -> None:
    code = "import sys, gristmill.db.index, gristmill.index.search; sys.exit('numpy' in sys.modules)"

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    finished = subprocess.run([sys.executable, "-c", code], check=False, env=environment)

    assert finished.returncode == 0


def test_stored_vector_has_length_one_whatever_was_given() -> None:
    stored = np.frombuffer(to_blob([3.0, 4.0], 2), "<f4")

    assert stored == pytest.approx([0.6, 0.8])


def test_vector_of_zeros_is_kept_and_similar_to_nothing() -> None:
    assert unit_vector([0.0, 0.0], 2).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [np.inf, 1.0], [np.nan, 1.0]])
def test_vector_of_another_kind_is_refused(vector: list[float]) -> None:
    with pytest.raises(InvalidInput):
        unit_vector(vector, 2)


def test_index_follows_documents_that_change_grow_and_go(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    rng = np.random.default_rng(5)
    documents = [shelf.document(f"/{n}") for n in range(12)]
    content: dict[int, list[str]] = {}
    for step in range(60):
        document = documents[int(rng.integers(12))]
        texts = [f"{step} {n}" for n in range(int(rng.integers(1, 40)))]
        if rng.random() < 0.2:
            with shelf.database.write() as transaction:
                shelf.store.clear(transaction, document.id)
            content.pop(document.id, None)
        else:
            version_id = shelf.begin(document)
            shelf.stage(version_id, texts)
            shelf.publish(version_id)
            content[document.id] = texts

        found = shelf.texts(nearest(index, shelf.collection, "query", limit=5))

        everything = [text for texts in content.values() for text in texts]
        query = vector_of("query")
        assert found == sorted(everything, key=lambda text: -float(vector_of(text) @ query))[:5]


def test_rows_of_replaced_versions_are_given_back(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    document = shelf.document("/a")
    for step in range(6):
        version_id = shelf.begin(document)
        shelf.stage(version_id, [f"{step} {n}" for n in range(1500)])
        shelf.publish(version_id)
        assert len(nearest(index, shelf.collection, "query", limit=9999)) == 1500

    snapshot = index._matrices[shelf.collection.id].snapshot
    assert snapshot is not None
    assert snapshot.vectors.count <= 3000


def test_few_wanted_documents_are_ranked_like_many(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    documents = [shelf.document(f"/{n}") for n in range(40)]
    for document in documents:
        shelf.index(document, [f"{document.name} {n}" for n in range(5)])
    collection = shelf.collection
    everything = shelf.store.hits(collection, nearest(index, collection, "query", limit=200))

    for wanted in (1, 3, 20, 40):
        ids = {document.id for document in documents[:wanted]}
        found = index.nearest(
            collection_id=collection.id,
            space_id=collection.space.id,
            dimension=DIMENSION,
            vector=vector_of("query"),
            limit=7,
            document_ids=ids,
        )
        assert shelf.texts(found) == [hit.text for hit in everything if hit.document_id in ids][:7]


def test_search_without_a_change_loads_nothing(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    shelf.index(shelf.document("/a"), ["one"])
    nearest(index, shelf.collection, "one")
    before = index._matrices[shelf.collection.id].snapshot

    shelf.document("/registered only")
    nearest(index, shelf.collection, "one")
    shelf.index(shelf.document("/b"), ["two"])
    nearest(index, shelf.collection, "one")

    after = index._matrices[shelf.collection.id].snapshot
    assert before is not None
    assert after is not None
    assert after.vectors.blocks[0].stored is before.vectors.blocks[0].stored
    assert (before.vectors.count, after.vectors.count) == (1, 2)


def test_first_searches_at_the_same_moment_share_one_load(shelf: Shelf) -> None:
    shelf.index(shelf.document("/a"), [f"text {n}" for n in range(50)])
    index = VectorIndex(shelf.database)
    collection = shelf.collection
    together = threading.Barrier(6)

    def search(_: int) -> list[Scored]:
        together.wait()
        return nearest(index, collection, "query")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(search, range(6)))

    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 10


def test_space_that_no_longer_answers_is_refused(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    old = shelf.collection
    space = shelf.store.begin_space(shelf.name, embedder="test", model_id="two", dimension=DIMENSION)
    with shelf.database.write() as transaction:
        assert shelf.store.activate_space(transaction, space.id)

    with pytest.raises(Conflict):
        nearest(index, old, "query")

    assert nearest(index, shelf.collection, "query") == []


def test_deleted_collection_has_no_vectors_and_takes_no_memory(shelf: Shelf) -> None:
    index = VectorIndex(shelf.database)
    shelf.index(shelf.document("/a"), ["one"])
    collection = shelf.collection
    nearest(index, collection, "one")

    shelf.store.delete_collection(shelf.name)

    assert nearest(index, collection, "one") == []
    assert index._matrices == {}
