"""A bell between processes of one machine: ring it, and everyone who listens wakes up.

Each listener owns a named pipe in a shared directory. Unlike a socket, a pipe has no limit on the length of its path;
unlike polling, an idle listener costs nothing.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["Bell", "Listener"]


_LEFT_BEHIND_SECONDS = 60.0


class Bell:
    """Rings for all listeners in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ring(self) -> int:
        """Wake every listener; how many there are. Never waits, and a full pipe already means "wake up"."""
        # Nothing here raises: a listener whose pipe is left over, closing or out of reach looks for itself in time.
        try:
            pipes = list(self._directory.glob("*.bell"))
        except OSError:
            return 0
        return sum(self._ring_one(pipe) for pipe in pipes)

    @staticmethod
    def _ring_one(path: Path) -> bool:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            os.write(descriptor, b"!")
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def listen(self, name: str) -> "Listener":
        """Begin to listen under ``name``, which must be unique in the directory."""
        return Listener(self._place_for(name))

    def close(self) -> None:
        """Nothing is open."""

    def _place_for(self, name: str) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clear_away()
        return self._directory / f"{name}.bell"

    def _clear_away(self) -> None:
        """Remove the pipes of listeners that died; young ones may be about to be opened."""
        for pipe in self._directory.glob("*.bell"):
            with suppress(OSError):
                if time.time() - pipe.stat().st_mtime > _LEFT_BEHIND_SECONDS and not self._ring_one(pipe):
                    pipe.unlink()


class Listener:
    """One pair of ears; a file descriptor that becomes readable when the bell rings."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        # Opened for writing as well: without a writer of our own, the pipe would report end-of-file after each ring.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor, for ``select``."""
        return self._descriptor

    def clear(self) -> None:
        """Forget the rings so far."""
        try:
            while os.read(self._descriptor, 4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Stop listening."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
