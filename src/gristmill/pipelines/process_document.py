"""Parses one document and hands its text back as the task's result; nothing is indexed."""

from collections.abc import Iterator
from typing import Any

from gristmill.kinds import ProcessDocument, without_secrets
from gristmill.pipelines.fetching import Fetcher
from gristmill.steps.model import Parsed, Piece
from gristmill.steps.parse import parse
from gristmill.steps.split import split
from gristmill.tasks.model import Completed, Outcome
from gristmill.tasks.ports import TaskContext

__all__ = ["DocumentProcessor"]


class DocumentProcessor:
    """Handles ``process_document``."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __call__(self, context: TaskContext, payload: ProcessDocument) -> Outcome:
        """The whole task."""
        context.progress("fetch", unit="documents")
        fetched = self._fetcher.process(payload, into=lambda: context.temp_dir)
        context.progress("parse", unit="documents")
        parsed = parse(fetched, limits=self._fetcher.parse_limits)
        shared: dict[str, Any] = {
            "source": payload.filename or without_secrets(payload.source or "") or fetched.name,
            "filename": fetched.name,
            "media_type": parsed.media_type,
            **({"title": parsed.title} if parsed.title else {}),
        }
        if payload.split:
            context.progress("split", unit="documents")
            pieces = split(parsed, chunk_size=payload.chunk_size, chunk_overlap=payload.chunk_overlap)
            documents = [_chunk(piece, number, shared) for number, piece in enumerate(pieces)]
        else:
            documents = list(_pages(parsed, shared))
        count = len(documents)
        context.progress("done", unit="documents", done=count, total=count)
        notices = [{"code": notice.code, "facts": dict(notice.facts)} for notice in parsed.notices]
        return Completed(
            result={
                "status": "success",
                "filename": fetched.name,
                "document_count": count,
                "metadata": dict(parsed.metadata),
                "notices": notices,
            },
            items=documents,
        )


def _chunk(piece: Piece, number: int, shared: dict[str, Any]) -> dict[str, Any]:
    metadata = {**shared, "chunk": number, "start": piece.start, "end": piece.end}
    if piece.page is not None:
        metadata["page"] = piece.page
    if piece.headings:
        metadata["headings"] = list(piece.headings)
    if piece.part is not None:
        metadata["part"] = piece.part
    return {"page_content": piece.text, "metadata": metadata}


def _pages(parsed: Parsed, shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The text by page, or by archive member, or as one."""
    if parsed.pages:
        for page in parsed.pages:
            metadata = {**shared, "page": page.number, "start": page.start, "end": page.end}
            yield {"page_content": parsed.text[page.start : page.end], "metadata": metadata}
    elif parsed.parts:
        for part in parsed.parts:
            metadata = {**shared, "part": part.path, "start": part.start, "end": part.end}
            yield {"page_content": parsed.text[part.start : part.end], "metadata": metadata}
    elif parsed.text:
        yield {"page_content": parsed.text, "metadata": {**shared, "start": 0, "end": len(parsed.text)}}
