"""The guided tour: index a sample library, search it, index it again, change one file; then the same with pictures.

Runs the `gristmill` commands a user would type, on a copy of the library, in a scratch folder that the next run replaces.
"""

import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from demo_images import show_images

HERE = Path(__file__).parent
SCRATCH = Path(".demo")
LIBRARY = SCRATCH / "library"
CHANGED = LIBRARY / "handbook" / "Conservation plan 2024.md"
NEW_PARAGRAPH = "Note of the demonstration: the blue ledger was moved to the reading room in November.\n\n"


def main() -> int:
    """Show everything; 0 if each step did what it was meant to."""
    began = time.monotonic()
    shutil.rmtree(SCRATCH, ignore_errors=True)
    shutil.copytree(HERE / "library", LIBRARY)

    step("Index the library: real background tasks, one per document")
    print("Five of its files are awkward on purpose; each is reported, and none stops the others.\n")
    # Exit status 1: some documents failed, as they should.
    good = gristmill("index", str(LIBRARY)) == 1

    step("Search it: English, Chinese, and across the two")
    for search in tomllib.loads((HERE / "searches.toml").read_text("utf-8"))["search"]:
        good &= gristmill("search", search["query"], "--limit", "2") == 0
        print(f"  -> {search['shows']}\n")

    step("Index it again: nothing has changed, so there is next to nothing to do")
    good &= gristmill("index", str(LIBRARY)) == 1

    step(f"Add a paragraph to {CHANGED.name!r} and index once more: only what changed is embedded")
    CHANGED.write_text(NEW_PARAGRAPH + CHANGED.read_text("utf-8"), "utf-8")
    good &= gristmill("index", str(CHANGED)) == 0
    good &= gristmill("search", "where is the blue ledger", "--limit", "1") == 0

    good &= show_images(SCRATCH, step=step, gristmill=gristmill)

    print(f"\nDone in {time.monotonic() - began:.0f} s. Everything is under {SCRATCH}/; try it yourself:\n")
    print(f"  .venv/bin/gristmill search 'eel pass' --data {SCRATCH}/data")
    print(f"  .venv/bin/gristmill up --data {SCRATCH}/data     # the HTTP service on the same index\n")
    return 0 if good else 1


def step(title: str) -> None:
    """Announce a step."""
    print(f"\n{'=' * 100}\n{title}\n{'=' * 100}", flush=True)


def gristmill(*words: str) -> int:
    """Run the command as a user would; its exit status."""
    shown = " ".join(f"'{word}'" if " " in word else word for word in words)
    print(f"$ gristmill {shown}", flush=True)
    command = [sys.executable, "-m", "gristmill.cli.main", "--data", str(SCRATCH / "data"), *words]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
