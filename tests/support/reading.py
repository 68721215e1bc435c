"""Looks at a collection again and again, until told to stop: ``python -m tests.support.reading URL COLLECTION``.

Each look is a line of JSON. Every document is about one of :data:`WORDS`, which each of its chunks begins with.
"""

import json
import select
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from gristmill.clock import SystemClock
from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.index.model import Collection, DocumentFilter, Scored
from tests.contracts.shelf import vector_of

__all__ = ["WORDS", "look", "main"]

WORDS = ("rye", "oats", "barley")
ALL = 10_000
_PAUSE_SECONDS = 0.005


def look(store: SqlIndexStore, name: str) -> dict[str, list[Any]]:
    """By every way there is: whether the collection changed meanwhile, and what could be seen of it."""
    collection = store.collection(name)
    documents = store.documents(DocumentFilter(collection=name), limit=ALL)
    return {
        "words": _found(store, name, lambda now: store.text(now, " ".join(WORDS), limit=ALL)),
        "vectors": _found(store, name, lambda now: store.nearest(now, vector_of(WORDS[0]), limit=ALL)),
        "list": [False, Counter(document.version.title for document in documents if document.version)],
        "counts": [False, [collection.document_count, collection.chunk_count]],
        "matches": [False, store.count_documents(DocumentFilter(collection=name))],
    }


def _found(store: SqlIndexStore, name: str, find: Callable[[Collection], Sequence[Scored]]) -> list[Any]:
    """Of each word, how many chunks: fewer than there are, if some went between being found and being read."""
    before = store.collection(name)
    found = Counter(hit.text.split()[0] for hit in store.hits(before, find(before)))
    return [before.generation != store.collection(name).generation, found]


def main() -> None:
    """Look until standard input ends."""
    database = Database(sys.argv[1])
    store = SqlIndexStore(database, clock=SystemClock())
    while not select.select([sys.stdin], [], [], _PAUSE_SECONDS)[0]:
        sys.stdout.write(json.dumps(look(store, sys.argv[2])) + "\n")
        sys.stdout.flush()
    database.close()


if __name__ == "__main__":
    main()
