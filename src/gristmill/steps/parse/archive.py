"""Zip archives: every member a document of its own.

Nothing is unpacked to disk and no member's name is used as a path, so names cannot point anywhere. Claimed sizes
are not believed: reading stops at the budget.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO

from gristmill.errors import GristmillError, LimitExceeded, StepFailed
from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.clean import clean
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.encoding import decode
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.sniff import format_of

__all__ = ["read_archive"]

_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_SMALL = 1 << 20
_STEP = 1 << 18
_NO_DOCUMENTS = ("__MACOSX/", ".git/")
_NO_DOCUMENT = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def read_archive(material: Material, limits: ParseLimits, read: Callable[[Material, ParseLimits], Draft]) -> Draft:
    """The texts of all members, each under its own name; a member that fails becomes a notice and the rest goes on."""
    try:
        archive = zipfile.ZipFile(BytesIO(material.data))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise StepFailed("document_damaged", name=material.name, format=Format.ZIP.value) from error
    sections: list[Section] = []
    notices: list[Notice] = []
    parsed = 0
    with archive:
        members = _members(archive)
        room = limits.max_archive_bytes
        letters = limits.max_text_chars
        for position, (info, path) in enumerate(members):
            if position >= limits.max_archive_members or room <= 0 or letters <= 0:
                left = len(members) - position
                notices.insert(0, Notice(code="archive_cut", facts={"name": material.name, "left": left}))
                break
            full_name = f"{material.name}/{path}"
            try:
                data = _read(archive, info, full_name, limits, room)
                room -= len(data)
                draft = _member(Material(data=data, name=full_name), limits, read)
            except GristmillError as error:
                if isinstance(error, LimitExceeded):
                    room -= int(str(error.facts.get("bytes", 0)))
                notices.append(Notice(code=error.code, facts={**error.facts, "member": path}))
                continue
            parsed += 1
            letters -= sum(len(section.text) for section in draft.sections)
            notices += [Notice(code=n.code, facts={**n.facts, "member": path}) for n in draft.notices]
            sections += [
                Section(text=section.text, page=section.page, part=path, markdown=section.markdown)
                for section in draft.sections
            ]
    return Draft(
        sections=tuple(sections),
        media_type=MEDIA_TYPES[Format.ZIP],
        metadata={"members": len(members), "members_read": parsed},
        notices=tuple(notices),
    )


def _member(material: Material, limits: ParseLimits, read: Callable[[Material, ParseLimits], Draft]) -> Draft:
    if material.data and format_of(material) is Format.ZIP:
        raise StepFailed("archive_nested", name=material.name)
    return read(material, limits)


def _members(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    return [
        (info, path)
        for info in archive.infolist()
        if not info.is_dir()
        for path in [_path(info)]
        if not path.startswith(_NO_DOCUMENTS) and path.rpartition("/")[2] not in _NO_DOCUMENT
    ]


def _path(info: zipfile.ZipInfo) -> str:
    name = info.filename
    if not info.flag_bits & _UTF8_NAME:
        # Without the flag the names are in whatever the packing machine used, which Python takes for cp437.
        try:
            name = decode(name.encode("cp437")).text
        except UnicodeEncodeError:
            name = info.filename
    return clean(name).replace("\n", " ").replace("\\", "/")[:500] or "?"


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: ParseLimits, room: int) -> bytes:
    if info.flag_bits & _ENCRYPTED:
        raise StepFailed("document_encrypted", name=name)
    most = min(room, limits.max_member_bytes, max(_SMALL, info.compress_size * limits.max_member_ratio))
    pieces: list[bytes] = []
    size = 0
    try:
        with archive.open(info) as stream:
            for piece in _pieces(stream.read):
                size += len(piece)
                if size > most:
                    raise LimitExceeded("archive_member_expands_too_much", name=name, bytes=size)
                pieces.append(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise StepFailed("document_damaged", name=name, format=Format.ZIP.value) from error
    return b"".join(pieces)


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(_STEP):
        yield piece
