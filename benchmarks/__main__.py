"""``python -m benchmarks [NAME ...] [--json FILE] [--record] [--quick]``."""

import argparse
import importlib
import json
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
    "search",
    "ingest",
    "memory",
    "parse_memory",
    "api_latency",
    "recovery",
    "history",
    "quality",
)
_PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "performance.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> int:
    """Run the named benchmarks, or all, and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Gristmill on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="small and few rounds: shows that everything runs")
    parser.add_argument("--record", action="store_true", help=f"also write the tables into {_PAGE.name}")
    parser.add_argument("--files", type=int, metavar="N", help="documents to index  [default: 200]")
    parser.add_argument("--chunks", type=int, nargs="+", metavar="N", help="chunks to search  [default: 10000 100000]")
    parser.add_argument(
        "--embedders", nargs="+", metavar="NAME", help="whose hits are counted  [default: multilingual fast quality]"
    )
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(_NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    if asked.record and (asked.quick or asked.names):
        parser.error("only a full run is worth recording: leave out --quick and names")
    options = Options(
        quick=asked.quick,
        files=asked.files or (30 if asked.quick else 200),
        chunks=tuple(asked.chunks or ([2_000] if asked.quick else [10_000, 100_000])),
        embedders=tuple(asked.embedders or (["multilingual"] if asked.quick else ["multilingual", "fast", "quality"])),
    )
    # Ended from outside, the directories and processes of the benchmark must go as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    here = machine()
    lines = ["; ".join(f"{name.replace('_', ' ')} {value}" for name, value in here.items())]
    print(lines[0], "\n", flush=True)
    measured: dict[str, list[Table]] = {}
    for name in [name for name in _NAMES if not asked.names or name in asked.names]:
        start, before = time.monotonic(), _used()
        measured[name] = []
        for table in importlib.import_module(f"benchmarks.{name}").run(options):
            measured[name].append(table)
            lines.append(table.markdown())
            print(lines[-1], "\n", flush=True)
        seconds = time.monotonic() - start
        ours, everyone = (now - then for now, then in zip(_used(), before, strict=True))
        others = max(0.0, everyone - ours) / seconds / cores()
        lines.append(f"`{name}` took {seconds:.0f} s; other programs used {others:.0%} of the cores meanwhile.")
        print(lines[-1], "\n", flush=True)
    if asked.json is not None:
        tables = {name: [asdict(table) for table in found] for name, found in measured.items()}
        document = {"machine": here, "quick": options.quick, "benchmarks": tables}
        asked.json.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
    if asked.record:
        _record(lines)
    return 0


def _used() -> tuple[float, float]:
    """CPU seconds of this program with all it started and saw end, and of the whole machine."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    machine_wide = psutil.cpu_times()
    return sum(one.ru_utime + one.ru_stime for one in own), machine_wide.user + machine_wide.nice + machine_wide.system


def _record(lines: list[str]) -> None:
    """Put the tables between the markers of the page."""
    before, after = (_PAGE.read_text("utf-8").partition(marker) for marker in (_BEGIN, _END))
    if not before[1] or not after[1]:
        raise ValueError(f"{_PAGE} has lost its markers")
    today = datetime.now(tz=UTC).date()
    _PAGE.write_text(
        f"{before[0]}{_BEGIN}\n\n## Figures\n\nOn {today}: " + "\n\n".join(lines) + f"\n\n{_END}{after[2]}", "utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
