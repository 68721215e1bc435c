"""``python -m benchmarks [NAME ...] [--json FILE] [--quick]``."""

import argparse
import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.support import Options, Table, machine

__all__ = ["main"]

_NAMES = ("startup", "tasks", "search", "ingest", "memory", "api_latency")
_QUIET_LOAD = 0.5


def main() -> int:
    """Run the named benchmarks, or all, and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Gristmill on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--quick", action="store_true", help="small and few rounds: shows that everything runs")
    parser.add_argument("--files", type=int, metavar="N", help="documents to index  [default: 200]")
    parser.add_argument("--chunks", type=int, nargs="+", metavar="N", help="chunks to search  [default: 10000]")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(_NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    options = Options(
        quick=asked.quick,
        files=asked.files or (30 if asked.quick else 200),
        chunks=tuple(asked.chunks or [2_000 if asked.quick else 10_000]),
    )
    here = machine()
    print("; ".join(f"{name.replace('_', ' ')} {value}" for name, value in here.items()), "\n", flush=True)
    if os.getloadavg()[0] > _QUIET_LOAD:
        print("This machine has other work to do: the figures will say little.\n", flush=True)
    measured: dict[str, list[Table]] = {}
    for name in [name for name in _NAMES if not asked.names or name in asked.names]:
        start = time.monotonic()
        measured[name] = []
        for table in importlib.import_module(f"benchmarks.{name}").run(options):
            measured[name].append(table)
            print(table.markdown(), "\n", flush=True)
        print(f"({name}: {time.monotonic() - start:.0f} s)\n", flush=True)
    if asked.json is not None:
        tables = {name: [asdict(table) for table in found] for name, found in measured.items()}
        document = {"machine": here, "quick": options.quick, "benchmarks": tables}
        asked.json.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
