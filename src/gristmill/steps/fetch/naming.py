"""The file name of an answer: what the server calls it, else the address, with an extension that fits."""

import re
from email.message import Message
from pathlib import PurePosixPath
from urllib.parse import unquote

from gristmill.steps.formats import BY_MEDIA_TYPE, BY_SUFFIX
from gristmill.steps.names import shortened

__all__ = ["name_of"]

_UNSAFE = re.compile("[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST = 200


def name_of(*, disposition: str | None, path: str, host: str, content_type: str | None) -> str:
    """A name without folders, control characters or a leading dot, at most 200 characters long."""
    name = _safe(_given(disposition)) or _safe(unquote(path.rstrip("/").rpartition("/")[2])) or _safe(host) or "page"
    kind = BY_MEDIA_TYPE.get((content_type or "").partition(";")[0].strip().lower())
    if kind and PurePosixPath(name).suffix.lower() not in BY_SUFFIX:
        name += f".{kind.value}"
    return name


def _given(disposition: str | None) -> str:
    if not disposition:
        return ""
    header = Message()
    header["Content-Disposition"] = disposition.replace("\r", " ").replace("\n", " ")
    try:
        return header.get_filename("")
    except (ValueError, LookupError, TypeError):
        return ""


def _safe(name: str) -> str:
    return shortened(re.split(r"[/\\]", _UNSAFE.sub("", name))[-1].strip().lstrip("."), _LONGEST)
