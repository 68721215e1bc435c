"""The engines of this installation, put together as the policy in force says."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from gristmill.clock import Clock
from gristmill.db.controls import Controls
from gristmill.db.queues import QueueDepth
from gristmill.engines.bell import Bell
from gristmill.engines.broker import Broker, BrokerEngine
from gristmill.engines.canary import Canary, Tally, judge
from gristmill.engines.composed import Fallback, Ratio, Switch
from gristmill.engines.local import LOCAL, LocalEngine
from gristmill.engines.policy import CELERY, ENGINES, RQ, Policy, checked, default_policy, has_redis, ratio_policy
from gristmill.errors import Conflict, GristmillError
from gristmill.logs import get_log
from gristmill.settings import Settings
from gristmill.tasks.model import Json, TaskState
from gristmill.tasks.ports import Engine, TaskStore

__all__ = ["Engines"]

_log = get_log(__name__)

_CONTROL = "engine"
_COMPARED = 1000
"""So many tasks of each engine are compared at most."""
_REMEMBERED_SECONDS = 1.0
"""How long a process goes by what it read of the policy."""


class Engines:
    """Chooses, changes and watches engines."""

    def __init__(self, settings: Settings, controls: Controls, bell: Bell, clock: Clock) -> None:
        self._settings = settings
        self._controls = controls
        self._bell = bell
        self._clock = clock
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._read_at = float("-inf")
        self._built: tuple[Policy, Engine] | None = None

    @cached_property
    def members(self) -> Mapping[str, Engine]:
        """The engines that are set up here, by name. Nothing is connected until something is told."""
        members: dict[str, Engine] = {LOCAL: LocalEngine(self._bell)}
        if has_redis(self._settings.redis):
            members |= {broker.name: BrokerEngine(broker, self._bell) for broker in self._brokers()}
        return members

    def _brokers(self) -> Sequence[Broker]:
        from gristmill.engines.celery import CeleryBroker
        from gristmill.engines.rq import RqBroker

        return CeleryBroker(self._settings.redis), RqBroker(self._settings.redis)

    @cached_property
    def switch(self) -> Engine:
        """The engine in force, whichever that is at the moment."""
        return Switch(self.members, self._current)

    @cached_property
    def default(self) -> Policy:
        """What the settings ask for."""
        return default_policy(self._settings.engine, self._settings.redis)

    def policy(self, *, fresh: bool = False) -> Policy:
        """What is in force, as it was read at most a second ago; ``fresh`` reads it now."""
        with self._lock:
            now = self._clock.monotonic()
            if fresh or self._policy is None or now - self._read_at > _REMEMBERED_SECONDS:
                try:
                    self._policy = self._read()
                except GristmillError as error:
                    if fresh:
                        raise
                    _log.warning("engine.policy_unread", error=str(error))
                    self._policy = self._policy or self.default
                self._read_at = now
            return self._policy

    def _read(self) -> Policy:
        control = self._controls.read(_CONTROL)
        # What was changed at run time was a change of what the settings said then.
        if control.body.get("instead_of") != dict(self.default.shares):
            return Policy(shares=self.default.shares, version=control.version)
        return Policy(shares=control.body["shares"], canary=control.body.get("canary"), version=control.version)

    def change(self, policy: Policy) -> Policy:
        """Put ``policy`` in force, for every process; ``policy.version`` is that of the one it replaces.

        :class:`InvalidInput` if it names an engine that is not set up, :class:`Conflict` if another was quicker.
        """
        checked(policy, self._settings.redis)
        body: Json = {
            "shares": dict(policy.shares),
            "canary": policy.canary,
            "instead_of": dict(self.default.shares),
        }
        self._controls.write(_CONTROL, body, version=policy.version)
        return self.policy(fresh=True)

    def use(self, name: str) -> Policy:
        """Give all tasks to ``name``."""
        return self.change(Policy(shares={name: 1.0}, version=self.policy(fresh=True).version))

    def set_ratio(self, ratio: float) -> Policy:
        """Give ``ratio`` of the tasks to Celery, and the rest to RQ, or to the local engine where that is in use."""
        now = self.policy(fresh=True)
        rest = LOCAL if LOCAL in now.shares else RQ
        return self.change(replace(ratio_policy(ratio, rest=rest), version=now.version))

    def start_canary(self, name: str, **rules: Any) -> Policy:
        """Give ``name`` a small share and raise it while it does well; ``rules`` are fields of :class:`Canary`."""
        now = self.policy(fresh=True)
        canary = Canary(new=name, old=now.main, since=self._clock.now(), **rules)
        return self.change(canary.policy(version=now.version))

    def tend_canary(self, store: TaskStore) -> int:
        """Take the trial that is under way, if there is one, as far as its figures allow; 1 if that changed anything."""
        policy = self.policy()
        if policy.canary is None:
            return 0
        canary = Canary.of(policy.canary)
        if canary.ended is not None:
            return 0
        new, old = (
            Tally(
                failed=sum(state is TaskState.FAILED for state, _ in ends),
                seconds=tuple(seconds for _, seconds in ends),
            )
            for ends in (
                store.latest_ends(name, since=canary.since, limit=_COMPARED) for name in (canary.new, canary.old)
            )
        )
        judged = judge(canary, new, old, now=self._clock.now())
        if judged == canary:
            return 0
        with suppress(Conflict):
            # Another sweeper that came to the same conclusion was quicker.
            self.change(judged.policy(version=policy.version))
        _log.info("engine.canary", new=judged.new, step=judged.steps[judged.step], ended=judged.ended)
        return 1

    def claimed_by(self, engine: str) -> Sequence[str]:
        """The engines whose tasks a worker of ``engine`` may claim now."""
        shares = self.policy().shares
        claims = [engine] if engine in shares or engine == LOCAL else []
        if self._settings.engine.fallback and LOCAL not in shares and engine != LOCAL:
            # Nobody else may be there to run what was accepted while the broker was away.
            claims.append(LOCAL)
        return claims

    def look(self, *, timeout_seconds: float) -> None:
        """Have the engines in force look for their brokers now, so that :meth:`Engine.health` says how it is."""
        for name in self.policy().shares:
            member = self.members.get(name)
            if isinstance(member, BrokerEngine):
                member.look(timeout_seconds=timeout_seconds)

    def described(self, depths: Iterable[QueueDepth]) -> dict[str, Any]:
        """What is in force, how each engine does, and how much waits and runs on it: plain values, to be shown."""
        policy = self.policy(fresh=True)
        waiting: Counter[str] = Counter()
        running: Counter[str] = Counter()
        for depth in depths:
            waiting[depth.engine] += depth.ready + depth.scheduled
            running[depth.engine] += depth.active
        engines = {}
        for name in ENGINES:
            member = self.members.get(name)
            if member is not None:
                health = member.look() if isinstance(member, BrokerEngine) else member.health()
            elif not (waiting[name] or running[name]):
                continue
            else:
                health = {"ok": False, "reason": "engine_needs_redis"}
            engines[name] = {
                "share": policy.shares.get(name, 0.0),
                "ok": health["ok"],
                "reason": health["reason"],
                "waiting": waiting[name],
                "running": running[name],
            }
        return {
            "name": policy.main,
            "ratio": policy.shares.get(CELERY, 0.0),
            "changed": policy.shares != self.default.shares,
            "version": policy.version,
            "canary": policy.canary,
            "engines": engines,
        }

    def _current(self) -> Engine:
        policy = self.policy()
        built = self._built
        if built is None or built[0] != policy:
            built = self._built = (policy, self._build(policy))
        return built[1]

    def _build(self, policy: Policy) -> Engine:
        shares = [(self._with_spare(name), share) for name, share in policy.shares.items() if name in self.members]
        if not shares:
            _log.warning("engine.not_set_up", engines=", ".join(policy.shares))
            return self.members[LOCAL]
        return shares[0][0] if len(shares) == 1 else Ratio(shares)

    def _with_spare(self, name: str) -> Engine:
        engine = self.members[name]
        if name in (CELERY, RQ) and self._settings.engine.fallback:
            return Fallback(engine, self.members[LOCAL])
        return engine
