"""Searches by mode, in process and over HTTP.

Beside what they cannot do without: embedding the query, one product of the matrix, one look into the word index.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.corpus import pages
from benchmarks.support import Cell, Client, Options, Table, fresh, percentiles, serving, spread
from gristmill.app import Gristmill
from gristmill.db.tokens import query_tokens
from gristmill.ids import content_hash
from gristmill.index.model import ChunkPlace, NewDocument, Origin, SearchMode, StagedChunk, VersionDraft

__all__ = ["fill", "queries", "run"]

_COLLECTION = "bench"
_PER_DOCUMENT = 100
_WORDS_PER_CHUNK = 120
_TOP = 10
_PASSAGES = 2000
_PASSAGE_CHARS = 500
_SEED = 20
_EMBEDDED: list[Any] = []
"""Vectors of real passages, embedded once for all benchmarks of a run."""


def run(options: Options) -> Iterator[Table]:
    """One table for each size of collection."""
    for chunks in options.chunks:
        with fresh() as app:
            matrix = fill(app, chunks)
            yield _measured(app, matrix, options.pick(300, 30))


def vocabulary() -> list[str]:
    """Words as frequent as they are in real pages."""
    return [word for _, text in pages() for word in text.split() if word.isalpha()]


def queries(count: int) -> list[str]:
    """Different queries of two to five words."""
    chance = random.Random(_SEED + 1)
    words = vocabulary()
    return [" ".join(chance.choices(words, k=chance.randint(2, 5))) for _ in range(count)]


def fill(app: Gristmill, chunks: int) -> Any:
    """A collection of ``chunks`` texts made of real words, with vectors made of those of real passages; the vectors."""
    space = app.documents.collection(_COLLECTION).space
    chance = random.Random(_SEED)
    words = vocabulary()
    matrix = _vectors(app, space.embedder, chunks)
    for first in range(0, chunks, _PER_DOCUMENT):
        texts = [" ".join(chance.choices(words, k=_WORDS_PER_CHUNK)) for _ in range(min(_PER_DOCUMENT, chunks - first))]
        _publish(app, space.id, f"made/{first}.txt", texts, matrix[first : first + len(texts)])
    return matrix


def _vectors(app: Gristmill, embedder: str, count: int) -> Any:
    """Each is a passage moved by half of what is between two others: as many as are wanted, spread as real ones are."""
    real = _passages(app, embedder, min(_PASSAGES, max(2, count // 5)))
    numbers = np.random.default_rng(_SEED)
    one, other, third = numbers.integers(len(real), size=(3, count))
    matrix = real[one] + (real[other] - real[third]) / 2
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix


def _passages(app: Gristmill, embedder: str, count: int) -> Any:
    if len(_EMBEDDED) < count:
        text = "\n".join(page for _, page in pages())
        starts = random.Random(_SEED).sample(range(len(text) - _PASSAGE_CHARS), count)
        passages = [text[start : start + _PASSAGE_CHARS] for start in starts]
        _EMBEDDED[:] = app.embedders.get(embedder).embed_documents(passages)
    return np.array(_EMBEDDED[:count])


def _publish(app: Gristmill, space_id: int, source: str, texts: Sequence[str], vectors: Any) -> None:
    new = NewDocument(source=source, origin=Origin.PATH, name=source.rsplit("/", 1)[-1])
    document = app.index.register(_COLLECTION, [new])[0]
    draft = VersionDraft(
        document_id=document.id,
        space_id=space_id,
        replaces=None,
        content_hash=content_hash(source),
        settings_hash="",
        media_type="text/plain",
        size=sum(map(len, texts)),
    )
    version_id = app.index.begin_version(draft, task_id=source)
    app.index.stage(
        version_id,
        [
            StagedChunk(
                position=position,
                text=text,
                content_hash=content_hash(source, text),
                place=ChunkPlace(start=0, end=len(text)),
                vector=vector,
            )
            for position, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ],
    )
    with app.database.write() as transaction:
        app.index.publish(transaction, version_id, keep_versions=1)


def _measured(app: Gristmill, matrix: Any, count: int) -> Table:
    asked = queries(2 * count)
    warm, measured = asked[:count], asked[count:]
    space = app.index.collection(_COLLECTION).space
    first = _times(lambda query: app.searcher.search(query, collection=_COLLECTION), warm[:1])[0]
    vectors = [app.embedders.embed_query(space, query) for query in measured]
    embedding = _times(lambda query: app.embedders.embed_query(space, query), measured)
    multiplying = _times(lambda vector: _nearest(matrix, vector), vectors)
    looking = _times(lambda query: _words(app, query), measured)
    by_meaning, by_words = spread(embedding)[1] + spread(multiplying)[1], spread(looking)[1]
    limits = {
        SearchMode.VECTOR: by_meaning,
        SearchMode.KEYWORD: by_words,
        SearchMode.HYBRID: by_meaning + by_words,
    }
    rows: list[tuple[Cell, ...]] = [
        ("limit: embedding the query", *_milliseconds(embedding), None),
        ("limit: numpy product and top 10", *_milliseconds(multiplying), None),
        ("limit: bare FTS5 query, top 10", *_milliseconds(looking), None),
    ]
    for mode in SearchMode:
        _times(_in_process(app, mode), warm)
        times = _times(_in_process(app, mode), measured)
        rows.append((f"{mode}, in process", *_milliseconds(times), spread(times)[1] / limits[mode]))
    with serving(app) as client:
        for mode in SearchMode:
            _times(_over_http(client, mode), warm)
            times = _times(_over_http(client, mode), measured)
            rows.append((f"{mode}, over HTTP", *_milliseconds(times), spread(times)[1] / limits[mode]))
    return Table(
        title=f"Searching {len(matrix):,} chunks, ms",
        head=("", "p50", "p95", "p99", "p50, of the limit"),
        rows=rows,
        note=(
            f"{count} different queries each, one at a time; {space.dimension} dimensions. The limit of vector "
            "search is embedding the query and one matrix product, that of keyword search the FTS5 query, that of "
            "hybrid search all three. "
            "Vectors are made of those of real passages. "
            f"Recall@10 of the vectors against the exact answer: {_recall(app, matrix, vectors):.3f}. "
            f"The very first search, which loads the model and the matrix, took {first:.2f} s."
        ),
    )


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


def _nearest(matrix: Any, vector: Any) -> Any:
    scores = matrix @ vector
    best = np.argpartition(scores, -_TOP)[-_TOP:]
    return best[np.argsort(-scores[best])]


def _words(app: Gristmill, query: str) -> int:
    """Any of the words, in the index of the product, as SQLite itself ranks them."""
    anyone = " OR ".join(f'"{term}"' for term in query_tokens(query))
    statement = f"SELECT rowid FROM chunk_words WHERE chunk_words MATCH ? ORDER BY rank LIMIT {_TOP}"
    with app.database.read() as connection:
        return len(connection.exec_driver_sql(statement, (anyone,)).all())


def _recall(app: Gristmill, matrix: Any, vectors: Sequence[Any]) -> float:
    collection = app.index.collection(_COLLECTION)
    found = 0
    for vector in vectors:
        # The chunks were stored in the order of the matrix, in documents of equal size.
        hits = app.index.hits(collection, app.index.nearest(collection, vector, limit=_TOP))
        rows = {int(hit.source.rsplit("/", 1)[-1].removesuffix(".txt")) + hit.position for hit in hits}
        found += len(rows & {int(row) for row in _nearest(matrix, vector)})
    return found / (_TOP * len(vectors))
