"""The most memory a slot takes to read one file of the largest size, format by format, up to its first embeddings."""

import base64
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from pathlib import Path

import psutil

from benchmarks.corpus import long_document
from benchmarks.support import Cell, Options, Table, fresh, working
from gristmill.app import Gristmill

__all__ = ["run"]

_MB = 1_000_000
_LONGEST_SECONDS = 300.0
_LOOK_SECONDS = 0.02
_CHINESE = "霜冻之前，磨坊磨了四十二袋黑麦，仓库里堆满了面粉。"
_DOCX_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)


def run(options: Options) -> Iterator[Table]:
    """One table."""
    megabytes = options.pick(200, 4)
    rows = []
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        for name, pieces in _FILES.items():
            path = Path(folder) / name
            _write(path, pieces(), megabytes * _MB)
            rows.append((name, path.stat().st_size / _MB, *_read(path)))
            path.unlink()
        bomb = Path(folder) / "unpacks.docx"
        _write_docx(bomb, megabytes)
        rows.append((bomb.name, bomb.stat().st_size / _MB, *_read(bomb)))
    yield Table(
        title=f"Reading one file of {megabytes} MB: memory of the slot",
        head=("file", "MB", "seconds", "peak MB", "outcome"),
        rows=rows,
        note=(
            "Fetch, parse, split and the first chunks embedded, at default settings. The peak is the most real memory "
            "the process ever had, model and libraries included. unpacks.docx is small and unpacks to that size."
        ),
    )


def _read(path: Path) -> tuple[Cell, Cell, Cell]:
    """Seconds until the first chunks are embedded or the file is refused, peak megabytes, and what came of it."""
    with fresh() as app, working(app, slots=1) as worker:
        (slot,) = psutil.Process(worker).children()
        (document,) = app.documents.register_local([(str(path), str(path.parent))], collection="bench")
        began = time.monotonic()
        task = app.tasks.submit("index_document", {"doc_id": document.id})
        peak = 0.0
        while time.monotonic() - began < _LONGEST_SECONDS:
            peak = max(peak, _peak_mb(slot.pid))
            outcome = _outcome(app, task.id)
            if outcome:
                return time.monotonic() - began, max(peak, _peak_mb(slot.pid)), outcome
            time.sleep(_LOOK_SECONDS)
    raise TimeoutError(path.name)


def _outcome(app: Gristmill, task_id: str) -> str:
    """What came of the reading; empty while it goes on."""
    task = app.tasks.get(task_id)
    if task.error is not None:
        return task.error.code
    read = task.progress.stage == "embed" and task.progress.done > 0
    return "read" if read or task.state.is_final else ""


def _peak_mb(pid: int) -> float:
    """The most real memory the process ever had, where the system tells; else what it has now."""
    try:
        if sys.platform == "linux":
            status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
            return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)
        return float(psutil.Process(pid).memory_info().rss) / _MB
    except (OSError, psutil.Error):
        # Killed for the memory it took.
        return 0.0


def _write(path: Path, pieces: Iterator[str], size: int) -> None:
    """Write ``pieces`` until ``size`` bytes are there, then the last piece, which closes what the first opened."""
    end = next(pieces)
    written = 0
    with path.open("wb") as file:
        while written < size:
            written += file.write(next(pieces).encode())
        file.write(end.encode())


def _prose() -> Iterator[str]:
    text = long_document(_MB)
    return chain([""], repeat(text))


def _chinese() -> Iterator[str]:
    return chain([""], repeat((_CHINESE * 20 + "\n\n") * 500))


def _record(number: int) -> dict[str, object]:
    return {
        "id": number,
        "miller": f"Ada {number}",
        "grain": "rye",
        "sacks": number % 97,
        "note": "Ground before frost.",
    }


def _csv() -> Iterator[str]:
    yield ""
    yield "id,miller,grain,sacks,note\n"
    yield from _blocks(lambda n: ",".join(map(str, _record(n).values())) + "\n")


def _json() -> Iterator[str]:
    yield json.dumps(_record(0)) + "]"
    yield "["
    yield from _blocks(lambda n: json.dumps(_record(n)) + ", ")


def _json_lines() -> Iterator[str]:
    yield ""
    yield from _blocks(lambda n: json.dumps(_record(n)) + "\n")


def _xml() -> Iterator[str]:
    yield "</sacks>"
    yield '<?xml version="1.0"?><sacks>'
    yield from _blocks(
        lambda n: f'<sack id="{n}"><miller>Ada {n}</miller><grain>rye</grain><note>Ground before frost.</note></sack>\n'
    )


def _html() -> Iterator[str]:
    yield "</body></html>"
    yield "<!DOCTYPE html><html><head><title>Sacks</title></head><body>"
    yield from _blocks(
        lambda n: f"<h2>Sack {n}</h2><p>Ada <b>ground</b> it before the frost.</p><ul><li>rye<li>sacks: {n % 97}</ul>\n"
    )


_MAIL = "From: Ada <ada@example.org>\nTo: Mei <mei@example.org>\nSubject: Sacks\nMIME-Version: 1.0\n"


def _mail() -> Iterator[str]:
    yield ""
    yield f"{_MAIL}Content-Type: text/plain; charset=utf-8\n\n"
    yield from repeat(long_document(_MB))


def _mail_with_attachment() -> Iterator[str]:
    yield "\n--b--\n"
    yield f'{_MAIL}Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nSee the file.\n--b\n'
    yield 'Content-Type: application/pdf; name="a.pdf"\nContent-Disposition: attachment; filename="a.pdf"\n'
    yield "Content-Transfer-Encoding: base64\n\n"
    yield from repeat(base64.encodebytes(bytes(range(256)) * 4_000).decode())


def _subtitles() -> Iterator[str]:
    yield ""
    yield from _blocks(
        lambda n: (
            f"{n + 1}\n{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},000 --> 99:00:00,500\nThe mill ground {n}.\n\n"
        )
    )


def _notebook() -> Iterator[str]:
    yield '{"cell_type": "markdown", "metadata": {}, "source": ["end"]}], "metadata": {}, "nbformat": 4}'
    yield '{"cells": ['
    code = '{"cell_type": "code", "metadata": {}, "outputs": [], "source": ["sacks = '
    yield from _blocks(lambda n: f'{code}{n}\\n", "print(sacks)"]}}, ')


def _blocks(line: Callable[[int], str]) -> Iterator[str]:
    number = 0
    while True:
        yield "".join(line(n) for n in range(number, number + 5_000))
        number += 5_000


_FILES: Mapping[str, Callable[[], Iterator[str]]] = {
    "prose.txt": _prose,
    "chinese.txt": _chinese,
    "prose.md": _prose,
    "records.csv": _csv,
    "records.json": _json,
    "records.jsonl": _json_lines,
    "records.xml": _xml,
    "page.html": _html,
    "text.eml": _mail,
    "attachment.eml": _mail_with_attachment,
    "film.srt": _subtitles,
    "book.ipynb": _notebook,
}


def _write_docx(path: Path, megabytes: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _DOCX_TYPES)
        with archive.open("word/document.xml", "w") as document:
            for _ in range(megabytes):
                document.write(b"<w:p><w:r><w:t>Ground before frost.</w:t></w:r></w:p>\n" * (_MB // 55))
