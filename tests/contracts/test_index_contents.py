"""What the index tells of documents without a search: their first vectors, and what they were made of."""

import numpy as np

from tests.contracts.shelf import Shelf, vector_of


def test_vector_of_a_document_is_that_of_its_first_chunk(shelf: Shelf) -> None:
    rye, oats, empty = shelf.document("/rye"), shelf.document("/oats"), shelf.document("/empty")
    shelf.index(rye, ["rye", "more rye"])
    shelf.index(oats, ["oats"])

    found = shelf.store.vectors(shelf.collection, [rye.id, oats.id, empty.id, 10**6])

    assert set(found) == {rye.id, oats.id}
    assert np.allclose(found[rye.id], vector_of("rye"))
    assert np.allclose(found[oats.id], vector_of("oats"))


def test_vector_of_another_collection_is_not_told(shelf: Shelf) -> None:
    rye = shelf.document("/rye")
    shelf.index(rye, ["rye"])
    other = Shelf(shelf.store, shelf.database, "others")

    assert dict(shelf.store.vectors(other.collection, [rye.id])) == {}


def test_indexed_tells_what_each_document_shows_now(shelf: Shelf) -> None:
    rye, oats, _ = shelf.document("/rye"), shelf.document("/oats"), shelf.document("/never indexed")
    gone = shelf.document("/gone")
    for document in (rye, oats, gone):
        shelf.index(document, [document.name])
    shelf.index(rye, ["rye again"])
    shelf.store.delete_documents([gone.id])

    everything = shelf.store.indexed(shelf.collection)
    asked = shelf.store.indexed(shelf.collection, [rye.id, gone.id])

    assert [(one.document_id, one.name, one.version) for one in everything] == [
        (rye.id, "rye", 2),
        (oats.id, "oats", 1),
    ]
    assert {one.content_hash for one in everything} == {"bytes"}
    assert [one.document_id for one in asked] == [rye.id]


def test_content_is_known_as_long_as_a_version_of_it_is_kept(shelf: Shelf) -> None:
    document = shelf.document("/rye")
    assert shelf.store.known_contents(["bytes"]) == set()

    shelf.index(document, ["rye"])
    assert shelf.store.known_contents(["bytes", "others"]) == {"bytes"}

    shelf.store.delete_documents([document.id])
    assert shelf.store.known_contents(["bytes"]) == set()
