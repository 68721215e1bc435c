"""From what a task names - an upload, a file, an address - to bytes on local disk, within the configured limits."""

import mimetypes
from collections.abc import Callable
from pathlib import Path

from gristmill.index.model import Document, Origin
from gristmill.index.ports import BlobStore
from gristmill.kinds import ProcessDocument
from gristmill.settings.model import SourceSettings
from gristmill.steps.fetch.files import fetch_file
from gristmill.steps.model import Fetched
from gristmill.steps.parse import ParseLimits

__all__ = ["Fetcher"]

_MB = 1024 * 1024


class Fetcher:
    """Brings bytes in; ``into`` makes the folder for those that need one."""

    def __init__(self, blobs: BlobStore, settings: SourceSettings) -> None:
        self._blobs = blobs
        self._settings = settings

    @property
    def parse_limits(self) -> ParseLimits:
        """The configured bounds on parsing."""
        return ParseLimits(
            max_text_chars=self._settings.max_text_chars,
            max_structured_bytes=self._settings.max_structured_mb * _MB,
            max_member_bytes=self._settings.max_file_mb * _MB,
            max_archive_members=self._settings.max_archive_members,
            max_archive_bytes=self._settings.max_archive_mb * _MB,
            timeout_seconds=self._settings.parse_timeout_seconds,
        )

    def document(self, document: Document, *, into: Callable[[], Path]) -> Fetched:
        """The bytes of a registered document."""
        match document.origin:
            case Origin.UPLOAD:
                return self._blob(document.blob_id or "", document.name, document.declared_type)
            case Origin.PATH:
                return self._file(document.source, document.root or "", into)
            case Origin.URL:
                return self._url(document.source, into)

    def process(self, payload: ProcessDocument, *, into: Callable[[], Path]) -> Fetched:
        """The bytes that a ``process_document`` task names."""
        if payload.blob_id is not None:
            return self._blob(payload.blob_id, payload.filename or "upload", payload.declared_type)
        if payload.root is not None:
            return self._file(payload.source or "", payload.root, into)
        return self._url(payload.source or "", into)

    def _blob(self, blob_id: str, name: str, declared_type: str | None) -> Fetched:
        with self._blobs.open(blob_id) as path:
            size = path.stat().st_size
        guessed = declared_type or mimetypes.guess_type(name)[0]
        return Fetched(path=path, name=name, size=size, content_hash=blob_id, declared_type=guessed)

    def _file(self, path: str, root: str, into: Callable[[], Path]) -> Fetched:
        return fetch_file(path, root=root, into=into, max_bytes=self._settings.max_file_mb * _MB)

    def _url(self, url: str, into: Callable[[], Path]) -> Fetched:
        from gristmill.steps.fetch.urls import fetch_url

        return fetch_url(
            url,
            into=into(),
            max_bytes=self._settings.max_file_mb * _MB,
            timeout_seconds=self._settings.fetch_timeout_seconds,
            allowed_hosts=self._settings.allowed_hosts,
        )
