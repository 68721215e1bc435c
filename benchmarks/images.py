"""Building image datasets: images per second, beside the bare model in as many processes, which keeps nothing of them."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import bare_images
from benchmarks.photographs import files_of_parts, photographs
from benchmarks.support import Options, Table, fresh, spread, working
from gristmill.app import Gristmill

__all__ = ["build", "embeds_alone", "run"]

_SLOTS = 2
_BATCH = 32
"""Images that are handed to a process at a time; those of a task are as many."""
_LEAST_SHARE = 0.9
_LONGEST_SECONDS = 600.0


def run(options: Options) -> Iterator[Table]:
    """A dataset built anew in each round, and the same files by the bare model, by turns."""
    count, rounds = options.pick(1000, 64), options.pick(5, 1)
    among = photographs(options.photos)
    ours: list[float] = []
    bare: list[float] = []
    inference: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder,
        fresh() as app,
        bare_images.processes(_SLOTS) as pool,
    ):
        embeds_alone(app)
        root = Path(folder)
        with working(app, slots=_SLOTS):
            # The first round, with the models loading, does not count.
            for number in range(rounds + 1):
                files = files_of_parts(root / f"round-{number}", count, among=among, seed=number)
                steps: list[Callable[[], None]] = [
                    lambda: ours.append(build(app, root, files)),  # noqa: B023 - called at once
                    lambda: bare.append(_rate(pool, bare_images.embedding, _batches(files))),  # noqa: B023
                ]
                for step in steps if number % 2 else steps[::-1]:
                    step()
                first = _batches(files)[0]
                inference.append(_rate(pool, bare_images.inferring, [first] * (count // len(first))))
    rows = {
        f"Gristmill (at least {_LEAST_SHARE} of the limit)": ours,
        "limit: the bare model": bare,
        "the model alone, of pixels that are there": inference,
    }
    yield Table(
        title="Images per second",
        head=("", "min", "median", "max", "of the limit"),
        rows=[(name, *spread(values[1:]), _share(values[1:], bare[1:])) for name, values in rows.items()],
        note=(
            f"{rounds} rounds of {count} JPEG files of 640 x 480 pixels, cut from {len(among)} photographs; {_SLOTS} "
            f"processes each, which are as nice as workers are; `{bare_images.EMBEDDER}`. The limit opens, decodes, scales "
            f"and embeds them in batches of {_BATCH}, with no thumbnail, no fingerprint, no hash and no database. The share "
            "is the median of those of the rounds. Text in the images is not read."
        ),
    )


def embeds_alone(app: Gristmill) -> None:
    """Keep the workers of ``app`` from reading text in images after a build: it is a pass of its own."""
    (app.paths.data / "gristmill.toml").write_text('[images]\nocr = "off"\n', "utf-8")


def build(app: Gristmill, root: Path, files: Sequence[Path]) -> float:
    """Build the dataset that ``files`` are under ``root``; images per second, from the submit to the end."""
    task = app.datasets.build([files[0].parent.name], root=root)
    ended = app.tasks.wait(task.id, timeout_seconds=_LONGEST_SECONDS)
    done = app.datasets.get(task.id).progress.done
    if done != len(files) or ended.finished_at is None:
        raise RuntimeError(f"the build ended as {ended.state} with {done} of {len(files)} images")
    return len(files) / ((ended.finished_at - ended.created_at) / 1_000_000)


def _share(rates: Sequence[float], limits: Sequence[float]) -> float:
    """Round by round, because machines are slower at times."""
    return spread([rate / limit for rate, limit in zip(rates, limits, strict=True)])[1]


def _batches(files: Sequence[Path]) -> list[tuple[Path, ...]]:
    return [tuple(files[first : first + _BATCH]) for first in range(0, len(files), _BATCH)]


def _rate(
    pool: ProcessPoolExecutor, work: Callable[[tuple[Path, ...]], int], batches: Sequence[tuple[Path, ...]]
) -> float:
    start = time.perf_counter()
    count = sum(pool.map(work, batches))
    return count / (time.perf_counter() - start)
