"""Earlier versions that answer again, and snapshots of whole collections: pointers that move, and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.errors import Conflict, InvalidInput, NotFound, Unavailable
from gristmill.index.model import Document, DocumentState, Restoration, SourceState
from tests.contracts.shelf import DIMENSION, FixedClock, Shelf, vector_of
from tests.contracts.test_index_store import rows_left

KEPT = 3
FOREVER = 2**60


class Tiring(Database):
    """A database that takes a few write transactions, and then no more."""

    left = 0

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        if not self.left:
            raise Unavailable("database_busy")
        self.left -= 1
        with super().write(durable=durable) as connection:
            yield connection


@pytest.fixture
def tiring(index_database: Database) -> Iterator[Tiring]:
    database = Tiring(index_database.url)
    yield database
    database.close()


@pytest.fixture
def letters(shelf: Shelf) -> Document:
    """A document with three versions."""
    document = shelf.document("/letters")
    for texts in (["alpha", "shared"], ["beta", "shared"], ["gamma", "shared"]):
        shelf.index(document, texts, keep_versions=KEPT)
    return document


def shown(shelf: Shelf, document: Document) -> int | None:
    """The number of the version that answers."""
    version = shelf.store.document(document.id).version
    return None if version is None else version.number


def found(shelf: Shelf, *texts: str) -> list[str]:
    """Which of ``texts`` are found, by words and by vector alike."""
    by_words = [text for text in texts if text in shelf.by_words(text)]
    assert [text for text in texts if shelf.by_vector(text, limit=1) == [text]] == by_words
    return by_words


def texts_of(shelf: Shelf, document: Document, number: int) -> Sequence[str]:
    return [chunk.text for chunk in shelf.store.version_chunks(document.id, number)]


def restore(shelf: Shelf, snapshot_id: int) -> Restoration:
    return shelf.store.restore(shelf.name, snapshot_id, keep_versions=KEPT)


def reembed(shelf: Shelf, model_id: str) -> None:
    """Give the collection another embedder, to the end."""
    store = shelf.store
    space = store.begin_space(shelf.name, embedder="test", model_id=model_id, dimension=DIMENSION)
    while chunks := store.chunks_to_embed(space.id, limit=100):
        store.add_embeddings(space.id, [(chunk.chunk_no, vector_of(chunk.text)) for chunk in chunks])
    with shelf.database.write() as transaction:
        assert store.activate_space(transaction, space.id)


class TestRollBack:
    def test_earlier_version_answers_again_and_later_ones_wait(self, shelf: Shelf, letters: Document) -> None:
        before = rows_left(shelf.database)

        document = shelf.store.roll_back(letters.id, 1)

        assert document.version is not None
        assert document.version.number == 1
        assert found(shelf, "alpha", "beta", "gamma", "shared") == ["alpha", "shared"]
        assert [version.number for version in shelf.store.versions(letters.id)] == [3, 2, 1]
        assert rows_left(shelf.database) == before
        assert shelf.collection.chunk_count == 2

    def test_later_version_comes_back_as_well(self, shelf: Shelf, letters: Document) -> None:
        shelf.store.roll_back(letters.id, 1)
        shelf.store.roll_back(letters.id, 3)

        assert found(shelf, "alpha", "gamma") == ["gamma"]
        assert shelf.store.document(letters.id).held is None

    def test_rolled_back_document_remembers_what_its_source_was(self, shelf: Shelf, letters: Document) -> None:
        newest = shelf.store.versions(letters.id)[0]
        state = SourceState(content_hash=newest.content_hash, size=newest.size, mtime_ns=newest.mtime_ns)

        assert shelf.store.roll_back(letters.id, 2).held == state
        # Further back, too, it is the newest that the source is compared with.
        assert shelf.store.roll_back(letters.id, 1).held == state

    def test_source_that_was_looked_at_is_noted_of_the_version_it_is_compared_with(
        self, shelf: Shelf, letters: Document
    ) -> None:
        shelf.store.roll_back(letters.id, 1)
        with shelf.database.write() as transaction:
            shelf.store.touch(transaction, letters.id, size=77, mtime_ns=78)

        held = shelf.store.document(letters.id).held
        assert held is not None
        assert (held.size, held.mtime_ns) == (77, 78)
        assert shelf.store.version(letters.id, 1).size == 10

    def test_next_version_counts_on_and_forgets_what_was_held(self, shelf: Shelf, letters: Document) -> None:
        shelf.store.roll_back(letters.id, 1)

        published = shelf.index(letters, ["delta"], keep_versions=KEPT)

        assert published.number == 4
        assert shelf.store.document(letters.id).held is None
        assert [version.number for version in shelf.store.versions(letters.id)] == [4, 3, 2]

    def test_version_that_was_begun_before_does_not_undo_it(self, shelf: Shelf, letters: Document) -> None:
        late = shelf.begin(letters)
        shelf.stage(late, ["late"])
        shelf.store.roll_back(letters.id, 1)

        with pytest.raises(Conflict) as refused:
            shelf.publish(late, keep_versions=KEPT)

        assert refused.value.code == "document_changed"
        assert shown(shelf, letters) == 1

    def test_to_the_version_that_answers_changes_nothing(self, shelf: Shelf, letters: Document) -> None:
        generation = shelf.collection.generation
        shelf.store.roll_back(letters.id, 3)
        assert shelf.collection.generation == generation

    def test_failure_of_the_latest_attempt_is_over(self, shelf: Shelf, letters: Document) -> None:
        with shelf.database.write() as transaction:
            shelf.store.fail(transaction, letters.id, {"type": "StepFailed", "code": "pdf_damaged", "facts": {}})

        document = shelf.store.roll_back(letters.id, 2)

        assert (document.state, document.error) == (DocumentState.INDEXED, None)

    def test_media_type_is_that_of_the_version(self, shelf: Shelf) -> None:
        document = shelf.document("/x")
        for media_type in ("text/plain", "application/pdf"):
            version = shelf.begin(document, media_type=media_type)
            shelf.stage(version, ["words"])
            shelf.publish(version, keep_versions=KEPT)

        assert shelf.store.roll_back(document.id, 1).media_type == "text/plain"
        assert shelf.store.roll_back(document.id, 2).media_type == "application/pdf"

    def test_unknown_documents_and_versions_are_named(self, shelf: Shelf, letters: Document) -> None:
        with pytest.raises(NotFound) as no_version:
            shelf.store.roll_back(letters.id, 9)
        with pytest.raises(NotFound) as no_document:
            shelf.store.roll_back(letters.id + 1, 1)

        assert (no_version.value.code, no_document.value.code) == ("version_not_found", "document_not_found")
        shelf.store.delete_documents([letters.id])
        with pytest.raises(NotFound):
            shelf.store.roll_back(letters.id, 1)

    def test_version_that_was_kept_is_embedded_with_the_others(self, shelf: Shelf, letters: Document) -> None:
        reembed(shelf, "two")

        shelf.store.roll_back(letters.id, 1)

        assert found(shelf, "alpha", "gamma") == ["alpha"]


class TestVersions:
    def test_chunks_of_any_kept_version_can_be_read(self, shelf: Shelf, letters: Document) -> None:
        assert texts_of(shelf, letters, 1) == ["alpha", "shared"]
        assert texts_of(shelf, letters, 3) == ["gamma", "shared"]

    def test_chunks_of_a_version_that_is_not_kept_are_not_found(self, shelf: Shelf, letters: Document) -> None:
        shelf.index(letters, ["delta"], keep_versions=1)

        with pytest.raises(NotFound) as refused:
            shelf.store.version_chunks(letters.id, 3)

        assert refused.value.code == "version_not_found"


class TestSnapshots:
    def test_restored_collection_shows_what_it_showed_then(
        self, shelf: Shelf, letters: Document, index_clock: FixedClock
    ) -> None:
        other = shelf.document("/other")
        shelf.index(other, ["other one"])
        index_clock.micros += 5
        snapshot = shelf.store.take_snapshot(shelf.name, "before the flood")
        shelf.index(letters, ["flood"], keep_versions=1)
        shelf.store.delete_documents([other.id])
        new = shelf.document("/new")
        shelf.index(new, ["newcomer"])

        restored = restore(shelf, snapshot.id)

        assert found(shelf, "gamma", "other one", "flood", "newcomer") == ["gamma", "other one"]
        assert (restored.changed, restored.returned, restored.removed) == (1, 1, 1)
        assert (shelf.collection.document_count, shelf.collection.chunk_count) == (2, 3)
        assert snapshot.created_at == index_clock.micros

    def test_restoring_can_be_undone(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(letters, ["flood"], keep_versions=1)
        new = shelf.document("/new")
        shelf.index(new, ["newcomer"])
        restored = restore(shelf, snapshot.id)

        back = restore(shelf, restored.before.id)

        assert found(shelf, "gamma", "flood", "newcomer") == ["flood", "newcomer"]
        assert (back.changed, back.returned, back.removed) == (1, 1, 0)
        automatic = [found.id for found in shelf.store.snapshots(shelf.name) if found.is_automatic]
        assert automatic == [back.before.id, restored.before.id]

    def test_restoring_twice_leaves_the_way_back(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(letters, ["flood"], keep_versions=1)
        first = restore(shelf, snapshot.id)

        again = restore(shelf, snapshot.id)

        assert (again.changed, again.returned, again.removed) == (0, 0, 0)
        assert again.before == first.before
        restore(shelf, again.before.id)
        assert found(shelf, "gamma", "flood") == ["flood"]

    def test_version_that_the_last_automatic_snapshot_kept_alone_goes_with_it(
        self, shelf: Shelf, letters: Document
    ) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(letters, ["flood"], keep_versions=1)
        restore(shelf, snapshot.id)
        for text in ("ebb", "spring", "neap", "tide"):
            shelf.index(letters, [text], keep_versions=KEPT)
        assert [version.number for version in shelf.store.versions(letters.id)] == [8, 7, 6, 4, 3]

        restore(shelf, snapshot.id)

        assert [version.number for version in shelf.store.versions(letters.id)] == [8, 7, 6, 3]
        assert found(shelf, "gamma", "flood", "tide") == ["gamma"]

    def test_only_the_last_automatic_snapshots_are_kept(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        for text in ("delta", "epsilon", "zeta"):
            shelf.index(letters, [text], keep_versions=1)
            restore(shelf, snapshot.id)

        names = [(one.name, one.is_automatic) for one in shelf.store.snapshots(shelf.name)]
        assert names == [("first", True), ("first", False)]

    def test_settings_and_embeddings_of_then_come_back(self, shelf: Shelf, letters: Document) -> None:
        space = shelf.collection.space
        snapshot = shelf.store.take_snapshot(shelf.name, "old model")
        reembed(shelf, "two")
        shelf.index(letters, ["flood"], keep_versions=1)
        assert found(shelf, "gamma", "flood") == ["flood"]

        restore(shelf, snapshot.id)

        assert shelf.collection.space == space
        assert found(shelf, "gamma", "flood") == ["gamma"]
        assert shelf.store.count_to_embed(space.id) >= 0

    def test_version_that_the_embedder_has_never_seen_is_refused(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "old model")
        reembed(shelf, "two")
        shelf.index(letters, ["flood"], keep_versions=KEPT)
        restore(shelf, snapshot.id)

        with pytest.raises(Conflict) as refused:
            shelf.store.roll_back(letters.id, 4)

        assert refused.value.code == "version_not_embedded"
        assert shown(shelf, letters) == 3

    def test_document_of_then_is_held_against_what_its_source_is_now(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(letters, ["flood"], keep_versions=KEPT)
        restore(shelf, snapshot.id)
        assert shelf.store.document(letters.id).held is not None

        shelf.index(letters, ["ebb"], keep_versions=KEPT)
        assert shelf.store.document(letters.id).held is None

    def test_upload_of_then_is_kept_and_comes_back(self, shelf: Shelf) -> None:
        document = shelf.document("/note", blob_id="a" * 64)
        shelf.index(document, ["note"])
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.document("/note", blob_id="b" * 64)
        shelf.store.delete_documents([document.id])

        assert shelf.store.known_blobs(["a" * 64, "b" * 64]) == {"a" * 64}
        restore(shelf, snapshot.id)
        assert shelf.store.document(document.id).blob_id == "a" * 64

    def test_upload_that_is_there_stays_and_is_what_the_document_is_held_against(self, shelf: Shelf) -> None:
        document = shelf.document("/note", blob_id="a" * 64)
        shelf.index(document, ["note"], keep_versions=KEPT)
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.document("/note", blob_id="b" * 64)
        shelf.index(document, ["another note"], keep_versions=KEPT)

        restore(shelf, snapshot.id)

        restored = shelf.store.document(document.id)
        assert restored.blob_id == "b" * 64
        assert restored.held is not None

    def test_registered_document_comes_back_as_such(self, shelf: Shelf) -> None:
        document = shelf.document("/plain")
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(document, ["words"])

        restore(shelf, snapshot.id)

        restored = shelf.store.document(document.id)
        assert (restored.state, restored.version) == (DocumentState.REGISTERED, None)
        assert found(shelf, "words") == []
        assert shelf.index(document, ["words"]).number == 2

    def test_source_that_was_registered_anew_gives_way(self, shelf: Shelf) -> None:
        document = shelf.document("/same")
        shelf.index(document, ["first life"])
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.store.delete_documents([document.id])
        again = shelf.document("/same")
        shelf.index(again, ["second life"])
        assert again.id != document.id

        restore(shelf, snapshot.id)

        assert found(shelf, "first life", "second life") == ["first life"]

    def test_cleared_document_keeps_what_a_snapshot_names(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        with shelf.database.write() as transaction:
            shelf.store.clear(transaction, letters.id)
        assert found(shelf, "gamma") == []
        assert shelf.whole(shelf.draft(letters), ["anew"]).number == 4

        restore(shelf, snapshot.id)

        assert found(shelf, "gamma", "anew") == ["gamma"]

    def test_version_without_chunks_that_a_snapshot_names_keeps_its_number(self, shelf: Shelf) -> None:
        document = shelf.document("/empty")
        shelf.index(document, [])
        shelf.store.take_snapshot(shelf.name, "first")
        with shelf.database.write() as transaction:
            shelf.store.clear(transaction, document.id)

        assert shelf.whole(shelf.draft(document), ["words"]).number == 2

    def test_document_that_comes_back_from_a_sweep_cut_short_has_every_version_whole(
        self, shelf: Shelf, letters: Document, tiring: Tiring
    ) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.index(letters, ["flood"], keep_versions=KEPT)
        # One to hide the document, one to remove its chunks.
        tiring.left = 2
        with pytest.raises(Unavailable):
            SqlIndexStore(tiring, clock=FixedClock()).delete_documents([letters.id])

        restore(shelf, snapshot.id)

        versions = shelf.store.versions(letters.id)
        assert [version.number for version in versions] == [3]
        assert texts_of(shelf, letters, 3) == ["gamma", "shared"]
        assert shelf.store.purge_abandoned(started_before=FOREVER) == 2
        assert shelf.index(letters, ["ebb"], keep_versions=KEPT).number == 4

    def test_purging_spares_what_a_snapshot_names_until_it_is_forgotten(self, shelf: Shelf, letters: Document) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        shelf.store.delete_documents([letters.id])
        shelf.store.purge_deleted(deleted_before=FOREVER)
        kept = rows_left(shelf.database)
        assert kept["version_chunks"] == 2

        shelf.store.forget_snapshot(shelf.name, snapshot.id, keep_versions=KEPT)
        shelf.store.purge_deleted(deleted_before=FOREVER)

        assert set(rows_left(shelf.database).values()) == {0}
        assert shelf.store.snapshots(shelf.name) == []

    def test_forgetting_leaves_what_the_document_or_another_snapshot_keeps(
        self, shelf: Shelf, letters: Document
    ) -> None:
        first = shelf.store.take_snapshot(shelf.name, "first")
        second = shelf.store.take_snapshot(shelf.name, "second")
        for text in ("delta", "epsilon"):
            shelf.index(letters, [text], keep_versions=1)
        assert [version.number for version in shelf.store.versions(letters.id)] == [5, 3]

        shelf.store.forget_snapshot(shelf.name, first.id, keep_versions=1)
        assert [version.number for version in shelf.store.versions(letters.id)] == [5, 3]
        shelf.store.forget_snapshot(shelf.name, second.id, keep_versions=1)
        assert [version.number for version in shelf.store.versions(letters.id)] == [5]
        assert rows_left(shelf.database)["chunks"] == 1

    @pytest.mark.usefixtures("letters")
    def test_space_that_only_a_snapshot_needed_goes_with_it(self, shelf: Shelf) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "old model")
        reembed(shelf, "two")
        assert rows_left(shelf.database)["embeddings"] == 2 * rows_left(shelf.database)["chunks"]

        shelf.store.forget_snapshot(shelf.name, snapshot.id, keep_versions=KEPT)

        assert rows_left(shelf.database)["embeddings"] == rows_left(shelf.database)["chunks"]
        assert found(shelf, "gamma") == ["gamma"]

    @pytest.mark.usefixtures("letters")
    def test_collection_takes_its_snapshots_along(self, shelf: Shelf) -> None:
        shelf.store.take_snapshot(shelf.name, "first")
        shelf.store.delete_collection(shelf.name)
        assert set(rows_left(shelf.database).values()) == {0}

    @pytest.mark.usefixtures("letters")
    @pytest.mark.parametrize("name", ["", " ", "x" * 201, "two\nlines", "nothing\0"])
    def test_name_that_nobody_can_read_is_refused(self, shelf: Shelf, name: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            shelf.store.take_snapshot(shelf.name, name)

        assert refused.value.code == "snapshot_name_invalid"
        assert shelf.store.snapshots(shelf.name) == []

    def test_snapshot_of_another_collection_is_not_there(self, shelf: Shelf) -> None:
        snapshot = shelf.store.take_snapshot(shelf.name, "first")
        other = Shelf(shelf.store, shelf.database, "other")

        for use in (
            lambda: restore(other, snapshot.id),
            lambda: shelf.store.forget_snapshot(other.name, snapshot.id, keep_versions=1),
        ):
            with pytest.raises(NotFound) as refused:
                use()
            assert refused.value.code == "snapshot_not_found"
