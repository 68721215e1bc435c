"""Photographs for the benchmarks of images: those that installed packages bring, or those of a folder, and parts of them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Photograph", "files_of_parts", "photographs", "tiles"]

_BROUGHT = {
    "matplotlib": ("mpl-data/sample_data/*.jpg",),
    "sklearn": ("datasets/images/*.jpg",),
    "skimage": (
        "data/*.jpg",
        *(
            f"data/{name}.png"
            for name in ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "moon")
        ),
    ),
}
"""Photographs in the packages that have some, wherever those are installed."""
_ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
_LEAST, _MOST = 200, 1600
"""Pixels of the longer side; larger ones are scaled down, which nothing that is measured here depends on."""
_PART = (640, 480)
_LEAST_SHARE = 0.3
"""Of the largest part of that shape."""
_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture, or a part of one, by a name that no other has."""

    name: str
    image: "Image"


def photographs(folder: Path | None) -> list[Photograph]:
    """All photographs in ``folder`` or, without one, of the installed packages; never none."""
    from PIL import Image

    found = []
    for number, path in enumerate(_in_packages() if folder is None else sorted(folder.iterdir())):
        if path.suffix.lower() not in _ENDINGS:
            continue
        with Image.open(path) as image:
            if max(image.size) < _LEAST:
                continue
            image.draft("RGB", (_MOST, _MOST))
            picture = image.convert("RGB")
            picture.thumbnail((_MOST, _MOST))
            found.append(Photograph(f"{number:03}", picture))
    if not found:
        raise FileNotFoundError("there are no photographs here; name a folder that has some with --photos")
    return found


def _in_packages() -> list[Path]:
    found: list[Path] = []
    for package, patterns in _BROUGHT.items():
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            found += [path for pattern in patterns for path in sorted(Path(place).glob(pattern))]
    return found


def tiles(photograph: Photograph, *, across: int) -> Iterator[Photograph]:
    """Its ``across`` times ``across`` parts, none of which shares a pixel with another."""
    width, height = (size // across for size in photograph.image.size)
    for number in range(across * across):
        left, top = number % across * width, number // across * height
        yield Photograph(
            f"{photograph.name}-{number:02}", photograph.image.crop((left, top, left + width, top + height))
        )


def files_of_parts(folder: Path, count: int, *, among: list[Photograph], seed: int) -> list[Path]:
    """``count`` JPEG files in ``folder``, which is made: parts of all sizes from all places, scaled to 640 x 480 pixels."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    files = []
    for number in range(count):
        image = chance.choice(among).image
        largest = min(image.width / _PART[0], image.height / _PART[1])
        scale = largest * chance.uniform(_LEAST_SHARE, 1)
        width, height = _PART[0] * scale, _PART[1] * scale
        left, top = chance.uniform(0, image.width - width), chance.uniform(0, image.height - height)
        files.append(folder / f"{number:05}.jpg")
        part = image.resize(_PART, box=(left, top, left + width, top + height), reducing_gap=2.0)
        part.save(files[-1], "JPEG", quality=_QUALITY)
    return files
