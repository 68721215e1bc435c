"""How long to wait before trying again."""

import random
from dataclasses import dataclass

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential back-off with full jitter.

    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: drawing uniformly from
    zero to the exponential bound spreads a crowd of failures best.
    """

    max_attempts: int = 4
    """The first try and three retries."""
    base_seconds: float = 60.0
    cap_seconds: float = 600.0

    def delay_seconds(self, attempt: int, *, random_source: random.Random | None = None) -> float:
        """Delay after the failure of ``attempt`` (1-based): uniform in ``[0, min(cap, base * 2 ** (attempt - 1))]``."""
        bound = min(self.cap_seconds, self.base_seconds * 2.0 ** max(0, min(attempt - 1, 64)))
        return (random_source or random).uniform(0.0, bound)
