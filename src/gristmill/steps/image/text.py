"""The text that is in a picture (OCR), English and Chinese; the one module that knows the recogniser."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gristmill.errors import StepFailed

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Line", "Reader", "is_available", "text_of"]

_PACKAGE = "rapidocr_onnxruntime"
_LEAST_CONFIDENCE = 0.5
_LEAST_SIDE = 8
"""In pixels; no letter is lower."""
_MOST_ASPECT = 4
_LOGGERS = ("RapidOCR", "OrtInferSession")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text as it was recognised."""

    text: str
    confidence: float
    """0 to 1."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom edge, in pixels of the image that was read."""


def is_available() -> bool:
    """Whether the extra is installed; loads nothing."""
    return find_spec(_PACKAGE) is not None


class Reader:
    """Recognises text; loads its models (half a second, 200 MB) with the first image it reads."""

    def __init__(self) -> None:
        self._recogniser: Any = None

    def read(self, image: "Image") -> tuple[Line, ...]:
        """The lines of text in an RGB image, from top to bottom and left to right, the doubtful ones too."""
        import numpy as np

        if min(image.size) < _LEAST_SIDE:
            return ()
        if self._recogniser is None:
            self._recogniser = _loaded()
        # The recogniser wants blue first.
        pixels = np.ascontiguousarray(np.asarray(_framed(image))[:, :, ::-1])
        found, _seconds = self._recogniser(pixels)
        return tuple(_line(corners, text, confidence) for corners, text, confidence in found or ())


def text_of(lines: Sequence[Line]) -> str:
    """The text of the lines that are more likely right than wrong, each on a line of its own."""
    return "\n".join(line.text for line in lines if line.confidence >= _LEAST_CONFIDENCE and line.text.strip())


def _loaded() -> Any:
    import logging

    try:
        import cv2
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise StepFailed("extra_missing", feature="OCR", extra="ocr") from error
    for name in _LOGGERS:
        # It writes to standard error by itself, every image without text for one.
        logging.getLogger(name).handlers.clear()
    # Workers run side by side, one per core.
    cv2.setNumThreads(1)
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1, text_score=0.0)


def _framed(image: "Image") -> "Image":
    """The image, widened to the right or below where it is a strip.

    The recogniser enlarges every image until its shorter side has 736 pixels: a strip of 3 x 900 would take minutes.
    """
    from PIL import Image

    width, height = image.size
    least = -(-max(width, height) // _MOST_ASPECT)
    if min(width, height) >= least:
        return image.convert("RGB")
    frame = Image.new("RGB", (max(width, least), max(height, least)), "white")
    frame.paste(image)
    return frame


def _line(corners: Sequence[Sequence[float]], text: str, confidence: float) -> Line:
    across = [round(x) for x, _ in corners]
    down = [round(y) for _, y in corners]
    return Line(text=text, confidence=float(confidence), box=(min(across), min(down), max(across), max(down)))
