"""Any image model in an ONNX file: CLIP and its kin, DINO, or a network of one's own.

What such a file looks like is found out when it is loaded; what does not fit is refused with the setting to mend.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.embed.images.files import named_output, open_file, refused, unreadable
from gristmill.embed.images.local import ImageModel
from gristmill.embed.images.pixels import middle
from gristmill.embed.images.settings import ImageEmbedSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from gristmill.embed.ports import Vectors

__all__ = ["identity", "load"]

_FIELD = "images.onnx_model"
_SIDE = 224
"""Of the images, where the model takes them of any size."""
_TOGETHER = 8
_COLOURS = 3
_OUTPUTS = ("image_embeds", "pooler_output", "embeddings")
_BESIDE = ("_data", ".data")
"""Behind the name of a model whose weights are in a file of their own."""


def identity(model: Path, settings: ImageEmbedSettings) -> str:
    """The name of the file and a digest of all that makes the vectors of images what they are."""
    files = [model, *(model.with_name(model.name + ending) for ending in _BESIDE)]
    try:
        digests = [_digest(file, file.stat().st_mtime_ns) for file in files if file.exists()]
    except OSError as error:
        raise unreadable(model, _FIELD, error) from error
    told = repr((digests, settings.onnx_mean, settings.onnx_std))
    return f"{model.stem}-{sha256(told.encode()).hexdigest()[:12]}"


@lru_cache(maxsize=16)
def _digest(file: Path, _changed_at: int) -> str:
    """Of its content; a large model takes a second, once."""
    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def load(model: Path, settings: ImageEmbedSettings) -> ImageModel:
    """Load the model; :class:`~gristmill.errors.InvalidInput` if it is none, or none of images."""
    import numpy as np
    from PIL import Image

    session = open_file(model, _FIELD)
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type != "tensor(float)":
        raise refused(model, _FIELD, ", ".join(f"{one.name} {one.type}{one.shape}" for one in inputs))
    batch, *sizes = inputs[0].shape
    planes = sizes[2] != _COLOURS or sizes[0] == _COLOURS
    side = next((size for size in (sizes[1:] if planes else sizes[:2]) if isinstance(size, int)), _SIDE)
    mean = np.array(settings.onnx_mean, dtype=np.float32) * 255
    scale = 1 / (np.array(settings.onnx_std, dtype=np.float32) * 255)

    def run(output: str | None, images: "Sequence[Image.Image]") -> list[Any]:
        pixels = (np.stack([np.asarray(middle(image, side)) for image in images]) - mean) * scale
        ordered = pixels.transpose(0, 3, 1, 2) if planes else pixels
        outputs = None if output is None else [output]
        found: list[Any] = session.run(outputs, {inputs[0].name: np.ascontiguousarray(ordered)})
        return found

    # What the file says of its shapes may be wrong or missing; an answer is neither.
    try:
        answers = run(None, [Image.new("RGB", (side, side))])
    except Exception as error:
        raise refused(model, _FIELD, type(error).__name__) from error
    output = named_output(session, answers, _OUTPUTS, {2, 4})
    if output is None:
        raise refused(model, _FIELD, ", ".join(str(list(answer.shape)) for answer in answers))

    def encode(images: "Sequence[Image.Image]") -> "Vectors":
        return _vectors(run(output, images)[0], planes=planes)

    return ImageModel(
        side=side,
        dimension=encode([Image.new("RGB", (side, side))]).shape[1],
        together=batch if isinstance(batch, int) else _TOGETHER,
        images=encode,
    )


def _vectors(answer: Any, *, planes: bool) -> "Vectors":
    """One row for each image, whether the model pools or leaves that to others."""
    import numpy as np

    if answer.ndim == 4:
        answer = answer.mean(axis=(2, 3) if planes else (1, 2))
    return np.asarray(answer, dtype=np.float32)
