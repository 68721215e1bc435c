"""Text formats that are written by hand: HTML, RTF, mail, notebooks, subtitles."""

import json
from collections.abc import Sequence
from email.message import EmailMessage

__all__ = ["eml_file", "html_page", "notebook", "rtf_file", "srt_file"]


def html_page(title: str, *paragraphs: str, charset: str = "utf-8") -> str:
    """A page with title, heading, paragraphs, a table, and a script that is no text."""
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in paragraphs)
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="{charset}"><title>{title}</title>'
        "<script>var neverText = 1;</script></head>\n"
        f"<body><h1>{title}</h1>\n{body}<table><tr><th>grain</th><th>sacks</th></tr>"
        "<tr><td>rye</td><td>42</td></tr></table></body></html>\n"
    )


def rtf_file(*paragraphs: str) -> bytes:
    """Rich text; characters beyond ASCII are written as Unicode escapes."""

    def escaped(text: str) -> str:
        units = (text[i : i + 1] for i in range(len(text)))
        return "".join(c if ord(c) < 128 else f"\\u{ord(c) if ord(c) < 32768 else ord(c) - 65536}?" for c in units)

    body = "".join(f"{escaped(paragraph)}\\par\n" for paragraph in paragraphs)
    return ("{\\rtf1\\ansi\\ansicpg1252\\uc1{\\fonttbl{\\f0 Arial;}}\\f0\n" + body + "}").encode("ascii")


def eml_file(subject: str, body: str, *, html: str = "", attachment: tuple[str, bytes] | None = None) -> bytes:
    """A message from Ada to Mei with plain text and, if given, an HTML side and an attached file."""
    message = EmailMessage()
    message["From"] = "Ada <ada@example.org>"
    message["To"] = "Mei <mei@example.org>"
    message["Date"] = "Mon, 05 Jan 2026 08:00:00 +0000"
    message["Subject"] = subject
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    if attachment:
        name, data = attachment
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def notebook(cells: Sequence[tuple[str, str]], *, output: str = "") -> bytes:
    """A Jupyter notebook from (kind, source); every code cell prints ``output``."""
    made: list[dict[str, object]] = []
    for kind, source in cells:
        cell: dict[str, object] = {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
        if kind == "code":
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [output]}] if output else []
            cell["execution_count"] = 1
        made.append(cell)
    book = {"cells": made, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book).encode()


def srt_file(*lines: str) -> str:
    """Subtitles, one line every four seconds."""
    blocks = (f"{n + 1}\n00:00:{4 * n:02},000 --> 00:00:{4 * n + 3:02},500\n{line}\n" for n, line in enumerate(lines))
    return "\n".join(blocks)
