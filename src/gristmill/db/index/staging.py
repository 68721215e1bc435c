"""Statements that put chunks into a version nobody sees yet.

A chunk row belongs to a document and one content; every version of the document that has this content shares it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import words
from gristmill.db.index.rows import batches, listed
from gristmill.db.schema import chunks, embeddings, spaces, version_chunks, versions
from gristmill.db.vectors import to_blob
from gristmill.errors import Conflict
from gristmill.index.model import StagedChunk

__all__ = [
    "Preparation",
    "count",
    "known_chunks",
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
_NEW_CHUNKS = insert(chunks).returning(chunks.c.content_hash, chunks.c.no)
_NEW_EMBEDDINGS = insert(embeddings)
_NEW_PLACES = insert(version_chunks)


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
def _known(dialect: str) -> Select[Any]:
    return _vectors(dialect).with_only_columns(chunks.c.content_hash)


@cache
def _numbers(dialect: str) -> Select[Any]:
    return select(chunks.c.content_hash, chunks.c.no).where(
        chunks.c.document_id == bindparam("document"), chunks.c.content_hash.in_(listed(dialect, "hashes"))
    )


class Preparation:
    """What staging computes outside its transaction: words and vectors as they are stored."""

    def __init__(self, staged: Sequence[StagedChunk], *, known: set[str], dimension: int) -> None:
        self.staged = staged
        self.blobs = {
            chunk.content_hash: to_blob(chunk.vector, dimension) for chunk in staged if chunk.vector is not None
        }
        self._chunks = {chunk.content_hash: chunk for chunk in staged}
        self._words: dict[str, str] = {}
        for content_hash in self._chunks.keys() - known:
            self.words(content_hash)

    def words(self, content_hash: str) -> str:
        """The searchable words of a chunk."""
        if content_hash not in self._words:
            chunk = self._chunks[content_hash]
            self._words[content_hash] = words.words_of(chunk.place.headings, chunk.text)
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
    return set(_chunk_numbers(connection, document_id, (chunk.content_hash for chunk in staged)))


def stage(connection: Connection, draft: Any, prepared: Preparation) -> int:
    """Store prepared chunks under the draft row; how many of them brought a vector the version did not have yet."""
    if not prepared.staged:
        return 0
    known = _chunk_numbers(connection, draft.document_id, prepared.hashes)
    numbers = store_chunks(connection, draft, prepared, known)
    embedded = {numbers[content_hash] for content_hash in prepared.blobs}
    # A chunk that the document did not have is in no earlier batch of the version either.
    embedded -= _staged_before(connection, draft.id, embedded & set(known.values()))
    list_chunks(connection, draft.id, prepared, numbers)
    return len(embedded)


def store_chunks(
    connection: Connection, target: Any, prepared: Preparation, known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Store what the document of the draft row or ``Target`` lacks; the chunk number of each prepared content.

    ``known`` are the numbers of those it has, looked up if they are not given.
    """
    if known is None:
        known = _chunk_numbers(connection, target.document_id, prepared.hashes) if target.has_chunks else {}
    numbers = dict(known)
    missing = [content_hash for content_hash in prepared.hashes if content_hash not in numbers]
    if missing:
        fresh = _insert_chunks(connection, target.document_id, prepared, missing)
        words.add(connection, target.collection_id, [(no, prepared.words(key)) for key, no in fresh.items()])
        numbers |= fresh
    _insert_embeddings(connection, target, prepared, numbers, set(known.values()))
    return numbers


def list_chunks(connection: Connection, version_id: int, prepared: Preparation, numbers: Mapping[str, int]) -> None:
    """Say which chunks the version has, and where in its text they stand."""
    if not prepared.staged:
        return
    connection.execute(
        _NEW_PLACES,
        [
            {
                "version_id": version_id,
                "position": chunk.position,
                "chunk_no": numbers[chunk.content_hash],
                "start": chunk.place.start,
                "end": chunk.place.end,
                "page": chunk.place.page,
                "part": chunk.place.part,
            }
            for chunk in prepared.staged
        ],
    )


def count(connection: Connection, draft: Any, *, chunks: int, embedded: int) -> None:
    """Add to the counts of the draft row."""
    connection.execute(_COUNT, {"version": draft.id, "more": chunks, "more_embedded": embedded})


def _staged_before(connection: Connection, version_id: int, chunk_nos: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for batch in batches(chunk_nos):
        found.update(connection.execute(_IN_VERSION, {"numbers": batch, "version": version_id}).scalars())
    return found


def _insert_chunks(
    connection: Connection, document_id: int, prepared: Preparation, hashes: Sequence[str]
) -> dict[str, int]:
    rows = connection.execute(
        _NEW_CHUNKS,
        [
            {
                "document_id": document_id,
                "content_hash": content_hash,
                "headings": list(prepared.chunk(content_hash).place.headings),
                "text": prepared.chunk(content_hash).text,
            }
            for content_hash in hashes
        ],
    )
    return {row.content_hash: row.no for row in rows}


def _insert_embeddings(
    connection: Connection, draft: Any, prepared: Preparation, numbers: dict[str, int], before: set[int]
) -> None:
    """Store the vectors that are missing; only of the chunks ``before`` there may be some."""
    present: set[int] = set()
    for batch in batches(before):
        present.update(connection.execute(_EMBEDDED, {"space": draft.space_id, "numbers": batch}).scalars())
    wanted = [content_hash for content_hash, no in numbers.items() if no not in present]
    blobs = prepared.blobs
    borrowed = [content_hash for content_hash in wanted if content_hash not in blobs]
    if borrowed:
        blobs = blobs | _vectors_of(connection, draft.space_id, borrowed)
    vanished = [content_hash for content_hash in wanted if content_hash not in blobs]
    if vanished:
        raise Conflict("embedding_vanished", document_id=draft.document_id, count=len(vanished))
    if wanted:
        connection.execute(
            _NEW_EMBEDDINGS,
            [
                {"chunk_no": numbers[content_hash], "space_id": draft.space_id, "vector": blobs[content_hash]}
                for content_hash in wanted
            ],
        )


def known_hashes(connection: Connection, space_id: int, hashes: Iterable[str]) -> set[str]:
    """Which contents the space has an embedding of."""
    values = {"space": space_id, "hashes": json.dumps(list(hashes))}
    return set(connection.execute(_known(connection.dialect.name), values).scalars())


def _vectors_of(connection: Connection, space_id: int, hashes: Iterable[str]) -> dict[str, bytes]:
    """The vectors the space knows for contents, whichever document has them."""
    values = {"space": space_id, "hashes": json.dumps(list(hashes))}
    rows = connection.execute(_vectors(connection.dialect.name), values)
    return {row.content_hash: row.vector for row in rows}


def _chunk_numbers(connection: Connection, document_id: int, hashes: Iterable[str]) -> dict[str, int]:
    values = {"document": document_id, "hashes": json.dumps(list(hashes))}
    rows = connection.execute(_numbers(connection.dialect.name), values)
    return {row.content_hash: row.no for row in rows}
