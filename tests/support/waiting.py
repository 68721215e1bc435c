"""Waits for what other processes bring about."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["eventually"]

_LOOK_SECONDS = 0.02

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer | None], seconds: float = 10.0) -> Answer:
    """What ``condition`` answers once that is true; fails when it is not in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds} s: {condition}, at last {answer!r}")
        time.sleep(_LOOK_SECONDS)
