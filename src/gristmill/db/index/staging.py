"""Statements that put chunks into a version nobody sees yet.

A chunk row belongs to a document and one content; every version of the document that has this content shares it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.db.index import words
from gristmill.db.index.rows import batches
from gristmill.db.schema import chunks, embeddings, spaces, version_chunks, versions
from gristmill.db.vectors import to_blob
from gristmill.errors import Conflict
from gristmill.index.model import StagedChunk

__all__ = ["Preparation", "count", "known_chunks", "known_hashes", "prepare", "stage"]

# Put together once: SQLAlchemy takes longer to build a statement than SQLite to carry it out.
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
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
_VECTORS = (
    select(chunks.c.content_hash, embeddings.c.vector)
    .join(embeddings, embeddings.c.chunk_no == chunks.c.no)
    .where(embeddings.c.space_id == bindparam("space"), chunks.c.content_hash.in_(_HASHES))
)
_KNOWN = _VECTORS.with_only_columns(chunks.c.content_hash)
_CHUNK_NUMBERS = select(chunks.c.content_hash, chunks.c.no).where(
    chunks.c.document_id == bindparam("document"), chunks.c.content_hash.in_(_HASHES)
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
    return set(_chunk_numbers(connection, document_id, {chunk.content_hash for chunk in staged}))


def stage(connection: Connection, draft: Any, prepared: Preparation) -> int:
    """Store prepared chunks under the draft row; how many of them brought a vector the version did not have yet."""
    if not prepared.staged:
        return 0
    numbers = _chunk_numbers(connection, draft.document_id, prepared.hashes)
    before = set(numbers.values())
    missing = [content_hash for content_hash in prepared.hashes if content_hash not in numbers]
    if missing:
        fresh = _insert_chunks(connection, draft.document_id, prepared, missing)
        words.add(connection, draft.collection_id, [(no, prepared.words(key)) for key, no in fresh.items()])
        numbers |= fresh
    _insert_embeddings(connection, draft, prepared, numbers, before)
    embedded = {numbers[content_hash] for content_hash in prepared.blobs}
    # A chunk that the document did not have is in no earlier batch of the version either.
    embedded -= _staged_before(connection, draft.id, embedded & before)
    connection.execute(
        insert(version_chunks),
        [
            {
                "version_id": draft.id,
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
    return len(embedded)


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
    connection.execute(
        insert(chunks),
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
    return _chunk_numbers(connection, document_id, hashes)


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
            insert(embeddings),
            [
                {"chunk_no": numbers[content_hash], "space_id": draft.space_id, "vector": blobs[content_hash]}
                for content_hash in wanted
            ],
        )


def known_hashes(connection: Connection, space_id: int, hashes: Iterable[str]) -> set[str]:
    """Which contents the space has an embedding of."""
    known: set[str] = set()
    for batch in batches(hashes):
        known.update(connection.execute(_KNOWN, {"space": space_id, "hashes": batch}).scalars())
    return known


def _vectors_of(connection: Connection, space_id: int, hashes: Iterable[str]) -> dict[str, bytes]:
    """The vectors the space knows for contents, whichever document has them."""
    found: dict[str, bytes] = {}
    for batch in batches(hashes):
        rows = connection.execute(_VECTORS, {"space": space_id, "hashes": batch})
        found |= {row.content_hash: row.vector for row in rows}
    return found


def _chunk_numbers(connection: Connection, document_id: int, hashes: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for batch in batches(hashes):
        rows = connection.execute(_CHUNK_NUMBERS, {"document": document_id, "hashes": batch})
        found |= {row.content_hash: row.no for row in rows}
    return found
