"""How often a search finds the one document that was meant, and how far up, by embedder and mode.

The documents go through real workers, the queries through the real search. Files are called what the things are
called; once more, with numbers for names, they show what of the figures is owed to that.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.known_items import KnownItem, KnownItems, known_items
from benchmarks.support import Cell, Options, Table, fresh, working
from gristmill.app import Gristmill
from gristmill.errors import InvalidInput
from gristmill.index.model import SearchMode
from gristmill.tasks.model import TaskState
from gristmill.worker.foreground import cores

__all__ = ["run"]

_LONGEST_SECONDS = 3600.0
_DEPTH = 100
_TOP = 10
_RANK_CONSTANT = 2
_QUICK_SHARE = 0.1
_TEXTS_OF = {"across": "chinese"}
"""Sets that ask for the documents of another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    """The documents of all sets as files, and the Gristmill that indexes them."""

    app: Gristmill
    folder: Path
    numbered: bool = False
    """Whether the names of the files say nothing."""

    def file(self, items: KnownItems, item: KnownItem) -> Path:
        """Where the text of ``item`` is."""
        name = hashlib.sha256(item.name.encode()).hexdigest()[:8] if self.numbered else item.name.replace("/", "_")
        return (self.folder / _TEXTS_OF.get(items.name, items.name) / f"{name}.txt").resolve()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found for one item: source and chunk of each hit, best first."""

    meant: str
    held_out: bool
    found: tuple[tuple[str, int], ...]

    @property
    def rank(self) -> int | None:
        """The place of the first hit of the document that was meant."""
        return next((rank for rank, (source, _) in enumerate(self.found, 1) if source == self.meant), None)


def run(options: Options) -> Iterator[Table]:
    """One table for each set of known items."""
    sets, missing = known_items(_QUICK_SHARE if options.quick else 1.0)
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder, fresh() as app, fresh() as other:
        embedders = [name for name in options.embedders if _is_installed(app, name)]
        if absent := sorted(set(options.embedders) - set(embedders)):
            missing = " ".join(filter(None, [missing, f"Not installed: {', '.join(absent)}."]))
        library = _Library(app=app, folder=Path(folder, "named"))
        numbered = _Library(app=other, folder=Path(folder, "numbered"), numbered=True)
        for filled, wanted in ((library, embedders), (numbered, embedders[:1])):
            with working(filled.app, slots=cores()):
                for items in sets:
                    if items.name not in _TEXTS_OF:
                        _index(filled, items, wanted)
        for items in sets:
            yield _table(library, numbered, items, embedders, missing)


def _is_installed(app: Gristmill, embedder: str) -> bool:
    try:
        app.embedders.get(embedder)
    except InvalidInput:
        return False
    return True


def _index(library: _Library, items: KnownItems, embedders: Sequence[str]) -> None:
    app = library.app
    files = [library.file(items, item) for item in items.items]
    files[0].parent.mkdir(parents=True)
    for file, item in zip(files, items.items, strict=True):
        file.write_text(item.text, "utf-8")
    for embedder in embedders:
        collection = app.documents.collection(f"{items.name}-{embedder}", embedder=embedder).name
        local = [(str(file), str(file.parent)) for file in files]
        documents = app.documents.register_local(local, collection=collection)
        task = app.documents.index([document.id for document in documents])
        ended = app.tasks.wait(task.id, timeout_seconds=_LONGEST_SECONDS)
        indexed = sum(detail["status"] == "completed" for detail in app.tasks.items(task.id))
        if ended.state is not TaskState.COMPLETED or indexed != len(files):
            raise RuntimeError(f"indexing {collection} ended as {ended.state} with {indexed} of {len(files)} documents")


def _table(library: _Library, numbered: _Library, items: KnownItems, embedders: Sequence[str], missing: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for embedder in embedders:
        by_mode = {mode: _answers(library, items, embedder, mode) for mode in SearchMode}
        words, meaning = by_mode[SearchMode.KEYWORD], by_mode[SearchMode.VECTOR]
        if not rows:
            rows.append(("keyword", *_figures(words)))
        rows.append((f"vector, {embedder}", *_figures(meaning)))
        rows.append((f"hybrid, {embedder}", *_figures(by_mode[SearchMode.HYBRID])))
        rows.append((f"peer: reciprocal ranks, {embedder}", *_figures(list(map(_by_ranks, meaning, words)))))
        either = [min(one.rank or _DEPTH, other.rank or _DEPTH) for one, other in zip(meaning, words, strict=True)]
        share = sum(rank <= _TOP for rank in either) / len(either)
        rows.append((f"limit: either list, {embedder}", None, share, None, None, None))
    for embedder in embedders[:1]:
        nameless = _answers(numbered, items, embedder, SearchMode.HYBRID)
        rows.append((f"hybrid, {embedder}, numbers for names", *_figures(nameless)))
    held_out = sum(item.held_out for item in items.items)
    return Table(
        title=f"Finding known items: {items.title}",
        head=("", "recall@1", "recall@10", "MRR", "recall@10, half for tuning", "recall@10, half held out"),
        rows=rows,
        note=(
            f"{len(items.items)} short descriptions, each of which is to find the long description of the same thing; "
            f"{held_out} of them had no say in how both lists are fused. A hit counts by its place in the list. The "
            f"peer adds the reciprocals of the ranks plus {_RANK_CONSTANT} in both lists; the limit is how often one "
            "of the lists has the document among its first ten. The name of a thing is the name of its file, except "
            "in the last row. " + missing
        ).strip(),
    )


def _answers(library: _Library, items: KnownItems, embedder: str, mode: SearchMode) -> list[_Answer]:
    collection = f"{_TEXTS_OF.get(items.name, items.name)}-{embedder}"
    answers = []
    for item in items.items:
        page = library.app.searcher.search(item.query, collection=collection, mode=mode, limit=_DEPTH)
        found = tuple((hit.source, hit.chunk_no) for hit in page.hits)
        answers.append(_Answer(str(library.file(items, item)), item.held_out, found))
    return answers


def _by_ranks(one: _Answer, other: _Answer) -> _Answer:
    scores: dict[tuple[str, int], float] = {}
    for answer in (one, other):
        for rank, hit in enumerate(answer.found, 1):
            scores[hit] = scores.get(hit, 0.0) + 1 / (_RANK_CONSTANT + rank)
    return _Answer(one.meant, one.held_out, tuple(sorted(scores, key=lambda hit: -scores[hit])))


def _figures(answers: Sequence[_Answer]) -> tuple[Cell, ...]:
    def recall(among: Sequence[_Answer], top: int) -> float | None:
        found = sum(answer.rank is not None and answer.rank <= top for answer in among)
        return found / len(among) if among else None

    halves = [[answer for answer in answers if answer.held_out is half] for half in (False, True)]
    reciprocal = sum(1 / answer.rank for answer in answers if answer.rank) / len(answers)
    return (
        recall(answers, 1),
        recall(answers, _TOP),
        reciprocal,
        *(recall(half, _TOP) for half in halves),
    )
