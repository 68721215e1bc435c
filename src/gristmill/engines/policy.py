"""Which share of the tasks goes to which engine: what the settings say, until somebody changes it at run time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gristmill.engines.local import LOCAL
from gristmill.errors import InvalidInput
from gristmill.tasks.model import Json

if TYPE_CHECKING:
    from gristmill.settings.model import EngineSettings, RedisSettings

__all__ = ["CELERY", "ENGINES", "RQ", "Policy", "checked", "default_policy", "has_redis", "ratio_policy"]

CELERY = "celery"
RQ = "rq"
ENGINES = (LOCAL, CELERY, RQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The shares, more than zero and 1 in all, by the engine's name."""

    shares: Mapping[str, float]
    canary: Json | None = None
    """What :mod:`gristmill.engines.canary` is at, if shares are being raised step by step."""
    version: int = field(default=0, compare=False)
    """Of the control it was read from; 0 for what the settings say."""

    @property
    def main(self) -> str:
        """The engine most tasks go to."""
        return max(self.shares, key=lambda name: self.shares[name])


def has_redis(redis: "RedisSettings") -> bool:
    """Whether a broker is set up."""
    return redis.url is not None or redis.host is not None


def default_policy(engine: "EngineSettings", redis: "RedisSettings") -> Policy:
    """What the settings ask for; :class:`InvalidInput` if they contradict each other."""
    name: str | None = engine.name
    if name is None:
        # A Redis that is set up for another program must not make one without Celery useless.
        name = CELERY if has_redis(redis) and find_spec("celery") is not None else LOCAL
    if engine.ratio is not None:
        return checked(ratio_policy(engine.ratio, rest=RQ if name == CELERY else name), redis)
    return checked(Policy(shares={name: 1.0}), redis)


def ratio_policy(ratio: float, *, rest: str) -> Policy:
    """``ratio`` of the tasks to Celery, the rest to ``rest``."""
    if not 0 <= ratio <= 1:
        raise InvalidInput("ratio_out_of_range", value=ratio)
    return Policy(shares={name: share for name, share in ((CELERY, ratio), (rest, 1 - ratio)) if share > 0})


def checked(policy: Policy, redis: "RedisSettings") -> Policy:
    """``policy``, if every engine in it can be used here; :class:`InvalidInput` otherwise."""
    for name in policy.shares:
        if name not in ENGINES:
            raise InvalidInput("engine_unknown", value=name, known=", ".join(ENGINES))
        if name == LOCAL:
            continue
        if not has_redis(redis):
            raise InvalidInput("engine_needs_redis", engine=name)
        if find_spec(name) is None:
            raise InvalidInput("extra_missing", feature=f"engine {name}", extra=name)
    return policy
