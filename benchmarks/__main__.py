"""``python -m benchmarks [NAME ...] [--json FILE] [--record] [--quick]``."""

import argparse
import importlib
import json
import re
import resource
import signal
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.support import Options, Table, machine
from gristmill.worker.foreground import cores

__all__ = ["main"]

_NAMES = (
    "startup",
    "tasks",
    "workflows",
    "search",
    "ingest",
    "memory",
    "library",
    "parse_memory",
    "api_latency",
    "watching",
    "restore",
    "recovery",
    "history",
    "backlog",
    "engines",
    "compare",
    "quality",
    "images",
    "naive_images",
    "image_quality",
    "image_search",
)
_PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "performance.md"
_FIGURES = re.compile(r"(.*<!-- figures -->\n\n## Figures\n\n)(.*)(<!-- end of figures -->.*)", re.DOTALL)
_SECTION = re.compile(r"<!-- (\w+) -->\n\n(.*?)(?=<!-- \w+ -->|\Z)", re.DOTALL)


def main() -> int:
    """Run the named benchmarks, or all, and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Gristmill on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="small and few rounds: shows that everything runs")
    parser.add_argument("--record", action="store_true", help=f"also write the tables into {_PAGE.name}, one by one")
    parser.add_argument("--files", type=int, metavar="N", help="documents to index  [default: 2000]")
    parser.add_argument("--library-mb", type=int, metavar="N", help="size of the large library  [default: 100]")
    parser.add_argument("--chunks", type=int, nargs="+", metavar="N", help="chunks to search  [default: 10000 100000]")
    parser.add_argument(
        "--embedders",
        nargs="+",
        metavar="NAME",
        help="with which to index and search  [default: multilingual fast quality]",
    )
    parser.add_argument(
        "--photos", type=Path, metavar="DIR", help="photographs  [default: those of installed packages]"
    )
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(_NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    if asked.record and asked.quick:
        parser.error("a quick run is not worth recording")
    options = Options(
        quick=asked.quick,
        files=asked.files or (30 if asked.quick else 2000),
        library_mb=asked.library_mb or 100,
        chunks=tuple(asked.chunks or ([2_000] if asked.quick else [10_000, 100_000])),
        embedders=tuple(asked.embedders or (["multilingual"] if asked.quick else ["multilingual", "fast", "quality"])),
        photos=asked.photos,
    )
    # Ended from outside, the directories and processes of the benchmark must go as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    here = machine()
    where = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in here.items())
    print(where, "\n", flush=True)
    measured: dict[str, list[Table]] = {}
    for name in [name for name in _NAMES if not asked.names or name in asked.names]:
        start, before = time.monotonic(), _used()
        measured[name], lines = [], []
        for table in importlib.import_module(f"benchmarks.{name}").run(options):
            measured[name].append(table)
            lines.append(table.markdown())
            print(lines[-1], "\n", flush=True)
        seconds = time.monotonic() - start
        ours, everyone = (now - then for now, then in zip(_used(), before, strict=True))
        others = max(0.0, everyone - ours) / seconds / cores()
        lines.append(f"`{name}` took {seconds:.0f} s; other programs used {others:.0%} of the cores meanwhile.")
        print(lines[-1], "\n", flush=True)
        if asked.record:
            _record(name, [*lines, f"On {datetime.now(tz=UTC).date()}: {where}."])
    if asked.json is not None:
        tables = {name: [asdict(table) for table in found] for name, found in measured.items()}
        document = {"machine": here, "quick": options.quick, "benchmarks": tables}
        asked.json.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


def _used() -> tuple[float, float]:
    """CPU seconds of this program with all it started and saw end, and of the whole machine."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    machine_wide = psutil.cpu_times()
    return sum(one.ru_utime + one.ru_stime for one in own), machine_wide.user + machine_wide.nice + machine_wide.system


def _record(name: str, lines: list[str]) -> None:
    """Put the tables of one benchmark into its place on the page, and leave the others as they are."""
    before, figures, after = _FIGURES.fullmatch(_PAGE.read_text("utf-8")).groups()  # type: ignore[union-attr]  # ours
    sections = dict(_SECTION.findall(figures))
    sections[name] = "\n\n".join(lines)
    kept = [f"<!-- {name} -->\n\n{sections[name].strip()}\n\n" for name in _NAMES if name in sections]
    _PAGE.write_text(f"{before}{''.join(kept)}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
