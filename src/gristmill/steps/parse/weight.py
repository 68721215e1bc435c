"""Whether a document is more than its reader can hold.

Some libraries make objects of a whole document, many times its size. Measured against the setting that bounds it, with
what a packed document really unpacks to, whatever its directory claims.
"""

import math
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO

from gristmill.errors import LimitExceeded
from gristmill.steps.formats import Format
from gristmill.steps.parse.draft import Material

__all__ = ["check_weight"]

_MB = 1024 * 1024
_STEP = 1 << 18
_SHARES: Mapping[Format, int] = {
    Format.EML: 1,
    Format.NOTEBOOK: 1,
    Format.DOCX: 1,
    Format.ODT: 1,
    Format.PPTX: 1,
    Format.XLSX: 1,
    # These take two and four times the memory of the others.
    Format.EPUB: 2,
    Format.RTF: 4,
}
_PACKED = frozenset({Format.DOCX, Format.ODT, Format.PPTX, Format.XLSX, Format.EPUB})
_TEXTS = (".xml", ".xhtml", ".html", ".htm", ".rels")


def check_weight(material: Material, kind: Format, *, most: int) -> None:
    """Raise ``LimitExceeded`` for more than ``most`` bytes, or the share of them that the format has."""
    share = _SHARES.get(kind)
    if share is None:
        return
    allowed = most // share
    size = _unpacked(material.data, allowed) if kind in _PACKED else len(material.data)
    if size > allowed:
        raise LimitExceeded(
            "file_too_large_for_format",
            name=material.name,
            format=kind.value,
            size_mb=math.ceil(size / _MB),
            max_mb=max(allowed // _MB, 1),
        )


def _unpacked(data: bytes, enough: int) -> int:
    """Bytes of markup in the archive ``data``, counted until they are more than ``enough``."""
    size = 0
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for info in archive.infolist():
                if not info.filename.lower().endswith(_TEXTS):
                    continue
                with archive.open(info) as member:
                    while size <= enough and (piece := member.read(_STEP)):
                        size += len(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        # What is damaged is for the reader to tell.
        pass
    return size
