"""Indexing a mixed corpus with each embedder, beside its steps alone in plain loops on all cores, and beside peers."""

import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus import long_document, write_corpus
from benchmarks.support import Cell, Options, Table, fresh, spread, working
from gristmill.app import Gristmill
from gristmill.ids import content_hash
from gristmill.settings import Settings
from gristmill.tasks.model import TaskState
from gristmill.worker.foreground import cores

if TYPE_CHECKING:
    from gristmill.embed.ports import Embedder

__all__ = ["run"]

_ROOT = Path(__file__).parent.parent
_PEERS = {"LlamaIndex": "benchmarks.llamaindex_peer", "txtai": "benchmarks.txtai_peer"}
_PEERS_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
_CHANGED_SHARE = 0.01

_LONGEST_SECONDS = 1800.0
_LONG_CHARS = 1_000_000
_MANY = 1000
_WARM_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One pass over the corpus."""

    seconds: float
    completed: int
    failed: int
    chunks: int
    embedded: int


def run(options: Options) -> Iterator[Table]:
    """The corpus with the embedders that were named, again, after small changes, and one edit of a long document."""
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        files = write_corpus(Path(folder), options.files)
        for name in ("fast", "multilingual"):
            if name not in options.embedders or (name == "fast" and find_spec("wordllama") is None):
                continue
            # A long run says enough by itself; of a short one, the median counts.
            rounds = 1 if len(files) >= _MANY else options.pick(3, 1)
            plain = [_plain(files, name) for _ in range(rounds)]
            peers = {title: [_peer(module, files, name) for _ in range(rounds)] for title, module in _present()}
            with fresh(embedding={"name": name}) as app, working(app, slots=cores()):
                _index(app, "warm", files[: 4 * cores()])
                first = [_index(app, f"corpus{number}", files) for number in range(rounds)]
                again = [_index(app, f"corpus{number}", files) for number in range(rounds)]
                touched = _touch(app, files)
                if name == "multilingual":
                    edit = _edit(app, Path(folder), options.pick(_LONG_CHARS, _LONG_CHARS // 5))
            yield _throughput(name, files, plain, first, peers)
            yield _repeated(name, files, first, again, touched)
            if name == "multilingual":
                yield edit


def _present() -> list[tuple[str, str]]:
    return list(_PEERS.items()) if _PEERS_PYTHON.exists() else []


def _peer(module: str, files: Sequence[Path], embedder: str) -> float:
    """Seconds that a peer takes, as it says itself."""
    index = Settings().index
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as listing:
        listing.write("\n".join(map(str, files)))
        listing.flush()
        sizes = [str(index.chunk_size), str(index.chunk_overlap)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT / "src"), str(_ROOT)])}
        command = [str(_PEERS_PYTHON), "-m", module, embedder, *sizes, listing.name]
        answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(json.loads(answer.stdout.splitlines()[-1])["seconds"])


def _touch(app: Gristmill, files: Sequence[Path]) -> _Pass:
    """Index again after a line was added to one file in a hundred."""
    pages = [file for file in files if file.suffix == ".md"]
    for file in pages[: max(1, round(len(files) * _CHANGED_SHARE))]:
        file.write_text(file.read_text("utf-8") + "\n\nThe miller added this line.\n", "utf-8")
    return _index(app, "corpus0", files)


def _repeated(name: str, files: Sequence[Path], first: list[_Pass], again: list[_Pass], touched: _Pass) -> Table:
    whole = spread([one.seconds for one in first])[1]
    unchanged = spread([one.seconds for one in again])[1]
    return Table(
        title=f"The same {len(files)} documents again, `{name}` embedder",
        head=("", "s", "documents/s", "embedded", "time, of the first"),
        rows=[
            ("nothing changed", unchanged, len(files) / unchanged, again[0].embedded, f"{unchanged / whole:.1%}"),
            (
                "one file in a hundred changed",
                touched.seconds,
                len(files) / touched.seconds,
                touched.embedded,
                f"{touched.seconds / whole:.1%}",
            ),
        ],
    )


def _throughput(
    name: str,
    files: Sequence[Path],
    plain: list[tuple[float, int]],
    first: list[_Pass],
    peers: dict[str, list[float]],
) -> Table:
    count, text_mb = len(files), plain[0][1] / 1e6
    chunks = first[0].embedded

    def row(name: str, seconds: list[float]) -> tuple[Cell, ...]:
        low, median, high = spread(seconds)
        return (name, low, median, high, count / median, text_mb / median, chunks / median, median / limit)

    limit = spread([seconds for seconds, _ in plain])[1]
    return Table(
        title=f"Indexing {count} documents, `{name}` embedder",
        head=("", "min s", "median s", "max s", "documents/s", "MB of text/s", "chunks/s", "of the limit's time"),
        rows=[
            row("Gristmill", [one.seconds for one in first]),
            row("limit: parse, split, embed in plain loops", [seconds for seconds, _ in plain]),
            *(row(title, seconds) for title, seconds in peers.items()),
        ],
        note=(
            f"{text_mb:.2f} MB of text in {first[0].chunks} chunks, {chunks} of them different; "
            f"{first[0].completed} documents indexed and {first[0].failed} refused (the sample library has damaged "
            f"ones). {cores()} slots; the limit is {cores()} processes that read files from one list and write "
            "nothing. "
            + (
                "The peers have the same parser and the same embedder in as many processes, and embed the name of a document with its text as well. LlamaIndex splits with its "
                "own splitter into fewer chunks and starts its processes anew, loading the model in each, which "
                "counts; txtai splits with ours, indexes words as well, and its processes are warm. Both keep their store in memory and save "
                "it once at the end: killed before, they have nothing."
                if peers
                else "The peers are not installed; `make peers` installs them."
            )
        ),
    )


def _index(app: Gristmill, collection: str, files: Sequence[Path]) -> _Pass:
    start = app.clock.now()
    documents = app.documents.register_local([(str(file), str(file.parent)) for file in files], collection=collection)
    task = app.documents.index([document.id for document in documents])
    ended = app.tasks.wait(task.id, timeout_seconds=_LONGEST_SECONDS)
    if ended.state is not TaskState.COMPLETED or ended.finished_at is None:
        raise RuntimeError(f"indexing ended as {ended.state}: {ended.error}")
    details = app.tasks.items(task.id)
    return _Pass(
        seconds=(ended.finished_at - start) / 1_000_000,
        completed=sum(detail["status"] == "completed" for detail in details),
        failed=sum(detail["status"] == "failed" for detail in details),
        chunks=sum(detail.get("chunks", 0) for detail in details),
        embedded=sum(detail.get("embedded", 0) for detail in details),
    )


def _edit(app: Gristmill, folder: Path, size: int) -> Table:
    """One paragraph put before all others."""
    file = folder / "long.md"
    text = long_document(size)
    file.write_text(text, "utf-8")
    whole = _index(app, "long", [file])
    file.write_text("# News\n\nThe upper weir was repaired in April, and the wheel turns again.\n\n" + text, "utf-8")
    edited = _index(app, "long", [file])
    return Table(
        title=f"A paragraph inserted at the top of a document of {len(text) / 1e6:.1f} million characters",
        head=("", "s", "chunks", "embedded", "embedded, of all", "time, of the first"),
        rows=[
            ("first time", whole.seconds, whole.chunks, whole.embedded, 1.0, 1.0),
            (
                "after the edit",
                edited.seconds,
                edited.chunks,
                edited.embedded,
                f"{edited.embedded / edited.chunks:.2%}",
                f"{edited.seconds / whole.seconds:.1%}",
            ),
        ],
    )


def _plain(files: Sequence[Path], name: str) -> tuple[float, int]:
    """Seconds for the steps alone, and the bytes of text they saw."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), mp_context=context) as pool:
        # Each process has to hold one of these, so that all are up and have their model.
        list(pool.map(_warm, [name] * cores()))
        start = time.perf_counter()
        sizes = list(pool.map(partial(_steps, name), map(str, files), chunksize=8))
        return time.perf_counter() - start, sum(sizes)


@cache
def _embedder(name: str) -> "Embedder":
    from gristmill.embed.registry import open_embedder
    from gristmill.embed.settings import EmbedSettings

    return open_embedder(name, EmbedSettings())


@cache
def _seen() -> set[str]:
    return set()


def _warm(name: str) -> None:
    _embedder(name).embed_query("warm")
    _steps(name, __file__)
    time.sleep(_WARM_SECONDS)


def _steps(embedder: str, name: str) -> int:
    """Parse, split and embed one file, each text once; the size of its text."""
    from gristmill.errors import GristmillError
    from gristmill.pipelines.index_document import text_to_embed
    from gristmill.steps.model import Fetched
    from gristmill.steps.parse import ParseLimits, parse
    from gristmill.steps.split import split

    path = Path(name)
    index = Settings().index
    fetched = Fetched(path=path, name=path.name, size=path.stat().st_size, content_hash="")
    try:
        parsed = parse(fetched, limits=ParseLimits())
    except GristmillError:
        return 0
    pieces = split(parsed, chunk_size=index.chunk_size, chunk_overlap=index.chunk_overlap)
    to_embed = [text_to_embed(path.name, piece.headings, piece.text) for piece in pieces]
    texts = {content_hash(text): text for text in to_embed}
    fresh_texts: Any = [text for key, text in texts.items() if key not in _seen()]
    _seen().update(texts)
    if fresh_texts:
        _embedder(embedder).embed_documents(fresh_texts)
    return len(parsed.text.encode())
