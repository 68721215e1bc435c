"""Random histories of a collection: whatever is done in whatever order, it shows and keeps what a small model says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.errors import Conflict, NotFound
from gristmill.index.model import DocumentFilter, DocumentState, Snapshot
from tests.contracts.shelf import DIMENSION, Shelf, chunks_of, vector_of
from tests.contracts.test_index_store import rows_left

WORDS = ["mill", "weir", "wheel", "水车"]
SOURCES = ["/a", "/b"]
BLOBS = ["a" * 64, "b" * 64]
MODELS = ["one", "two"]
OFTEN = ["index", "restore", "forget", "roll back"]
SOMETIMES = ["register", "take a snapshot", "reembed", "clear", "delete", "forget deletions"]
ONE = st.integers(0, 255)
"""Which of those there are."""
DEEDS = st.tuples(st.sampled_from(3 * OFTEN + SOMETIMES), ONE, ONE, st.lists(st.sampled_from(WORDS), max_size=3))
LENGTH = 15
FOREVER = 2**60


@dataclass(kw_only=True)
class Paper:
    """What is expected of a document."""

    source: str
    blob: str
    versions: dict[int, tuple[str, ...]] = field(default_factory=dict)
    shown: int | None = None
    held: int | None = None
    is_gone: bool = False


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is expected of a snapshot."""

    papers: Mapping[int, Paper]
    model: str
    is_automatic: bool


class History:
    """A collection, and what is expected of it."""

    def __init__(self, store: SqlIndexStore, database: Database, name: str, *, kept: int) -> None:
        self.store, self.database, self.kept = store, database, kept
        self.shelf = Shelf(store, database, name)
        self.papers: dict[int, Paper] = {}
        self.memories: dict[int, Memory] = {}
        self.model = "one"
        self.embedded: dict[str, set[tuple[int, str]]] = {"one": set()}
        for source in SOURCES:
            self.register(source, BLOBS[0])
            self.index(-1, ["mill", "weir"], is_whole=True)
        self.take_snapshot()

    def do(self, deed: str, one: int, other: int, texts: Sequence[str]) -> None:
        """Carry out a deed, on one or other of what there is."""
        match deed:
            case "register":
                self.register(SOURCES[one % 2], BLOBS[other % 2])
            case "take a snapshot":
                self.take_snapshot()
            case "restore" if self.memories:
                self.restore(one)
            case "forget" if self.memories:
                self.forget(one)
            case "reembed":
                self.reembed(MODELS[one % 2])
            case "forget deletions":
                self.store.purge_deleted(deleted_before=FOREVER)
            case "index" if self.living:
                self.index(one, texts, is_whole=other % 2 == 0)
            case "roll back" if self.living:
                self.roll_back(one, other)
            case "clear" | "delete" if self.living:
                self.remove(one, is_deleted=deed == "delete")

    def check(self) -> None:
        """Compare everything that can be seen, and then what is left where nobody sees it."""
        self.collection_shows_what_it_is_to_show()
        self.documents_are_what_they_are_to_be()
        self.snapshots_are_those_that_were_taken()
        self.nothing_else_is_left()

    @property
    def living(self) -> dict[int, Paper]:
        return {number: paper for number, paper in self.papers.items() if not paper.is_gone}

    def pinned(self, number: int) -> set[int | None]:
        """The versions of a document that snapshots name."""
        return {memory.papers[number].shown for memory in self.memories.values() if number in memory.papers}

    def some(self, one: int) -> int:
        return sorted(self.living)[one % len(self.living)]

    def register(self, source: str, blob: str) -> None:
        document = self.shelf.document(source, blob_id=blob)
        known = [number for number, paper in self.living.items() if paper.source == source]
        assert [document.id] == known or (not known and document.id not in self.papers)
        self.papers.setdefault(document.id, Paper(source=source, blob=blob)).blob = blob

    def index(self, one: int, texts: Sequence[str], *, is_whole: bool) -> None:
        number = self.some(one)
        paper, document = self.papers[number], self.store.document(number)
        if is_whole:
            draft = self.shelf.draft(document)
            ready = self.store.prepare(draft, chunks_of(texts), task_id="task", dimension=DIMENSION)
            with self.database.write() as transaction:
                (published,) = self.store.publish_wholes(transaction, [ready], keep_versions=self.kept)
        else:
            published = self.shelf.index(document, texts, keep_versions=self.kept)
        assert published.number == max(paper.versions, default=0) + 1
        paper.versions[published.number] = tuple(texts)
        paper.shown, paper.held = published.number, None
        self.embedded[self.model] |= {(number, text) for text in texts}
        self.keep(number, sorted(paper.versions)[-self.kept :])

    def roll_back(self, one: int, which: int) -> None:
        number = self.some(one)
        paper = self.papers[number]
        version = [*sorted(paper.versions), 99][which % (len(paper.versions) + 1)]
        if version == 99:
            with pytest.raises(NotFound):
                self.store.roll_back(number, version)
        elif version != paper.shown and not self.has_embedded(number, paper.versions[version]):
            with pytest.raises(Conflict):
                self.store.roll_back(number, version)
        else:
            self.store.roll_back(number, version)
            if version != paper.shown:
                paper.shown, paper.held = version, self.latest_beside(paper, version)

    def has_embedded(self, number: int, texts: Sequence[str]) -> bool:
        return {(number, text) for text in texts} <= self.embedded[self.model]

    @staticmethod
    def latest_beside(paper: Paper, version: int | None) -> int | None:
        latest = max(paper.versions, default=None)
        return None if version in (None, latest) else latest

    def remove(self, one: int, *, is_deleted: bool) -> None:
        number = self.some(one)
        paper = self.papers[number]
        if is_deleted:
            assert self.store.delete_documents([number]) == [number]
            self.hide(number)
            return
        with self.database.write() as transaction:
            count = self.store.clear(transaction, number)
        assert count == len(paper.versions.get(paper.shown or 0, ()))
        paper.shown = paper.held = None
        self.keep(number, [])

    def hide(self, number: int) -> None:
        paper = self.papers[number]
        paper.is_gone, paper.shown, paper.held = True, None, None

    def take_snapshot(self) -> None:
        snapshot = self.store.take_snapshot(self.shelf.name, "taken")
        self.remember(snapshot)

    def remember(self, snapshot: Snapshot) -> None:
        papers = {number: replace(paper) for number, paper in self.living.items()}
        self.memories[snapshot.id] = Memory(papers=papers, model=self.model, is_automatic=snapshot.is_automatic)

    def restore(self, one: int) -> None:
        chosen = sorted(self.memories)[one % len(self.memories)]
        memory = self.memories[chosen]
        earlier = [number for number, other in self.memories.items() if other.is_automatic and number != chosen]
        removed = self.living.keys() - memory.papers.keys()
        returned = {number for number in memory.papers if self.papers[number].is_gone}
        changed = {n for n, then in memory.papers.items() if n not in returned and self.papers[n].shown != then.shown}
        is_same = not (removed or returned or changed) and self.model == memory.model

        restored = self.store.restore(self.shelf.name, chosen, keep_versions=self.kept)

        counts = (restored.removed, restored.returned, restored.changed)
        assert counts == (len(removed), len(returned), len(changed))
        if is_same and earlier:
            assert restored.before.id == max(earlier)
        else:
            self.remember(restored.before)
        self.model = memory.model
        for number in removed:
            self.hide(number)
        for number in returned | changed:
            paper, then = self.papers[number], memory.papers[number]
            paper.shown, paper.held = then.shown, self.latest_beside(paper, then.shown)
            if paper.is_gone:
                paper.is_gone, paper.blob = False, then.blob
        if earlier:
            self.give_up(*([] if is_same else earlier))

    def forget(self, one: int) -> None:
        chosen = sorted(self.memories)[one % len(self.memories)]
        self.store.forget_snapshot(self.shelf.name, chosen, keep_versions=self.kept)
        self.give_up(chosen)

    def give_up(self, *numbers: int) -> None:
        for number in numbers:
            del self.memories[number]
        for number, paper in self.living.items():
            newest = [] if paper.shown is None else sorted(paper.versions)[-self.kept :]
            self.keep(number, [*newest, paper.shown, paper.held])

    def keep(self, number: int, kept: Sequence[int | None]) -> None:
        """Nothing is kept of the document but these versions and those that snapshots name."""
        paper = self.papers[number]
        wanted = {*kept, *self.pinned(number)}
        paper.versions = {version: texts for version, texts in paper.versions.items() if version in wanted}

    def reembed(self, model: str) -> None:
        space = self.store.begin_space(self.shelf.name, embedder="test", model_id=model, dimension=DIMENSION)
        while chunks := self.store.chunks_to_embed(space.id, limit=10):
            self.store.add_embeddings(space.id, [(chunk.chunk_no, vector_of(chunk.text)) for chunk in chunks])
        with self.database.write() as transaction:
            assert self.store.activate_space(transaction, space.id)
        self.model = model
        texts = {(number, text) for number, paper in self.living.items() for text in self.all_texts(paper)}
        self.embedded.setdefault(model, set()).update(texts)

    @staticmethod
    def all_texts(paper: Paper) -> set[str]:
        return {text for texts in paper.versions.values() for text in texts}

    def collection_shows_what_it_is_to_show(self) -> None:
        collection = self.shelf.collection
        shown = {
            (number, paper.shown, text)
            for number, paper in self.living.items()
            for text in paper.versions.get(paper.shown or 0, ())
        }
        for found in (
            self.store.text(collection, " ".join(WORDS), limit=1000),
            self.store.nearest(collection, vector_of(WORDS[0]), limit=1000),
        ):
            hits = self.store.hits(collection, found)
            assert {(hit.document_id, hit.version, hit.text) for hit in hits} == shown
        lengths = [len(paper.versions.get(paper.shown or 0, ())) for paper in self.living.values()]
        assert (collection.document_count, collection.chunk_count) == (len(self.living), sum(lengths))
        assert self.store.count_documents(DocumentFilter(collection=collection.name)) == len(self.living)
        assert collection.space.model_id == self.model

    def documents_are_what_they_are_to_be(self) -> None:
        for number, paper in self.papers.items():
            if paper.is_gone:
                with pytest.raises(NotFound):
                    self.store.document(number)
                continue
            document = self.store.document(number)
            assert (document.version and document.version.number, document.blob_id) == (paper.shown, paper.blob)
            assert (document.held is None) == (paper.held is None)
            assert (document.state is DocumentState.INDEXED) == (paper.shown is not None)
            kept = {version.number: version for version in self.store.versions(number)}
            assert list(kept) == sorted(paper.versions, reverse=True)
            for version, texts in paper.versions.items():
                chunks = self.store.version_chunks(number, version)
                assert tuple(chunk.text for chunk in chunks) == texts
                assert kept[version].chunk_count == len(texts)

    def snapshots_are_those_that_were_taken(self) -> None:
        told = {
            number: (memory.is_automatic, len(memory.papers), sum(map(self.length_then, memory.papers.values())))
            for number, memory in sorted(self.memories.items(), reverse=True)
        }
        found = self.store.snapshots(self.shelf.name)
        assert {one.id: (one.is_automatic, one.document_count, one.chunk_count) for one in found} == told

    @staticmethod
    def length_then(paper: Paper) -> int:
        return len(paper.versions.get(paper.shown or 0, ()))

    def nothing_else_is_left(self) -> None:
        self.store.purge_deleted(deleted_before=0)
        for number, paper in self.papers.items():
            if paper.is_gone:
                self.keep(number, [])
        contents = {(number, text) for number, paper in self.papers.items() for text in self.all_texts(paper)}
        used = {self.model, *(memory.model for memory in self.memories.values())}
        self.embedded = {model: texts & contents for model, texts in self.embedded.items() if model in used}
        places = sum(len(texts) for paper in self.papers.values() for texts in paper.versions.values())
        assert rows_left(self.database) == {
            "chunks": len(contents),
            "chunk_words": len(contents),
            "version_chunks": places,
            "embeddings": sum(map(len, self.embedded.values())),
        }


def test_any_history_ends_as_the_model_says(index_store: SqlIndexStore, index_database: Database) -> None:
    is_far = index_database.dialect == "postgres"
    names = count()

    @settings(max_examples=8 if is_far else 40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1, 2), st.lists(DEEDS, min_size=LENGTH, max_size=LENGTH))
    def check(kept: int, deeds: list[tuple[str, int, int, list[str]]]) -> None:
        history = History(index_store, index_database, f"shelf {next(names)}", kept=kept)
        try:
            for deed in deeds:
                history.do(*deed)
                history.check()
        finally:
            index_store.delete_collection(history.shelf.name)
        assert set(rows_left(index_database).values()) == {0}

    check()
