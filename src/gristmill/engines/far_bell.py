"""A bell that is heard on other machines as well, over a line that their database server offers."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gristmill.engines.bell import Bell, Listener

__all__ = ["Closable", "FarBell", "Line"]


class Closable(Protocol):
    """Something that is kept open until it is closed."""

    def close(self) -> None:
        """Let go of it."""
        ...


class Line(Closable, Protocol):
    """Carries a call to other machines. Only a hint: it may be late or lost."""

    def call(self) -> None:
        """Tell all who listen elsewhere. Never waits, and nothing here raises."""
        ...

    def listen(self, wake: Callable[[], None]) -> Closable:
        """Call ``wake``, from another thread, when somebody elsewhere may have called; until it is closed."""
        ...


class FarBell(Bell):
    """Rings for the listeners in a directory at once, and for those at the other ends of a line soon."""

    def __init__(self, directory: Path, line: Line) -> None:
        super().__init__(directory)
        self._line = line

    def ring(self) -> int:
        """Wake every listener; how many of them are near."""
        self._line.call()
        return super().ring()

    def listen(self, name: str) -> Listener:
        """Begin to listen, near and far, under ``name``, which must be unique in the directory."""
        return _FarListener(self._place_for(name), self._line)

    def close(self) -> None:
        """Let the last ring be heard, and ring no more."""
        self._line.close()


class _FarListener(Listener):
    def __init__(self, path: Path, line: Line) -> None:
        super().__init__(path)
        self._ears = line.listen(self._wake)

    def _wake(self) -> None:
        # A full pipe already means "wake up".
        with suppress(BlockingIOError):
            os.write(self.fileno(), b"!")

    def close(self) -> None:
        """Stop listening."""
        self._ears.close()
        super().close()
