"""Searches by mode, in process and over HTTP, also while documents are published.

Beside what they cannot do without: embedding the query, one product of the matrix, one look into the word index.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.corpus import pages
from benchmarks.support import Cell, Client, Options, Table, fresh, percentiles, rss_mb, serving, spread
from gristmill.app import Gristmill
from gristmill.db.tokens import query_tokens
from gristmill.ids import content_hash
from gristmill.index.model import ChunkPlace, NewDocument, Origin, SearchMode, Space, StagedChunk, VersionDraft

__all__ = ["fill", "queries", "run"]

_COLLECTION = "bench"
_PER_DOCUMENT = 100
_PER_TRANSACTION = 20
_PORTION = 10_000
"""Vectors in memory at once, a multiple of those of a document."""
_WORDS_PER_CHUNK = 120
_TOP = 10
_PASSAGES = 2000
_PASSAGE_CHARS = 500
_SEED = 20
_PER_SECOND = 5
_PER_SMALL_DOCUMENT = 10
_BESIDE = f"while {_PER_SECOND} documents a second are published"
_EMBEDDED: list[Any] = []
"""Vectors of real passages, embedded once for all benchmarks of a run."""


def run(options: Options) -> Iterator[Table]:
    """One table for each size of collection, and one of how searches slow down as it grows."""
    curve: list[tuple[Cell, ...]] = []
    for chunks in options.chunks:
        with fresh() as app:
            fill(app, chunks)
            measured = _Measured(app, chunks, options.pick(300, 30))
            yield measured.table()
            curve += measured.curve()
    yield Table(
        title="Searching over HTTP, by size of the collection",
        head=("chunks", "mode", "p50, ms", "p95, ms", "p99, ms", "recall@10", "API, MB", "first search, s"),
        rows=curve,
        note=(
            "Recall is that of the vectors against the exact answer. The first search of a server loads the model "
            "and all vectors. Memory is resident, after the searches of all modes."
        ),
    )


def vocabulary() -> list[str]:
    """Words as frequent as they are in real pages."""
    return [word for _, text in pages() for word in text.split() if word.isalpha()]


def queries(count: int) -> list[str]:
    """Different queries of two to five words."""
    chance = random.Random(_SEED + 1)
    words = vocabulary()
    return [" ".join(chance.choices(words, k=chance.randint(2, 5))) for _ in range(count)]


def fill(app: Gristmill, chunks: int) -> None:
    """A collection of ``chunks`` texts made of real words, with vectors made of those of real passages."""
    space = app.documents.collection(_COLLECTION).space
    chance = random.Random(_SEED)
    words = vocabulary()
    for portion, vectors in enumerate(_portions(app, space.embedder, chunks)):
        made: list[_Made] = []
        for first in range(0, len(vectors), _PER_DOCUMENT):
            own = vectors[first : first + _PER_DOCUMENT]
            texts = [" ".join(chance.choices(words, k=_WORDS_PER_CHUNK)) for _ in own]
            made.append(_Made(f"made/{portion * _PORTION + first}.txt", texts, own))
        for start in range(0, len(made), _PER_TRANSACTION):
            _publish(app, space, made[start : start + _PER_TRANSACTION])


def _portions(app: Gristmill, embedder: str, count: int) -> Iterator[Any]:
    """``count`` vectors, the same in every run, of which only a portion is ever in memory.

    Each is a passage moved by half of what is between two others: as many as are wanted, spread as real ones are.
    """
    real = _passages(app, embedder, min(_PASSAGES, max(2, count // 5)))
    for first in range(0, count, _PORTION):
        numbers = np.random.default_rng([_SEED, first])
        one, other, third = numbers.integers(len(real), size=(3, min(_PORTION, count - first)))
        vectors = real[one] + (real[other] - real[third]) / 2
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield vectors


def _passages(app: Gristmill, embedder: str, count: int) -> Any:
    if len(_EMBEDDED) < count:
        text = "\n".join(page for _, page in pages())
        starts = random.Random(_SEED).sample(range(len(text) - _PASSAGE_CHARS), count)
        passages = [text[start : start + _PASSAGE_CHARS] for start in starts]
        _EMBEDDED[:] = app.embedders.get(embedder).embed_documents(passages)
    return np.array(_EMBEDDED[:count])


@dataclass(frozen=True, slots=True)
class _Made:
    source: str
    texts: Sequence[str]
    vectors: Any


def _publish(app: Gristmill, space: Space, made: Sequence[_Made]) -> None:
    """Put documents into the collection, all in one transaction."""
    new = [NewDocument(source=one.source, origin=Origin.PATH, name=one.source.rsplit("/", 1)[-1]) for one in made]
    ready = []
    for document, one in zip(app.index.register(_COLLECTION, new), made, strict=True):
        draft = VersionDraft(
            document_id=document.id,
            space_id=space.id,
            replaces=None,
            content_hash=content_hash(one.source),
            settings_hash="",
            media_type="text/plain",
            size=sum(map(len, one.texts)),
        )
        chunks = [
            StagedChunk(
                position=position,
                text=text,
                content_hash=content_hash(one.source, text),
                place=ChunkPlace(start=0, end=len(text)),
                vector=vector,
                document_name=document.name,
            )
            for position, (text, vector) in enumerate(zip(one.texts, one.vectors, strict=True))
        ]
        ready.append(app.index.prepare(draft, chunks, task_id=one.source, dimension=space.dimension))
    with app.database.write() as transaction:
        app.index.publish_wholes(transaction, ready, keep_versions=1)


class _Measured:
    """The times of one collection, in seconds."""

    def __init__(self, app: Gristmill, chunks: int, count: int) -> None:
        self.chunks, self.count = chunks, count
        asked = queries(2 * count)
        warm, measured = asked[:count], asked[count:]
        self.space = app.index.collection(_COLLECTION).space
        app.searcher.search(warm[0], collection=_COLLECTION)
        self.embedding = _times(lambda query: app.embedders.embed_query(self.space, query), measured)
        vectors = np.array([app.embedders.embed_query(self.space, query) for query in measured])
        exact, self.multiplying = _exact(app, self.space.embedder, chunks, vectors)
        self.recall = _recall(app, vectors, exact)
        self.looking = _times(lambda query: _words(app, query), measured)
        self.inside: dict[SearchMode, list[float]] = {}
        self.http: dict[SearchMode, list[float]] = {}
        for mode in SearchMode:
            _times(_in_process(app, mode), warm)
            self.inside[mode] = _times(_in_process(app, mode), measured)
        with serving(app) as client:
            self.first = _times(_over_http(client, SearchMode.HYBRID), warm[:1])[0]
            for mode in SearchMode:
                _times(_over_http(client, mode), warm)
                self.http[mode] = _times(_over_http(client, mode), measured)
            self.megabytes = rss_mb(client.pid)
            with _publishing(app, self.space):
                self.beside = _times(_over_http(client, SearchMode.HYBRID), measured)

    def table(self) -> Table:
        """All there is to say about one size."""
        by_meaning = spread(self.embedding)[1] + spread(self.multiplying)[1]
        by_words = spread(self.looking)[1]
        limits = {
            SearchMode.VECTOR: by_meaning,
            SearchMode.KEYWORD: by_words,
            SearchMode.HYBRID: by_meaning + by_words,
        }
        rows: list[tuple[Cell, ...]] = [
            ("limit: embedding the query", *_milliseconds(self.embedding), None),
            ("limit: numpy product and top 10", *_milliseconds(self.multiplying), None),
            ("limit: bare FTS5 query, top 10", *_milliseconds(self.looking), None),
        ]
        for place, by_mode in (("in process", self.inside), ("over HTTP", self.http)):
            for mode, times in by_mode.items():
                rows.append((f"{mode}, {place}", *_milliseconds(times), spread(times)[1] / limits[mode]))
        rows.append((f"hybrid, over HTTP, {_BESIDE}", *_milliseconds(self.beside), None))
        return Table(
            title=f"Searching {self.chunks:,} chunks, ms",
            head=("", "p50", "p95", "p99", "p50, of the limit"),
            rows=rows,
            note=(
                f"{self.count} different queries each, one at a time; {self.space.dimension} dimensions. The limit of "
                "vector search is embedding the query and one matrix product, that of keyword search the FTS5 query, "
                "that of hybrid search all three. Vectors are made of those of real passages. "
                f"Recall@10 of the vectors against the exact answer: {self.recall:.3f}. The very first search, which "
                f"loads the model and the vectors, took {self.first:.2f} s; the API then held {self.megabytes:.0f} MB."
            ),
        )

    def curve(self) -> Iterator[tuple[Cell, ...]]:
        """The rows of the table of all sizes."""
        for mode, times in self.http.items():
            hybrid = mode is SearchMode.HYBRID
            recall = self.recall if mode is SearchMode.VECTOR else None
            once = (self.megabytes, self.first) if hybrid else (None, None)
            yield (self.chunks, mode.value, *_milliseconds(times), recall, *once)
        yield (self.chunks, f"hybrid, {_BESIDE}", *_milliseconds(self.beside), None, None, None)


@contextmanager
def _publishing(app: Gristmill, space: Space) -> Iterator[None]:
    """Meanwhile, documents are published at an even pace."""
    ended, vectors = threading.Event(), next(_portions(app, space.embedder, _PER_SMALL_DOCUMENT))
    words, chance = vocabulary(), random.Random(_SEED + 2)

    def publish() -> int:
        count = 0
        while not ended.wait(1 / _PER_SECOND):
            texts = [" ".join(chance.choices(words, k=_WORDS_PER_CHUNK)) for _ in vectors]
            _publish(app, space, [_Made(f"made beside/{count}.txt", texts, vectors)])
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        published = pool.submit(publish)
        try:
            yield
        finally:
            ended.set()
            if not published.result():
                raise RuntimeError("nothing was published meanwhile")


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 99))


def _times(call: Callable[[Any], object], over: Sequence[Any]) -> list[float]:
    times = []
    for value in over:
        start = time.perf_counter()
        call(value)
        times.append(time.perf_counter() - start)
    return times


def _in_process(app: Gristmill, mode: SearchMode) -> Callable[[str], object]:
    return lambda query: app.searcher.search(query, collection=_COLLECTION, mode=mode, limit=_TOP)


def _over_http(client: Client, mode: SearchMode) -> Callable[[str], object]:
    fixed = {"collection": _COLLECTION, "mode": mode.value, "limit": _TOP}
    return lambda query: client.ask("POST", "/api/search", {"query": query, **fixed})


def _exact(app: Gristmill, embedder: str, chunks: int, vectors: Any) -> tuple[list[set[int]], list[float]]:
    """The rows nearest to each of ``vectors``, and how long finding them took."""
    seconds = [0.0] * len(vectors)
    best: list[list[tuple[float, int]]] = [[] for _ in vectors]
    first = 0
    for matrix in _portions(app, embedder, chunks):
        for number, vector in enumerate(vectors):
            start = time.perf_counter()
            scores = matrix @ vector
            rows = np.argpartition(scores, -_TOP)[-_TOP:]
            best[number] += zip(scores[rows].tolist(), (rows + first).tolist(), strict=True)
            seconds[number] += time.perf_counter() - start
        first += len(matrix)
    return [{row for _, row in sorted(found, reverse=True)[:_TOP]} for found in best], seconds


def _words(app: Gristmill, query: str) -> int:
    """Any of the words, in the index of the product, as SQLite itself ranks them."""
    anyone = " OR ".join(f'"{term}"' for term in query_tokens(query))
    statement = f"SELECT rowid FROM chunk_words WHERE chunk_words MATCH ? ORDER BY rank LIMIT {_TOP}"
    with app.database.read() as connection:
        return len(connection.exec_driver_sql(statement, (anyone,)).all())


def _recall(app: Gristmill, vectors: Any, exact: Sequence[set[int]]) -> float:
    collection = app.index.collection(_COLLECTION)
    found = 0
    for vector, rows in zip(vectors, exact, strict=True):
        hits = app.index.hits(collection, app.index.nearest(collection, vector, limit=_TOP))
        # A document is called by the first of its vectors.
        found += len(rows & {int(hit.source.rsplit("/", 1)[-1].removesuffix(".txt")) + hit.position for hit in hits})
    return found / (_TOP * len(vectors))
