"""Statements that put chunks into a version nobody sees yet.

A chunk row belongs to a document and one content; every version of the document that has this content shares it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, select, update
from sqlalchemy.engine import Connection

from gristmill.db.bulk import BulkInsert, reserved
from gristmill.db.database import Database
from gristmill.db.index import words
from gristmill.db.index.rows import batches, listed
from gristmill.db.schema import chunks, embeddings, spaces, version_chunks, versions
from gristmill.db.vectors import to_blobs
from gristmill.errors import Conflict
from gristmill.index.model import StagedChunk

__all__ = [
    "Addition",
    "Preparation",
    "chunk_numbers",
    "count",
    "known_chunks",
    "known_contents",
    "known_hashes",
    "list_chunks",
    "prepare",
    "stage",
    "store_chunks",
]

# Put together once: SQLAlchemy takes longer to build a statement than SQLite to carry it out.
_NUMBERS: BindParameter[Any] = bindparam("numbers", expanding=True)
_DIMENSION = select(spaces.c.dimension).where(spaces.c.id == bindparam("space"))
_COUNT = (
    update(versions)
    .where(versions.c.id == bindparam("version"))
    .values(
        chunk_count=versions.c.chunk_count + bindparam("more"),
        embedded=versions.c.embedded + bindparam("more_embedded"),
    )
)
_IN_VERSION = select(version_chunks.c.chunk_no).where(
    version_chunks.c.chunk_no.in_(_NUMBERS), version_chunks.c.version_id == bindparam("version")
)
_EMBEDDED = select(embeddings.c.chunk_no).where(
    embeddings.c.space_id == bindparam("space"), embeddings.c.chunk_no.in_(_NUMBERS)
)
_NEW_CHUNKS = BulkInsert(chunks, "no", "document_id", "content_hash", "headings", "text")
_NEW_EMBEDDINGS = BulkInsert(embeddings, "chunk_no", "space_id", "vector")
_NEW_PLACES = BulkInsert(version_chunks, "version_id", "position", "chunk_no", "start", "end", "page", "part")


@cache
def _vectors(dialect: str) -> Select[Any]:
    return (
        select(chunks.c.content_hash, embeddings.c.vector)
        .join(embeddings, embeddings.c.chunk_no == chunks.c.no)
        .where(
            chunks.c.content_hash.in_(listed(dialect, "hashes")),
            # A sum has no index: SQLite would walk through all vectors of the space.
            embeddings.c.space_id + 0 == bindparam("space"),
        )
    )


@cache
def _numbers(dialect: str) -> Select[Any]:
    return select(chunks.c.content_hash, chunks.c.no).where(
        chunks.c.document_id == bindparam("document"), chunks.c.content_hash.in_(listed(dialect, "hashes"))
    )


class Preparation:
    """What staging computes outside its transaction: words and vectors as they are stored."""

    def __init__(self, staged: Sequence[StagedChunk], *, known: set[str], dimension: int) -> None:
        self.staged = staged
        embedded = [chunk for chunk in staged if chunk.vector is not None]
        blobs = to_blobs([chunk.vector for chunk in embedded], dimension)
        self.blobs = {chunk.content_hash: blob for chunk, blob in zip(embedded, blobs, strict=True)}
        self._chunks = {chunk.content_hash: chunk for chunk in staged}
        self._words: dict[str, str] = {}
        for content_hash in self._chunks.keys() - known:
            self.words(content_hash)

    def words(self, content_hash: str) -> str:
        """The searchable words of a chunk."""
        if content_hash not in self._words:
            chunk = self._chunks[content_hash]
            self._words[content_hash] = words.words_of(chunk.document_name, chunk.place.headings, chunk.text)
        return self._words[content_hash]

    def chunk(self, content_hash: str) -> StagedChunk:
        """A chunk with that content."""
        return self._chunks[content_hash]

    @property
    def hashes(self) -> list[str]:
        """Each content once, in order."""
        return list(self._chunks)


def prepare(connection: Connection, draft: Any, staged: Sequence[StagedChunk]) -> Preparation:
    """Compute what :func:`stage` stores for the draft row; needs no write transaction."""
    known = known_chunks(connection, draft.document_id, staged)
    dimension = connection.execute(_DIMENSION, {"space": draft.space_id}).scalar()
    if dimension is None:
        raise Conflict("space_replaced", document_id=draft.document_id)
    return Preparation(staged, known=known, dimension=dimension)


def known_chunks(connection: Connection, document_id: int, staged: Sequence[StagedChunk]) -> set[str]:
    """Which contents the document has in one of its versions."""
    return set(chunk_numbers(connection, document_id, (chunk.content_hash for chunk in staged)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Addition:
    """Prepared chunks and the document they are stored for."""

    document_id: int
    collection_id: int
    space_id: int
    prepared: Preparation
    known: Mapping[str, int]
    """Numbers of those of the contents that the document has, in whichever of its versions."""


def stage(connection: Connection, draft: Any, prepared: Preparation) -> int:
    """Store prepared chunks under the draft row; how many of them brought a vector the version did not have yet."""
    if not prepared.staged:
        return 0
    known = chunk_numbers(connection, draft.document_id, prepared.hashes)
    addition = Addition(
        document_id=draft.document_id,
        collection_id=draft.collection_id,
        space_id=draft.space_id,
        prepared=prepared,
        known=known,
    )
    (numbers,) = store_chunks(connection, [addition])
    embedded = {numbers[content_hash] for content_hash in prepared.blobs}
    # A chunk that the document did not have is in no earlier batch of the version either.
    embedded -= _staged_before(connection, draft.id, embedded & set(known.values()))
    list_chunks(connection, [(draft.id, prepared, numbers)])
    return len(embedded)


def store_chunks(connection: Connection, additions: Sequence[Addition]) -> list[dict[str, int]]:
    """Store what the documents lack, each kind of row in one go; for each addition, the numbers of its contents."""
    numbers = [dict(addition.known) for addition in additions]
    missing = [
        (place, content_hash)
        for place, addition in enumerate(additions)
        for content_hash in addition.prepared.hashes
        if content_hash not in addition.known
    ]
    rows = []
    terms: dict[int, list[tuple[int, str]]] = {}
    for (place, content_hash), no in zip(missing, reserved(connection, chunks.c.no, len(missing)), strict=True):
        numbers[place][content_hash] = no
        addition = additions[place]
        chunk = addition.prepared.chunk(content_hash)
        rows.append((no, addition.document_id, content_hash, chunk.place.headings, chunk.text))
        terms.setdefault(addition.collection_id, []).append((no, addition.prepared.words(content_hash)))
    _NEW_CHUNKS(connection, rows)
    for collection_id, found in terms.items():
        words.add(connection, collection_id, found)
    for space_id in {addition.space_id for addition in additions}:
        inside = [pair for pair in zip(additions, numbers, strict=True) if pair[0].space_id == space_id]
        _insert_embeddings(connection, space_id, inside)
    return numbers


def list_chunks(connection: Connection, lists: Iterable[tuple[int, Preparation, Mapping[str, int]]]) -> None:
    """Say which chunks each version has, by their numbers, and where in its text they stand."""
    _NEW_PLACES(
        connection,
        (
            (version_id, chunk.position, numbers[chunk.content_hash], place.start, place.end, place.page, place.part)
            for version_id, prepared, numbers in lists
            for chunk in prepared.staged
            for place in [chunk.place]
        ),
    )


def count(connection: Connection, draft: Any, *, chunks: int, embedded: int) -> None:
    """Add to the counts of the draft row."""
    connection.execute(_COUNT, {"version": draft.id, "more": chunks, "more_embedded": embedded})


def _staged_before(connection: Connection, version_id: int, chunk_nos: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for batch in batches(chunk_nos):
        found.update(connection.execute(_IN_VERSION, {"numbers": batch, "version": version_id}).scalars())
    return found


def _insert_embeddings(
    connection: Connection, space_id: int, additions: Sequence[tuple[Addition, Mapping[str, int]]]
) -> None:
    """Store the vectors that are missing; only of chunks that were there before there may be some."""
    present: set[int] = set()
    for batch in batches(no for addition, _ in additions for no in addition.known.values()):
        present.update(connection.execute(_EMBEDDED, {"space": space_id, "numbers": batch}).scalars())
    wanted = [
        (addition, {content_hash: no for content_hash, no in numbers.items() if no not in present})
        for addition, numbers in additions
    ]
    unembedded = {
        content_hash for addition, new in wanted for content_hash in new.keys() - addition.prepared.blobs.keys()
    }
    borrowed = _vectors_of(connection, space_id, unembedded) if unembedded else {}
    rows: list[tuple[int, int, bytes]] = []
    for addition, new in wanted:
        blobs = borrowed | addition.prepared.blobs
        if vanished := new.keys() - blobs.keys():
            raise Conflict("embedding_vanished", document_id=addition.document_id, count=len(vanished))
        rows += [(no, space_id, blobs[content_hash]) for content_hash, no in new.items()]
    _NEW_EMBEDDINGS(connection, rows)


def known_hashes(database: Database, space_id: int, hashes: Iterable[str]) -> set[str]:
    """Which contents the space has an embedding of."""
    values = {"space": space_id, "hashes": json.dumps(list(hashes))}
    return {content_hash for (content_hash,) in database.look(known_contents, values)}


@cache
def known_contents(dialect: str) -> Select[Any]:
    """The statement of :func:`known_hashes`."""
    return _vectors(dialect).with_only_columns(chunks.c.content_hash)


def _vectors_of(connection: Connection, space_id: int, hashes: Iterable[str]) -> dict[str, bytes]:
    """The vectors the space knows for contents, whichever document has them."""
    values = {"space": space_id, "hashes": json.dumps(list(hashes))}
    rows = connection.execute(_vectors(connection.dialect.name), values)
    return {row.content_hash: row.vector for row in rows}


def chunk_numbers(connection: Connection, document_id: int, hashes: Iterable[str]) -> dict[str, int]:
    """The numbers of those contents that the document has in one of its versions."""
    values = {"document": document_id, "hashes": json.dumps(list(hashes))}
    rows = connection.execute(_numbers(connection.dialect.name), values)
    return {row.content_hash: row.no for row in rows}
