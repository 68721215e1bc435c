"""How often an image is found by an altered copy of it, and which copies the report of duplicates knows.

The images go through real workers, the altered ones through the real search.
"""

import io
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.images import build, embeds_alone
from benchmarks.photographs import Photograph, photographs, tiles
from benchmarks.support import Cell, Options, Table, fresh, working
from gristmill.app import Gristmill
from gristmill.steps.image.duplicates import MOST_DISTANCE
from gristmill.worker.foreground import cores

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["run"]

_FEW = 30
"""With fewer photographs than these, their tiles are searched for as well."""
_ACROSS = 3
_QUICK = 5
_QUALITY = 90
_TOP = 5
_SEED = 30
_DISTANCES = (0, 5, 10, MOST_DISTANCE)
_SEARCHED, _COPIED = "searched", "copied"


def run(options: Options) -> Iterator[Table]:
    """Recall by alteration, then duplicates by distance."""
    found = photographs(options.photos)[: options.pick(1_000_000, _QUICK)]
    parts = [tile for photograph in found for tile in tiles(photograph, across=_ACROSS)]
    originals = [*found, *parts]
    wanted = found if len(found) >= _FEW else originals
    few = "" if wanted is found else f" With fewer than {_FEW} photographs, tiles are looked for, too."
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder, fresh() as app:
        embeds_alone(app)
        with working(app, slots=cores()):
            whole = [(one.name, _jpeg(one.image)) for one in originals]
            for name, contents in ((_SEARCHED, whole), (_COPIED, [*whole, *_copies(wanted)])):
                build(app, Path(folder), _written(Path(folder, name), contents))
        yield Table(
            title="Finding images by altered copies",
            head=("", f"recall@1 of {len(wanted)}", f"recall@{_TOP}"),
            rows=[_recall(app, name, alter, wanted) for name, alter in _ALTERED.items()],
            note=(
                f"{len(found)} photographs among their {len(parts)} tiles, which are wrong answers.{few} What is cut out "
                f"lies anywhere. All are JPEG files of quality {_QUALITY} unless said otherwise."
            ),
        )
        yield Table(
            title="Duplicates by the distance of their fingerprints",
            head=("distance", "precision", "recall", *(f"recall: {name}" for name in _COPIED_AS)),
            rows=[_duplicates(app, distance, wanted) for distance in _DISTANCES],
            note=(
                f"{len(wanted)} images with {len(_COPIED_AS)} copies each, beside {len(originals) - len(wanted)} strangers. "
                "Precision is the share of pairs in one group that are copies of the same; recall is the share of copies "
                "that are in the group of their original."
            ),
        )


def _written(folder: Path, contents: Sequence[tuple[str, bytes]]) -> list[Path]:
    folder.mkdir()
    files = []
    for name, content in contents:
        files.append(folder / f"{name}.jpg")
        files[-1].write_bytes(content)
    return files


def _copies(wanted: Sequence[Photograph]) -> Iterator[tuple[str, bytes]]:
    for one in wanted:
        for number, alter in enumerate(_COPIED_AS.values()):
            yield f"{one.name} {number}", alter(one.image)


def _recall(
    app: Gristmill, name: str, alter: Callable[["Image"], bytes], wanted: Sequence[Photograph]
) -> tuple[Cell, ...]:
    ranks = []
    for one in wanted:
        page = app.images.like_upload(alter(one.image), name=one.name, collections=[_SEARCHED], limit=_TOP)
        names = [Path(hit.image.name).stem for hit in page.hits]
        ranks.append(names.index(one.name) if one.name in names else _TOP)
    return (name, ranks.count(0) / len(ranks), sum(rank < _TOP for rank in ranks) / len(ranks))


def _duplicates(app: Gristmill, distance: int, wanted: Sequence[Photograph]) -> tuple[Cell, ...]:
    right = wrong = 0
    known: Counter[str] = Counter()
    for group in app.images.duplicates(_COPIED, distance=distance):
        names = [Path(member.name).stem for member in group.members]
        for one, other in combinations(names, 2):
            same = one.partition(" ")[0] == other.partition(" ")[0]
            right, wrong = right + same, wrong + (not same)
        known.update(name.partition(" ")[2] for name in names if " " in name and name.partition(" ")[0] in names)
    recall = [known[str(number)] / len(wanted) for number in range(len(_COPIED_AS))]
    precision = right / (right + wrong) if right + wrong else None
    return (distance, precision, sum(recall) / len(recall), *recall)


def _jpeg(image: "Image", quality: int = _QUALITY) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _cut(image: "Image", share: float) -> "Image":
    """A part with that ``share`` of each side, from anywhere; the same part in every run."""
    chance = random.Random(f"{_SEED} {image.size} {share}")
    width, height = (round(size * share) for size in image.size)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _scaled(image: "Image", factor: float) -> "Image":
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), reducing_gap=2.0)


def _coloured(image: "Image", gains: Sequence[float]) -> "Image":
    """Red, green and blue, each multiplied."""
    table = [min(255, round(value * gain)) for gain in gains for value in range(256)]
    return image.point(table)


def _mirrored(image: "Image") -> "Image":
    from PIL.Image import Transpose

    return image.transpose(Transpose.FLIP_LEFT_RIGHT)


def _turned(image: "Image", degrees: float) -> "Image":
    from PIL.Image import Resampling

    return image.rotate(degrees, Resampling.BICUBIC, expand=degrees % 90 == 0)


def _grey(image: "Image") -> "Image":
    return image.convert("L").convert("RGB")


_WARMER = (1.2, 1.0, 0.8)
_ALTERED: Mapping[str, Callable[["Image"], bytes]] = {
    "as it is": _jpeg,
    "cut to 80 % of its area": lambda image: _jpeg(_cut(image, sqrt(0.8))),
    "cut to 50 % of its area": lambda image: _jpeg(_cut(image, sqrt(0.5))),
    "cut to half of each side": lambda image: _jpeg(_cut(image, 0.5)),
    "scaled to 0.3 of each side": lambda image: _jpeg(_scaled(image, 0.3)),
    "JPEG of quality 30": lambda image: _jpeg(image, 30),
    "mirrored": lambda image: _jpeg(_mirrored(image)),
    "grey": lambda image: _jpeg(_grey(image)),
    "colours shifted": lambda image: _jpeg(_coloured(image, _WARMER)),
    "brighter by 1.4": lambda image: _jpeg(_coloured(image, (1.4, 1.4, 1.4))),
    "turned by 10 degrees": lambda image: _jpeg(_turned(image, 10)),
    "turned by 90 degrees": lambda image: _jpeg(_turned(image, 90)),
}
_COPIED_AS: Mapping[str, Callable[["Image"], bytes]] = {
    "JPEG 50": lambda image: _jpeg(image, 50),
    "JPEG 30": lambda image: _jpeg(image, 30),
    "scaled 0.5": lambda image: _jpeg(_scaled(image, 0.5)),
    "scaled 0.3": lambda image: _jpeg(_scaled(image, 0.3)),
    "cut by 2 %": lambda image: _jpeg(_cut(image, 0.98)),
    "grey": lambda image: _jpeg(_grey(image)),
    "colours shifted": lambda image: _jpeg(_coloured(image, _WARMER)),
    "brighter": lambda image: _jpeg(_coloured(image, (1.2, 1.2, 1.2))),
}
