"""What kind of document the bytes are, whatever the name says.

Binary formats are told by their first bytes; text formats by name, then by the declared media type, then by how
the text begins.
"""

import re
import zipfile
from io import BytesIO

from gristmill.errors import StepFailed
from gristmill.steps.formats import BY_MEDIA_TYPE, BY_SUFFIX, Format
from gristmill.steps.parse.draft import Material

__all__ = ["format_of"]

_HEAD_BYTES = 1024
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"8BPS",
    b"II*\x00",
    b"MM\x00*",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"BZh",
    b"\xfd7zXZ",
    b"\x7fELF",
    b"MZ\x90",
    b"OggS",
    b"ID3",
    b"SQLite format 3\x00",
    b"\xca\xfe\xba\xbe",
    b"\x28\xb5\x2f\xfd",
)
_TEXT_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"\xef\xbb\xbf")
_PACKED = (("word/", Format.DOCX), ("ppt/", Format.PPTX), ("xl/", Format.XLSX))
_BY_MIMETYPE_MEMBER = {
    b"application/epub+zip": Format.EPUB,
    b"application/vnd.oasis.opendocument.text": Format.ODT,
}
# What a comment or a space took is never given back: a page of comments alone would be tried in every way there is.
_HTML = re.compile(rb"\s*+(?:(?><!--.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_MAIL = re.compile(
    rb"(?:(?:From|To|Subject|Date|Received|Return-Path|Message-ID|MIME-Version):[^\n]*\n(?:[ \t][^\n]*\n)*){2}"
)
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\x0c\x1b\x00")


def format_of(material: Material) -> Format:
    """The format to read ``material`` as.

    Raises ``StepFailed`` when no reader exists for these bytes, when they are a locked office file, or when the name
    promises a binary format that is not there.
    """
    head = material.data[:_HEAD_BYTES]
    named = BY_SUFFIX.get(material.suffix)
    declared = BY_MEDIA_TYPE.get((material.declared_type or "").partition(";")[0].strip().lower())
    found = _by_marks(material, head, named)
    if found:
        return found
    if _is_not_text(material.data):
        raise StepFailed(
            "document_damaged" if named else "format_unsupported",
            name=material.name,
            format=named.value if named else "",
        )
    expected = named or declared
    if expected and not expected.is_binary:
        return expected
    shown = _by_beginning(head)
    if expected and shown is None:
        raise StepFailed("document_damaged", name=material.name, format=expected.value)
    return shown or Format.TEXT


def _by_marks(material: Material, head: bytes, named: Format | None) -> Format | None:
    # Some writers put a few bytes before the mark; readers of PDF accept it within the first kilobyte.
    if b"%PDF-" in head and (head.startswith(b"%PDF-") or named in {Format.PDF, None}):
        return Format.PDF
    if head.startswith(b"{\\rtf"):
        return Format.RTF
    if head.startswith(_ZIP_MARKS):
        return _inside_zip(material, named)
    if head.startswith(_OLD_OFFICE):
        locked = "EncryptedPackage".encode("utf-16-le") in material.data
        raise StepFailed("document_encrypted" if locked else "format_unsupported", name=material.name, format="")
    if head.startswith(_OTHERS):
        raise StepFailed("format_unsupported", name=material.name, format="")
    return None


def _inside_zip(material: Material, named: Format | None) -> Format:
    try:
        with zipfile.ZipFile(BytesIO(material.data)) as archive:
            names = archive.namelist()
            kind = _mimetype_member(archive) if names[:1] == ["mimetype"] else b""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise StepFailed("document_damaged", name=material.name, format=(named or Format.ZIP).value) from error
    if kind in _BY_MIMETYPE_MEMBER:
        return _BY_MIMETYPE_MEMBER[kind]
    if "[Content_Types].xml" in names:
        for folder, packed in _PACKED:
            if any(name.startswith(folder) for name in names):
                return packed
    if kind.startswith(b"application/vnd."):
        raise StepFailed("format_unsupported", name=material.name, format="")
    return Format.ZIP


def _mimetype_member(archive: zipfile.ZipFile) -> bytes:
    import zlib

    try:
        with archive.open("mimetype") as member:
            return member.read(200).strip()
    except (RuntimeError, zlib.error, EOFError):
        return b""


def _is_not_text(data: bytes) -> bool:
    sample = data[:65_536]
    if not sample or sample.startswith(_TEXT_MARKS):
        return False
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > max(2, 0.03 * len(sample)):
        # UTF-16 without its mark: control bytes are halves of characters there.
        from gristmill.steps.parse.encoding import decode

        return not decode(sample).encoding.startswith("utf-16")
    nuls = sample.count(0)
    return nuls > 0.55 * len(sample)


def _by_beginning(head: bytes) -> Format | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML.match(start):
        return Format.HTML
    if start.startswith(b"<?xml"):
        return Format.HTML if b"<html" in start.lower() else Format.XML
    if _MAIL.match(start):
        return Format.EML
    if start.startswith(b"{") and b'"cells"' in start:
        return Format.NOTEBOOK
    if start.startswith(b"WEBVTT"):
        return Format.SUBTITLES
    return None
