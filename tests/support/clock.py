"""A clock that tests own."""

__all__ = ["TestClock"]

_START = 1_700_000_000_000_000


class TestClock:
    """Both clocks stand still until a test moves them, together or apart."""

    __test__ = False

    def __init__(self) -> None:
        self._now = _START
        self._monotonic = 1000.0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def pass_time(self, seconds: float) -> None:
        """Let time go by, as both clocks see it."""
        self._now += int(seconds * 1_000_000)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock; what has really gone by is nothing."""
        self._now += int(seconds * 1_000_000)
