"""Engines made of engines: a ratio of several, a spare for when the first fails, and one that can be changed."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gristmill.tasks.ports import Engine, Ready

__all__ = ["Fallback", "Ratio", "Switch"]

_SETTLED_SECONDS = 10.0
"""How long an engine must have been well, or unwell, before waiting tasks are moved because of it."""


class Ratio:
    """Gives each task to one of several engines, by their shares.

    An id goes to the same engine whoever asks, and a task that went to the one whose share grows stays there.
    """

    def __init__(self, members: Sequence[tuple[Engine, float]]) -> None:
        total = sum(share for _, share in members)
        self._members = [(engine, share / total) for engine, share in members if share > 0]
        self._by_name = {engine.name: engine for engine, _ in members}

    @property
    def name(self) -> str:
        return max(self._members, key=lambda member: member[1])[0].name

    @property
    def homes(self) -> Collection[str]:
        return {home for engine, _ in self._members for home in engine.homes}

    def choose(self, task_id: str) -> str:
        left = _fraction(task_id)
        for engine, share in self._members:
            left -= share
            if left < 0:
                return engine.choose(task_id)
        return self._members[-1][0].choose(task_id)

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        _dispatch(self._by_name, tasks)

    def revoke(self, task_ids: Sequence[str]) -> None:
        for engine in self._by_name.values():
            engine.revoke(task_ids)

    def health(self) -> Mapping[str, Any]:
        return _worst({engine.name: engine.health() for engine, _ in self._members})

    def close(self) -> None:
        for engine in self._by_name.values():
            engine.close()


class Fallback:
    """Gives tasks to ``first`` while it is well, and to ``spare`` until it is again."""

    def __init__(self, first: Engine, spare: Engine) -> None:
        self._first = first
        self._spare = spare

    @property
    def name(self) -> str:
        return self._first.name

    @property
    def homes(self) -> Collection[str]:
        # What waits is not carried over, and back again, for a moment's absence.
        if self._first.health().get("steady_seconds", _SETTLED_SECONDS) < _SETTLED_SECONDS:
            return {*self._first.homes, *self._spare.homes}
        return self._current.homes

    def choose(self, task_id: str) -> str:
        return self._current.choose(task_id)

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        _dispatch({self._first.name: self._first, self._spare.name: self._spare}, tasks)

    def revoke(self, task_ids: Sequence[str]) -> None:
        self._first.revoke(task_ids)
        self._spare.revoke(task_ids)

    def health(self) -> Mapping[str, Any]:
        health = self._first.health()
        return health if health["ok"] else {**health, "falls_back_to": self._spare.name}

    def close(self) -> None:
        self._first.close()
        self._spare.close()

    @property
    def _current(self) -> Engine:
        return self._first if self._first.health()["ok"] else self._spare


class Switch:
    """Stands for the engine that is in force now, which may be another one at the next call."""

    def __init__(self, members: Mapping[str, Engine], current: Callable[[], Engine]) -> None:
        self._members = members
        self._current = current

    @property
    def name(self) -> str:
        return self._current().name

    @property
    def homes(self) -> Collection[str]:
        return self._current().homes

    def choose(self, task_id: str) -> str:
        return self._current().choose(task_id)

    def dispatch(self, tasks: Sequence[Ready]) -> None:
        # By what each task was given, not by what is in force by now.
        _dispatch(self._members, tasks)

    def revoke(self, task_ids: Sequence[str]) -> None:
        for engine in self._members.values():
            engine.revoke(task_ids)

    def health(self) -> Mapping[str, Any]:
        return self._current().health()

    def close(self) -> None:
        for engine in self._members.values():
            engine.close()


def _dispatch(members: Mapping[str, Engine], tasks: Sequence[Ready]) -> None:
    if not tasks:
        for engine in members.values():
            engine.dispatch([])
    for name, engine in members.items():
        if theirs := [task for task in tasks if task.engine == name]:
            engine.dispatch(theirs)


def _worst(members: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    faults = [health for health in members.values() if not health["ok"]]
    return {"ok": not faults, "reason": faults[0]["reason"] if faults else None, "engines": members}


def _fraction(task_id: str) -> float:
    """A number in [0, 1) that any process computes alike."""
    return int.from_bytes(hashlib.blake2b(task_id.encode(), digest_size=7).digest(), "big") / 2**56
