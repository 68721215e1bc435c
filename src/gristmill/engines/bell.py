"""A bell between processes of one machine: ring it, and everyone who listens wakes up.

Each listener owns a named pipe in a shared directory. Unlike a socket, a pipe has no limit on the length of its path;
unlike polling, an idle listener costs nothing.
"""

import errno
import os
from pathlib import Path

__all__ = ["Bell", "Listener"]


class Bell:
    """Rings for all listeners in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ring(self) -> int:
        """Wake every listener; how many there are. Never waits, and a full pipe already means "wake up"."""
        heard = 0
        try:
            names = [entry.name for entry in os.scandir(self._directory) if entry.name.endswith(".bell")]
        except FileNotFoundError:
            return 0
        for name in names:
            try:
                descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                # ENXIO: its listener died without taking the pipe along; ENOENT: it has just left.
                if error.errno not in (errno.ENXIO, errno.ENOENT):
                    raise
                continue
            try:
                os.write(descriptor, b"!")
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)
            heard += 1
        return heard

    def listen(self, name: str) -> "Listener":
        """Begin to listen under ``name``, which must be unique in the directory."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Listener(self._directory / f"{name}.bell")


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
