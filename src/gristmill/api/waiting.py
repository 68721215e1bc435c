"""Room for the few requests that may wait for a task, so that they cannot occupy every thread of the API."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["WaitingRoom"]


class WaitingRoom:
    """At most ``seats`` wait at a time; the others are answered at once."""

    def __init__(self, seats: int) -> None:
        self._free = threading.BoundedSemaphore(seats)

    @contextmanager
    def seat(self) -> Iterator[bool]:
        """Whether there is a seat for the length of the block."""
        taken = self._free.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._free.release()
