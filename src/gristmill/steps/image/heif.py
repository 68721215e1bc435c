"""HEIC and HEIF, through the core of pi-heif alone.

Its own reader also asks for every note and side image of a file, and for some damaged notes that ends the process.
Nothing of that is needed: rotation is applied by the core, and what EXIF says of it does not count in this format.
"""

from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

__all__ = ["heif_decoder"]


def heif_decoder() -> Callable[[IO[bytes]], "ImageFile"]:
    """What opens such a file; ``ImportError`` where the library is missing."""
    import _pi_heif
    from PIL import ImageFile

    class _Heif(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            assert self.fp is not None
            found = _pi_heif.load_file(self.fp.read(), *_OPTIONS)
            self._parts = [part for part in found if part is not None]
            self._part: Any = next((part for part in self._parts if part.primary), self._parts[0])
            self.n_frames = len(self._parts)
            self._size, self._mode = self._part.size_mode
            profile = self._part.color_profile
            if profile.get("type") in {"rICC", "prof"}:
                self.info["icc_profile"] = profile.get("data")
            self.tile = []

        def load(self) -> Any:
            if self._part is not None:
                part, self._part, self._parts = self._part, None, []
                pixels = part.data
                # What the header says of the size may be wrong.
                self._size, self._mode = part.size_mode
                self.load_prepare()
                self.frombytes(pixels, "raw", (self._mode, part.stride))
            return super().load()

    return _Heif


_OPTIONS = (
    1,  # Thread: workers run side by side, one per core.
    True,  # Whatever the depth of the original, 8 bits a channel.
    False,  # Red first.
    False,  # Rows as they lie in memory.
    True,  # Has no effect with 8 bits.
    "",  # The decoder of the library's choice.
    False,  # Its security limits stay on.
)
