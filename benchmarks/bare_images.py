"""The limit of building image datasets: images read and embedded by the same model, and nothing else.

Its functions run in processes of their own, each of which has the model.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.embed.images.ports import ImageEmbedder
from gristmill.embed.images.registry import open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.worker.priority import step_back

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["EMBEDDER", "embedder", "embedding", "inferring", "processes"]

EMBEDDER = "efficientnet"
_NICENESS = 10


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, as nice as workers are; none of them has done anything yet."""
    with ProcessPoolExecutor(count, get_context("spawn"), initializer=step_back, initargs=(_NICENESS,)) as pool:
        yield pool


@cache
def embedder() -> ImageEmbedder:
    """The one of this process."""
    return open_image_embedder(EMBEDDER, ImageEmbedSettings())


def embedding(files: Sequence[Path]) -> int:
    """Embed a batch of files; how many they were."""
    return len(embedder().embed_images([_opened(file) for file in files]))


def inferring(files: tuple[Path, ...]) -> int:
    """Embed a batch whose pixels are there already, as small as the model wants them."""
    return len(embedder().embed_images(_small(files)))


def _opened(file: Path) -> "Image":
    from PIL import Image

    side = 2 * embedder().side
    with Image.open(file) as image:
        # As many pixels as the vector needs; more would be thrown away.
        image.draft("RGB", (side, side))
        return image.convert("RGB")


@cache
def _small(files: tuple[Path, ...]) -> "list[Image]":
    side = embedder().side
    return [_opened(file).resize((side, side)) for file in files]
