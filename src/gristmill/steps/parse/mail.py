"""E-mail messages: who, when, about what, and the text.

Attachments are named, not read: a document inside a message is a document to add on its own.
"""

from email import policy
from email.errors import HeaderParseError, MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from gristmill.errors import StepFailed
from gristmill.steps.formats import MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.draft import Draft, Material, Section
from gristmill.steps.parse.encoding import charset_of, decode
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.markup import to_markdown

__all__ = ["read_mail"]

_HEADER_CHARS = 10_000
"""The standard library takes the square of a header's length to read it."""
_SHOWN = ("Subject", "From", "To", "Cc", "Date")
# What the standard library raises on headers and bodies that are not what they claim.
_FAULTS = (MessageError, HeaderParseError, ValueError, LookupError, AttributeError, IndexError, TypeError, KeyError)


class _Brief(policy.EmailPolicy):
    """Reads of every header only so much as real ones have."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:_HEADER_CHARS])


def read_mail(material: Material, limits: ParseLimits) -> Draft:
    """The headers people know, then the plain text, or the HTML side where there is no plain one."""
    try:
        message = BytesParser(policy=_Brief()).parsebytes(material.data)
    except (*_FAULTS, RecursionError) as error:
        raise StepFailed("document_damaged", name=material.name, format=Format.EML.value) from error
    if not isinstance(message, EmailMessage):
        raise StepFailed("document_damaged", name=material.name, format=Format.EML.value)
    headers = {name: value for name in _SHOWN if (value := _header(message, name))}
    body, markdown, encoding = _body(message, limits.max_text_chars)
    attached = _attached(message)
    notices: tuple[Notice, ...] = ()
    if attached:
        notices = (
            Notice(code="attachments_not_read", facts={"name": material.name, "attachments": ", ".join(attached)}),
        )
    heading = "\n".join(f"{name}: {value}" for name, value in headers.items())
    return Draft(
        sections=(Section(text=heading, markdown=False), Section(text=body, markdown=markdown)),
        media_type=MEDIA_TYPES[Format.EML],
        encoding=encoding,
        title=headers.get("Subject"),
        metadata={
            **{key.lower(): value for key, value in headers.items()},
            **({"attachments": attached} if attached else {}),
        },
        notices=notices,
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message.get(name, ""))
    except (*_FAULTS, RecursionError):
        value = ""
    # What the library cannot make sense of is shown as it was written.
    written = (value for key, value in message.raw_items() if key.lower() == name.lower())
    return " ".join((value or next(written, "")[:_HEADER_CHARS]).split())


def _body(message: EmailMessage, most: int) -> tuple[str, bool, str | None]:
    """The text, whether it is Markdown, and the encoding it was in."""
    try:
        part = message.get_body(preferencelist=("plain", "html"))
        data = part.get_payload(decode=True) if part is not None else b""
        kind = part.get_content_type() if part is not None else ""
        charset = part.get_content_charset() if part is not None else None
    except (*_FAULTS, RecursionError):
        return "", False, None
    text = decode(
        data if isinstance(data, bytes) else b"", charset_of(f"charset={charset}") if charset else None, most=most
    )
    if kind == "text/html":
        return to_markdown(text.text), True, text.encoding
    return text.text, False, text.encoding


def _attached(message: EmailMessage) -> list[str]:
    try:
        names = [part.get_filename() for part in message.iter_attachments()]
    except (*_FAULTS, RecursionError):
        return []
    return [str(name)[:200] for name in names if name][:50]
