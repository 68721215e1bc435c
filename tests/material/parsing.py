"""From bytes to a parsed document in one call, as fetch and parse do it together."""

import hashlib
import tempfile
from pathlib import Path

from gristmill.steps.model import Fetched, Parsed
from gristmill.steps.parse import ParseLimits, parse

__all__ = ["notice_codes", "parse_bytes"]


def parse_bytes(
    name: str, data: bytes, *, declared_type: str | None = None, limits: ParseLimits | None = None
) -> Parsed:
    """``data`` parsed as a file called ``name``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fetched"
        path.write_bytes(data)
        fetched = Fetched(
            path=path,
            name=name,
            size=len(data),
            content_hash=hashlib.sha256(data).hexdigest(),
            declared_type=declared_type,
        )
        return parse(fetched, limits=limits or ParseLimits())


def notice_codes(document: Parsed) -> list[str]:
    """The codes of the notices, in order."""
    return [notice.code for notice in document.notices]
