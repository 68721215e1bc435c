"""What every index store promises, sentence by sentence of its port."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text as sql

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.errors import Conflict, GristmillError, InvalidInput, NotFound
from gristmill.ids import content_hash
from gristmill.index.model import (
    ChunkPlace,
    CollectionSettings,
    DocumentFilter,
    DocumentState,
    Material,
    NewDocument,
    Origin,
    Scored,
    StagedChunk,
)
from tests.contracts.shelf import DIMENSION, FixedClock, Shelf, chunks_of, vector_of


def rows_left(database: Database) -> dict[str, int]:
    """How many rows hold indexed content."""
    tables = ("chunks", "version_chunks", "embeddings", "chunk_words")
    with database.read() as connection:
        return {table: connection.execute(sql(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables}


class TestCollections:
    def test_collection_keeps_its_settings_when_ensured_again(self, shelf: Shelf) -> None:
        other = CollectionSettings(embedder="other", model_id="two", dimension=99, chunk_size=7)

        again = shelf.store.ensure_collection(shelf.name, other)

        assert (again.space.dimension, again.chunk_size) == (DIMENSION, 1000)

    def test_unknown_collection_is_named_in_the_error(self, index_store: SqlIndexStore) -> None:
        with pytest.raises(NotFound, match="nowhere"):
            index_store.collection("nowhere")

    def test_counts_follow_every_change(self, shelf: Shelf) -> None:
        first, second = shelf.document("/a"), shelf.document("/b")
        shelf.index(first, ["one", "two", "three"])
        shelf.index(second, ["four"])
        shelf.index(first, ["one", "two"])
        assert (shelf.collection.document_count, shelf.collection.chunk_count) == (2, 3)

        with shelf.database.write() as transaction:
            cleared = shelf.store.clear(transaction, first.id)
        assert cleared == 2
        assert (shelf.collection.document_count, shelf.collection.chunk_count) == (2, 1)

        shelf.store.delete_documents([second.id])
        assert (shelf.collection.document_count, shelf.collection.chunk_count) == (1, 0)

    def test_deleted_collection_leaves_nothing_and_its_name_is_free(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["apple pie"])
        other = Shelf(shelf.store, shelf.database, "other")
        other.index(other.document("/a"), ["apple tart"])

        assert shelf.store.delete_collection(shelf.name) == 1

        assert [collection.name for collection in shelf.store.collections()] == ["other"]
        assert rows_left(shelf.database) == dict.fromkeys(("chunks", "version_chunks", "embeddings", "chunk_words"), 1)
        fresh = Shelf(shelf.store, shelf.database)
        assert fresh.by_words("apple") == []
        assert other.by_words("apple") == ["apple tart"]


class TestDocuments:
    def test_registering_a_known_source_keeps_id_and_index(self, shelf: Shelf) -> None:
        document = shelf.document("/a.txt", size=1)
        shelf.index(document, ["apple"])

        again = shelf.document("/a.txt", size=2, name="renamed.txt")

        assert again.id == document.id
        assert (again.size, again.name, again.state) == (2, "renamed.txt", DocumentState.INDEXED)
        assert shelf.by_words("apple") == ["apple"]

    def test_registering_many_answers_in_the_order_given(self, shelf: Shelf) -> None:
        known = shelf.document("/7")
        new = [NewDocument(source=f"/{n}", origin=Origin.PATH, name=str(n)) for n in range(1200, 0, -1)]

        documents = shelf.store.register(shelf.name, [*new, new[0]])

        assert [document.source for document in documents] == [*(document.source for document in new), "/1200"]
        assert documents[0].id == documents[-1].id
        assert documents[1200 - 7].id == known.id

    def test_registering_nothing_changes_nothing(self, shelf: Shelf) -> None:
        before = shelf.collection

        assert shelf.store.register(shelf.name, []) == []

        assert shelf.collection == before

    def test_registering_into_an_unknown_collection_is_refused(self, index_store: SqlIndexStore) -> None:
        with pytest.raises(NotFound):
            index_store.register("nowhere", [])

    def test_unknown_document_is_named_in_the_error(self, shelf: Shelf) -> None:
        with pytest.raises(NotFound, match="77"):
            shelf.store.document(77)
        assert shelf.store.documents_by_id([77]) == {}

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            (DocumentFilter(), ["/docs/a.pdf", "/docs/B_1.PDF", "/src/a.py"]),
            (DocumentFilter(collection="books"), ["/docs/a.pdf", "/docs/B_1.PDF", "/src/a.py"]),
            (DocumentFilter(collection="nowhere"), []),
            (DocumentFilter(name="*.pdf"), ["/docs/a.pdf", "/docs/B_1.PDF"]),
            (DocumentFilter(name="?.p*"), ["/docs/a.pdf", "/src/a.py"]),
            (DocumentFilter(name="B_?.pdf"), ["/docs/B_1.PDF"]),
            (DocumentFilter(name="%"), []),
            (DocumentFilter(source_prefix="/docs/"), ["/docs/a.pdf", "/docs/B_1.PDF"]),
            (DocumentFilter(source_prefix="/DOCS/"), []),
            (DocumentFilter(text="A.P"), ["/docs/a.pdf", "/src/a.py"]),
            (DocumentFilter(text="_"), ["/docs/B_1.PDF"]),
            (DocumentFilter(materials=[Material.CODE]), ["/src/a.py"]),
            (DocumentFilter(states=[DocumentState.INDEXED]), ["/docs/a.pdf"]),
            (DocumentFilter(states=[DocumentState.FAILED]), []),
            (DocumentFilter(media_types=["text/plain"]), ["/docs/a.pdf"]),
            (DocumentFilter(ids=[1, 3, *range(10, 50_000)]), ["/docs/a.pdf", "/src/a.py"]),
        ],
    )
    def test_filter_means_what_it_says(self, shelf: Shelf, where: DocumentFilter, expected: list[str]) -> None:
        shelf.index(shelf.document("/docs/a.pdf"), ["apple"])
        shelf.document("/docs/B_1.PDF")
        shelf.document("/src/a.py", material=Material.CODE)

        found = shelf.store.documents(where, limit=10)

        assert [document.source for document in found] == expected
        assert shelf.store.count_documents(where) == len(expected)

    def test_documents_page_by_id(self, shelf: Shelf) -> None:
        ids = [shelf.document(f"/{n}").id for n in range(5)]

        page = shelf.store.documents(DocumentFilter(), limit=2, after=ids[1])

        assert [document.id for document in page] == ids[2:4]

    def test_deleted_documents_are_gone_for_every_reader(self, shelf: Shelf) -> None:
        kept, gone = shelf.document("/kept"), shelf.document("/gone")
        shelf.index(kept, ["apple pie", "shared words"])
        shelf.index(gone, ["apple tart", "shared words"])
        found = shelf.store.text(shelf.collection, "apple", limit=5)

        removed = shelf.store.delete_documents([gone.id, 999])

        assert removed == [gone.id]
        assert shelf.by_words("apple") == ["apple pie"]
        assert sorted(shelf.by_vector("apple tart")) == ["apple pie", "shared words"]
        assert shelf.texts(found) == ["apple pie"]
        assert shelf.store.versions(gone.id) == []
        assert rows_left(shelf.database)["chunks"] == 2
        with pytest.raises(NotFound):
            shelf.store.document(gone.id)

    def test_deleted_source_can_be_registered_anew(self, shelf: Shelf) -> None:
        old = shelf.document("/a")
        shelf.index(old, ["apple"])
        shelf.store.delete_documents([old.id])

        new = shelf.document("/a")

        assert new.id > old.id
        assert new.state is DocumentState.REGISTERED

    def test_marks_of_deletion_are_forgotten_without_misleading_a_cache(
        self, shelf: Shelf, index_clock: FixedClock
    ) -> None:
        kept, gone = shelf.document("/kept"), shelf.document("/gone")
        shelf.index(kept, ["apple"])
        shelf.index(gone, ["pear"])
        assert len(shelf.by_vector("pear")) == 2
        elsewhere = SqlIndexStore(shelf.database, clock=index_clock)
        elsewhere.delete_documents([gone.id])

        assert elsewhere.purge_deleted(deleted_before=index_clock.now()) == 0
        assert elsewhere.purge_deleted(deleted_before=index_clock.now() + 1) == 1

        nearest = shelf.store.nearest(shelf.collection, vector_of("pear"), limit=5)
        assert shelf.texts(nearest) == ["apple"]
        assert len(nearest) == 1

    def test_uploads_of_living_documents_are_known(self, shelf: Shelf) -> None:
        shelf.document("/a", blob_id="aa")
        gone = shelf.document("/b", blob_id="bb")
        shelf.store.delete_documents([gone.id])

        assert shelf.store.known_blobs(["aa", "bb", "cc"]) == {"aa"}

    def test_failure_is_kept_while_the_published_version_answers(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["apple"])

        with shelf.database.write() as transaction:
            shelf.store.fail(transaction, document.id, {"type": "StepFailed", "code": "broken", "facts": {}})

        failed = shelf.store.document(document.id)
        assert failed.state is DocumentState.FAILED
        assert failed.error == {"type": "StepFailed", "code": "broken", "facts": {}}
        assert shelf.by_words("apple") == ["apple"]

    def test_touching_ends_a_failure_and_notes_when_the_bytes_were_read(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["apple"])
        with shelf.database.write() as transaction:
            shelf.store.fail(transaction, document.id, {"code": "broken"})

        with shelf.database.write() as transaction:
            shelf.store.touch(transaction, document.id, size=11, mtime_ns=22)

        touched = shelf.store.document(document.id)
        assert (touched.state, touched.error) == (DocumentState.INDEXED, None)
        assert touched.version is not None
        assert (touched.version.size, touched.version.mtime_ns) == (11, 22)

    def test_touching_what_is_not_indexed_is_refused(self, shelf: Shelf) -> None:
        document = shelf.document("/a")

        with pytest.raises(Conflict), shelf.database.write() as transaction:
            shelf.store.touch(transaction, document.id, size=1, mtime_ns=None)

        assert shelf.store.document(document.id).state is DocumentState.REGISTERED

    def test_cleared_document_stays_registered(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["apple", "pear"])
        shelf.index(document, ["apple", "plum", "quince"], keep_versions=5)
        shelf.by_vector("apple")

        with shelf.database.write() as transaction:
            assert shelf.store.clear(transaction, document.id) == 3

        cleared = shelf.store.document(document.id)
        assert (cleared.state, cleared.version, cleared.indexed_at) == (DocumentState.REGISTERED, None, None)
        assert shelf.by_words("apple") == []
        assert shelf.by_vector("apple") == []
        assert set(rows_left(shelf.database).values()) == {0}


class TestVersions:
    def test_reader_sees_the_old_version_until_the_moment_of_publishing(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["old apple"])
        version_id = shelf.begin(document)
        shelf.stage(version_id, ["new apple", "another apple"])
        assert shelf.by_words("apple") == ["old apple"]
        assert shelf.by_vector("new apple") == ["old apple"]

        with shelf.database.write() as transaction:
            shelf.store.publish(transaction, version_id, keep_versions=1)
            assert shelf.by_words("apple") == ["old apple"]

        assert sorted(shelf.by_words("apple")) == ["another apple", "new apple"]
        assert shelf.by_vector("new apple")[0] == "new apple"
        published = shelf.store.document(document.id)
        assert published.state is DocumentState.INDEXED
        assert published.version is not None
        assert (published.version.number, published.version.chunk_count) == (2, 2)

    def test_rolled_back_publication_changes_nothing(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["old apple"])
        version_id = shelf.begin(document)
        shelf.stage(version_id, ["new apple"])
        before = shelf.collection

        def publish_and_crash() -> None:
            with shelf.database.write() as transaction:
                shelf.store.publish(transaction, version_id, keep_versions=1)
                raise RuntimeError("crash")

        with pytest.raises(RuntimeError, match="crash"):
            publish_and_crash()

        assert shelf.collection == before
        assert shelf.by_words("apple") == ["old apple"]
        assert shelf.publish(version_id).number == 2

    def test_next_attempt_of_a_task_removes_what_the_last_one_left(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.stage(shelf.begin(document, task_id="t"), ["half", "done"])

        version_id = shelf.begin(document, task_id="t")

        assert set(rows_left(shelf.database).values()) == {0}
        shelf.stage(version_id, ["half", "done", "whole"])
        assert shelf.publish(version_id).chunk_count == 3

    def test_late_attempt_cannot_add_to_a_version_that_was_replaced(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        stale = shelf.begin(document, task_id="t")
        shelf.begin(document, task_id="t")

        with pytest.raises(Conflict) as stage_error:
            shelf.stage(stale, ["late"])
        with pytest.raises(Conflict) as publish_error:
            shelf.publish(stale)

        assert {stage_error.value.code, publish_error.value.code} == {"version_vanished"}

    def test_published_version_takes_no_more_chunks(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        version_id = shelf.index(document, ["apple"]).version_id

        with pytest.raises(Conflict):
            shelf.stage(version_id, ["more"], first=1)
        with pytest.raises(Conflict):
            shelf.publish(version_id)

    def test_abandoned_versions_are_purged_by_age(self, shelf: Shelf, index_clock: FixedClock) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["apple", "pear"])
        shelf.stage(shelf.begin(document, task_id="old"), ["apple", "never shown"])
        index_clock.micros += 10
        young = shelf.begin(document, task_id="young")
        shelf.stage(young, ["plum"])

        assert shelf.store.purge_abandoned(started_before=index_clock.now()) == 1

        assert rows_left(shelf.database)["chunks"] == 3
        assert shelf.publish(young).number == 2

    def test_publication_counts_embedded_reused_and_deleted(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        first = shelf.index(document, ["one", "two", "three"])
        second = shelf.index(document, ["one", "three", "four", "five"])

        assert (first.number, first.chunk_count, first.embedded, first.reused, first.deleted) == (1, 3, 3, 0, 0)
        assert (second.number, second.chunk_count, second.embedded, second.reused, second.deleted) == (2, 4, 2, 2, 1)

    def test_embedding_of_another_document_is_reused(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["same words", "only here"])

        copied = shelf.index(shelf.document("/b"), ["same words"])

        assert (copied.embedded, copied.reused) == (0, 1)
        nearest = shelf.store.nearest(shelf.collection, vector_of("same words"), limit=2)
        assert [scored.score for scored in nearest] == [1.0, 1.0]

    def test_known_hashes_take_any_number(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["known"])
        asked = [content_hash(f"unknown {n}") for n in range(40_000)] + [content_hash("known")]

        known = shelf.store.known_hashes(document.id, shelf.collection.space.id, iter(asked))

        assert known == {content_hash("known")}
        assert shelf.store.known_hashes(document.id, 999, asked) == set()

    def test_known_hashes_are_told_though_the_server_ended_the_connections_meanwhile(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["known"])
        if shelf.database.dialect == "postgres":
            other = Database(shelf.database.url)
            with other.read() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            other.close()

        known = shelf.store.known_hashes(document.id, shelf.collection.space.id, [content_hash("known")])

        assert known == {content_hash("known")}

    def test_vanished_embedding_is_a_conflict_and_stages_nothing(self, shelf: Shelf) -> None:
        version_id = shelf.begin(shelf.document("/a"))

        with pytest.raises(Conflict) as error:
            shelf.stage(version_id, ["never embedded"], vectors=False)

        assert error.value.code == "embedding_vanished"
        assert set(rows_left(shelf.database).values()) == {0}

    def test_same_text_twice_in_a_document_is_one_hit_in_two_places(self, shelf: Shelf) -> None:
        document = shelf.document("/a")

        published = shelf.index(document, ["refrain", "verse", "refrain"])

        assert (published.chunk_count, published.embedded, published.reused) == (3, 2, 1)
        assert shelf.by_words("refrain") == ["refrain"]
        assert shelf.by_vector("refrain") == ["refrain", "verse"]
        hit = shelf.store.hits(shelf.collection, shelf.store.text(shelf.collection, "refrain", limit=1))[0]
        assert (hit.position, hit.place.start) == (0, 0)

    def test_only_the_wanted_number_of_versions_is_kept(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        for word in ("one", "two", "three", "four"):
            shelf.index(document, ["constant", word], keep_versions=2)

        assert [version.number for version in shelf.store.versions(document.id)] == [4, 3]
        assert rows_left(shelf.database) == {"chunks": 3, "version_chunks": 4, "embeddings": 3, "chunk_words": 3}
        assert shelf.by_words("two three four") == ["four"]

    def test_version_without_chunks_can_be_published(self, shelf: Shelf) -> None:
        document = shelf.document("/empty")

        assert shelf.index(document, []).chunk_count == 0

        assert shelf.by_vector("anything") == []

    def test_version_in_one_transaction_is_the_same_as_one_in_steps(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["rye", "oats"])

        published = shelf.whole(shelf.draft(document), ["oats", "barley", "barley"])

        version = shelf.store.document(document.id).version
        assert version is not None
        counts = (published.number, published.chunk_count, published.embedded, published.reused, published.deleted)
        assert counts == (2, 3, 2, 1, 1)
        assert counts == (version.number, version.chunk_count, version.embedded, version.reused, version.deleted)
        assert [shelf.by_words(word) for word in ("rye", "oats", "barley")] == [[], ["oats"], ["barley"]]
        assert shelf.by_vector("barley")[0] == "barley"
        assert shelf.collection.chunk_count == 3

    def test_version_in_one_transaction_replaces_what_its_task_left(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.stage(shelf.begin(document, task_id="task"), ["half", "done"])

        published = shelf.whole(shelf.draft(document), ["half", "whole"])

        assert (published.number, published.embedded, published.deleted) == (1, 2, 0)
        assert rows_left(shelf.database) == {"chunks": 2, "version_chunks": 2, "embeddings": 2, "chunk_words": 2}

    def test_version_in_one_transaction_shares_chunks_with_one_being_built(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.stage(shelf.begin(document, task_id="another"), ["shared", "theirs"])

        shelf.whole(shelf.draft(document), ["shared", "mine"])

        assert rows_left(shelf.database) == {"chunks": 3, "version_chunks": 4, "embeddings": 3, "chunk_words": 3}
        assert [shelf.by_words(word) for word in ("shared", "theirs", "mine")] == [["shared"], [], ["mine"]]

    def test_documents_to_index_come_with_their_collection(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["rye"])

        found = shelf.store.documents_to_index([document.id, document.id + 1])

        assert found == {document.id: (shelf.store.document(document.id), shelf.collection)}

    def test_several_versions_in_one_transaction_are_as_if_each_had_its_own(self, shelf: Shelf) -> None:
        known, new, empty = shelf.document("/known"), shelf.document("/new"), shelf.document("/empty")
        shelf.index(known, ["old", "shared"])
        other = Shelf(shelf.store, shelf.database, "other")
        elsewhere = other.document("/known")
        drafts = [shelf.draft(known), shelf.draft(new), shelf.draft(empty), other.draft(elsewhere)]

        published = shelf.wholes(
            [(drafts[0], ["shared", "fresh"]), (drafts[1], ["shared", "mine"]), (drafts[2], []), (drafts[3], ["fresh"])]
        )

        assert [(one.number, one.chunk_count, one.deleted) for one in published] == [
            (2, 2, 1),
            (1, 2, 0),
            (1, 0, 0),
            (1, 1, 0),
        ]
        assert [shelf.store.document(one).version.id for one in (known.id, new.id, empty.id, elsewhere.id)] == [  # type: ignore[union-attr]  # published above
            one.version_id for one in published
        ]
        assert [sorted(shelf.by_words(word)) for word in ("old", "shared", "fresh", "mine")] == [
            [],
            ["shared", "shared"],
            ["fresh"],
            ["mine"],
        ]
        assert other.by_words("fresh") == other.by_vector("fresh") == ["fresh"]
        assert (shelf.collection.chunk_count, other.collection.chunk_count) == (4, 1)
        assert rows_left(shelf.database) == {"chunks": 5, "version_chunks": 5, "embeddings": 5, "chunk_words": 5}

    def test_of_two_versions_of_a_document_in_one_transaction_the_second_comes_too_late(self, shelf: Shelf) -> None:
        document, other = shelf.document("/a"), shelf.document("/b")
        draft = shelf.draft(document)

        with pytest.raises(Conflict) as refused:
            shelf.wholes([(shelf.draft(other), ["rye"]), (draft, ["oats"]), (draft, ["spelt"])])

        assert refused.value.code == "document_changed"
        assert rows_left(shelf.database) == {"chunks": 0, "version_chunks": 0, "embeddings": 0, "chunk_words": 0}

    def test_version_in_one_transaction_may_be_empty_or_rolled_back(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        draft = shelf.draft(document)
        prepared = shelf.store.prepare(draft, chunks_of(["rye"]), task_id="task", dimension=DIMENSION)
        with suppress(KeyError), shelf.database.write() as transaction:
            shelf.store.publish_wholes(transaction, [prepared], keep_versions=1)
            raise KeyError

        assert shelf.store.document(document.id).version is None
        assert shelf.by_words("rye") == []
        assert shelf.whole(draft, []).chunk_count == 0

    def test_version_in_one_transaction_never_replaces_what_it_does_not_know(self, shelf: Shelf) -> None:
        changed, gone = shelf.document("/changed"), shelf.document("/gone")
        old, lost = shelf.draft(changed), shelf.draft(gone)
        shelf.index(changed, ["newer"])
        shelf.store.delete_documents([gone.id])

        for draft, code in ((old, "document_changed"), (lost, "document_not_found")):
            with pytest.raises(Conflict) as refused:
                shelf.whole(draft, ["older"])
            assert refused.value.code == code
        with pytest.raises(Conflict) as refused:
            shelf.whole(shelf.draft(changed), ["unknown"], vectors=False)
        assert refused.value.code == "embedding_vanished"
        assert shelf.by_words("older") == []
        assert shelf.by_words("newer") == ["newer"]

    def test_version_in_one_transaction_is_refused_after_a_switch_of_models(self, shelf: Shelf) -> None:
        draft = shelf.draft(shelf.document("/a"))
        space = shelf.store.begin_space(shelf.name, embedder="other", model_id="other", dimension=DIMENSION)
        with shelf.database.write() as transaction:
            assert shelf.store.activate_space(transaction, space.id)

        with pytest.raises(Conflict) as refused:
            shelf.whole(draft, ["rye"])
        assert refused.value.code == "space_replaced"

    def test_publishing_for_a_deleted_document_is_a_conflict(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        version_id = shelf.begin(document)
        shelf.stage(version_id, ["apple"])
        shelf.store.delete_documents([document.id])

        with pytest.raises(Conflict) as publish_error:
            shelf.publish(version_id)
        with pytest.raises(Conflict) as stage_error:
            shelf.stage(version_id, ["pear"])

        assert {publish_error.value.code, stage_error.value.code} == {"document_not_found"}
        with pytest.raises(NotFound):
            shelf.begin(document)

    @pytest.mark.parametrize("vector", [[1.0] * (DIMENSION - 1), [float("nan")] * DIMENSION])
    def test_vector_that_is_none_of_the_space_is_refused(self, shelf: Shelf, vector: list[float]) -> None:
        version_id = shelf.begin(shelf.document("/a"))
        place = ChunkPlace(start=0, end=1)

        with pytest.raises(InvalidInput):
            shelf.store.stage(
                version_id, [StagedChunk(position=0, text="a", content_hash="a", place=place, vector=vector)]
            )

    def test_hit_tells_where_its_text_stands(self, shelf: Shelf) -> None:
        version_id = shelf.begin(shelf.document("/dir/a.md"))
        place = ChunkPlace(start=5, end=9, page=3, headings=("Fruit", "Apples"), part="§2")
        shelf.store.stage(
            version_id,
            [StagedChunk(position=0, text="Boskoop", content_hash="h", place=place, vector=vector_of("Boskoop"))],
        )
        shelf.publish(version_id)

        found = shelf.store.text(shelf.collection, "apples", limit=1)
        hit = shelf.store.hits(shelf.collection, found)[0]

        assert (hit.text, hit.place, hit.name, hit.version) == ("Boskoop", place, "a.md", 1)
        assert hit.score == found[0].score


class TestConcurrency:
    def test_one_publication_of_a_document_wins_when_they_race(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        ids = [shelf.begin(document, task_id=f"t{n}") for n in range(8)]
        for n, version_id in enumerate(ids):
            shelf.stage(version_id, ["common", f"own {n}"])

        def publish(version_id: int) -> str:
            try:
                return f"number {shelf.publish(version_id).number}"
            except Conflict as conflict:
                return conflict.code

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(publish, ids))

        assert sorted(answers) == ["document_changed"] * 7 + ["number 1"]
        assert shelf.collection.chunk_count == 2
        current = shelf.store.document(document.id).version
        assert current is not None
        assert current.id == ids[answers.index("number 1")]
        shelf.store.purge_abandoned(started_before=2**62)
        assert rows_left(shelf.database) == dict.fromkeys(("chunks", "version_chunks", "embeddings", "chunk_words"), 2)

    def test_publications_from_two_processes_take_turns(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        context = multiprocessing.get_context("spawn")
        with context.Pool(2) as pool:
            numbers = pool.map(_index_three_times, [(shelf.database.url, document.id, n) for n in range(2)])

        assert sorted(number for three in numbers for number in three) == list(range(1, 7))
        assert shelf.collection.chunk_count == 1
        assert len(shelf.by_vector("any")) == 1

    def test_readers_never_see_a_mixture_while_versions_follow_each_other(self, shelf: Shelf) -> None:
        document = shelf.document("/a")
        shelf.index(document, [f"word 0 {n}" for n in range(5)])
        stop = threading.Event()
        seen: list[set[str]] = []

        def read() -> None:
            while not stop.is_set():
                found = shelf.store.nearest(shelf.collection, vector_of("x"), limit=50)
                assert len(found) == 5
                seen.append({text.split()[1] for text in shelf.texts(found)})

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            for round_ in range(1, 20):
                shelf.index(document, [f"word {round_} {n}" for n in range(5)])
            stop.set()
            for reader in readers:
                reader.result()

        assert max(len(words) for words in seen) == 1


def _index_three_times(work: tuple[str, int, int]) -> list[int]:
    url, document_id, process = work
    database = Database(url)
    shelf = Shelf(SqlIndexStore(database, clock=FixedClock()), database)
    document = shelf.store.document(document_id)
    numbers: list[int] = []
    for attempt in range(3):
        while len(numbers) == attempt:
            version_id = shelf.begin(document, task_id=f"{process}-{attempt}")
            shelf.stage(version_id, [f"by {process} at {attempt}"])
            # Whoever is overtaken begins again on top of the other's version, as a task would.
            with suppress(Conflict):
                numbers.append(shelf.publish(version_id).number)
    database.close()
    return numbers


class TestSpaces:
    def begin(self, shelf: Shelf, model_id: str = "two", dimension: int = 8) -> Any:
        return shelf.store.begin_space(shelf.name, embedder="test", model_id=model_id, dimension=dimension)

    def embed_all(self, shelf: Shelf, space_id: int, *, limit: int = 2) -> int:
        count = 0
        while chunks := shelf.store.chunks_to_embed(space_id, limit=limit):
            shelf.store.add_embeddings(
                space_id, [(chunk.chunk_no, vector_of(chunk.text, dimension=8)) for chunk in chunks]
            )
            count += len(chunks)
        return count

    def activate(self, shelf: Shelf, space_id: int) -> bool:
        with shelf.database.write() as transaction:
            return shelf.store.activate_space(transaction, space_id)

    def test_active_model_is_answered_with_its_space(self, shelf: Shelf) -> None:
        assert self.begin(shelf, "one", DIMENSION) == shelf.collection.space

    def test_space_being_built_is_found_again(self, shelf: Shelf) -> None:
        assert self.begin(shelf) == self.begin(shelf)

    def test_another_model_drops_the_unfinished_space(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["apple"])
        unfinished = self.begin(shelf, "two")
        self.embed_all(shelf, unfinished.id)

        other = self.begin(shelf, "three")

        assert other.id != unfinished.id
        with pytest.raises(GristmillError):
            shelf.store.count_to_embed(unfinished.id)
        shelf.store.purge_deleted(deleted_before=0)
        assert rows_left(shelf.database)["embeddings"] == 1

    def test_old_vectors_answer_until_the_new_space_is_complete(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["one", "two", "three"])
        shelf.index(shelf.document("/b"), ["four", "five"])
        old = shelf.collection
        space = self.begin(shelf)
        assert shelf.store.count_to_embed(space.id) == 5
        first = shelf.store.chunks_to_embed(space.id, limit=1)[0]
        assert (first.document_name, first.text) == ("a", "one")
        shelf.store.add_embeddings(space.id, [(first.chunk_no, vector_of(first.text, dimension=8))])

        assert not self.activate(shelf, space.id)
        assert shelf.by_vector("five")[0] == "five"

        assert self.embed_all(shelf, space.id) == 4
        assert self.activate(shelf, space.id)
        assert shelf.collection.space == space
        nearest = shelf.store.nearest(shelf.collection, vector_of("five", dimension=8), limit=1)
        assert shelf.texts(nearest) == ["five"]
        with pytest.raises(Conflict) as error:
            shelf.store.nearest(old, vector_of("five"), limit=1)
        assert error.value.code == "space_replaced"

    def test_gap_behind_the_last_embedding_is_found(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["one", "two", "three"])
        space = self.begin(shelf)
        chunks = shelf.store.chunks_to_embed(space.id, limit=9)

        shelf.store.add_embeddings(space.id, [(chunks[2].chunk_no, vector_of("three", dimension=8))])

        assert shelf.store.chunks_to_embed(space.id, limit=9) == chunks[:2]

    def test_chunk_published_meanwhile_holds_the_switch_back(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["one"])
        space = self.begin(shelf)
        self.embed_all(shelf, space.id)
        shelf.index(shelf.document("/b"), ["two"])

        assert not self.activate(shelf, space.id)
        assert self.embed_all(shelf, space.id) == 1
        assert self.activate(shelf, space.id)

    def test_version_begun_before_the_switch_cannot_be_published(self, shelf: Shelf) -> None:
        version_id = shelf.begin(shelf.document("/a"))
        shelf.stage(version_id, ["late"])
        assert self.activate(shelf, self.begin(shelf).id)

        with pytest.raises(Conflict) as error:
            shelf.publish(version_id)

        assert error.value.code == "space_replaced"
        shelf.store.purge_deleted(deleted_before=0)
        assert rows_left(shelf.database)["embeddings"] == 0

    def test_embedding_is_replaced_and_that_of_a_removed_chunk_ignored(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["one"])
        space = self.begin(shelf)
        chunk = shelf.store.chunks_to_embed(space.id, limit=1)[0]
        shelf.store.add_embeddings(space.id, [(chunk.chunk_no, np.ones(8)), (999, np.ones(8))])
        shelf.store.add_embeddings(space.id, [(chunk.chunk_no, vector_of("one", dimension=8))])
        assert self.activate(shelf, space.id)

        nearest = shelf.store.nearest(shelf.collection, vector_of("one", dimension=8), limit=1)

        assert nearest == [Scored(chunk_no=chunk.chunk_no, score=1.0)]


class TestText:
    def test_other_forms_of_an_english_word_are_found(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["She was running late", "The river flows"])

        assert shelf.by_words("run") == ["She was running late"]
        assert shelf.by_words("RIVERS") == ["The river flows"]

    def test_chinese_words_are_found_inside_sentences(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["我们研究分布式数据库的事务", "今天天气很好"])

        assert shelf.by_words("数据库") == ["我们研究分布式数据库的事务"]
        assert shelf.by_words("天气 database") == ["今天天气很好"]

    def test_text_is_found_by_the_name_of_its_document(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/weather/rainfall_2023.csv"), ["Monday, 4 mm", "Tuesday, 11 mm"])
        shelf.index(shelf.document("/weather/雨量记录.txt"), ["Wednesday, dry"])

        assert shelf.by_words("rainfall monday") == ["Monday, 4 mm", "Tuesday, 11 mm"]
        assert shelf.by_words("雨量") == ["Wednesday, dry"]

    def test_rare_and_repeated_words_rank_first(self, shelf: Shelf) -> None:
        shelf.index(
            shelf.document("/a"),
            [*(f"filler text {n}" for n in range(20)), "zebra one", "zebra zebra", "lion two", "lion zebra"],
        )

        assert shelf.by_words("lion zebra") == ["lion zebra", "zebra zebra", "lion two", "zebra one"]

    @pytest.mark.parametrize(
        "query",
        [
            '") OR *',
            "apple) OR (pear",
            'scope:c1 OR "',
            "words:*",
            "a* NEAR(b c)",
            "^apple",
            "-pear",
            "\x00",
            "';--",
            "*",
        ],
    )
    def test_syntax_in_a_query_is_plain_text(self, shelf: Shelf, query: str) -> None:
        other = Shelf(shelf.store, shelf.database, "other")
        other.index(other.document("/b"), ["apple of the other collection"])
        shelf.index(shelf.document("/a"), ["apple", "unrelated"])

        assert set(shelf.by_words(query)) <= {"apple"}

    def test_collections_do_not_see_each_other(self, shelf: Shelf) -> None:
        others = [Shelf(shelf.store, shelf.database, f"other {n}") for n in range(11)]
        for n, other in enumerate(others):
            other.index(other.document("/a"), [f"apple {n}"])

        assert shelf.by_words("apple") == []
        assert others[10].by_words("apple") == ["apple 10"]
        assert others[3].by_vector("apple 3") == ["apple 3"]

    def test_long_query_is_answered_by_its_rarest_words(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/a"), ["the needle", *(f"hay stack number {n}" for n in range(30))])
        words = " ".join("straw" + "abcdefghij"[n % 10] * (n // 10) for n in range(2000))

        assert shelf.by_words(f"hay stack number {words} needle", limit=1) == ["the needle"]


class TestNearest:
    def test_nearest_equals_brute_force(self, shelf: Shelf) -> None:
        texts = [f"text {n}" for n in range(300)]
        for part in range(6):
            shelf.index(shelf.document(f"/{part}"), texts[part * 50 : part * 50 + 50])
        query = vector_of("query")

        found = shelf.store.nearest(shelf.collection, query, limit=20)

        matrix = np.stack([vector_of(text) for text in texts])
        best = np.argsort(-(matrix @ query))[:20]
        assert shelf.texts(found) == [texts[n] for n in best]
        assert [scored.score for scored in found] == pytest.approx((matrix @ query)[best], abs=1e-5)

    def test_equal_vectors_come_in_a_stable_order(self, shelf: Shelf) -> None:
        for n in range(30):
            shelf.index(shelf.document(f"/{n}"), ["boilerplate"])

        numbers = [scored.chunk_no for scored in shelf.store.nearest(shelf.collection, vector_of("q"), limit=7)]

        assert numbers == sorted(numbers)[:7]
        assert (
            numbers
            == [scored.chunk_no for scored in shelf.store.nearest(shelf.collection, vector_of("q"), limit=30)][:7]
        )

    def test_filters_apply_to_both_kinds_of_search(self, shelf: Shelf) -> None:
        shelf.index(shelf.document("/docs/a.md"), ["apple pie"])
        shelf.index(shelf.document("/src/a.py", material=Material.CODE), ["apple code"])

        for where, expected in (
            (DocumentFilter(materials=[Material.CODE]), ["apple code"]),
            (DocumentFilter(source_prefix="/docs"), ["apple pie"]),
            (DocumentFilter(name="*.txt"), []),
        ):
            assert shelf.by_words("apple", where=where) == expected
            assert shelf.by_vector("apple", where=where) == expected

    def test_changes_by_another_process_are_seen(self, shelf: Shelf, index_clock: FixedClock) -> None:
        document = shelf.document("/a")
        shelf.index(document, ["one", "two"])
        assert sorted(shelf.by_vector("one")) == ["one", "two"]
        elsewhere = Shelf(SqlIndexStore(shelf.database, clock=index_clock), shelf.database)

        elsewhere.index(document, ["two", "three"])

        assert sorted(shelf.by_vector("three")) == ["three", "two"]
