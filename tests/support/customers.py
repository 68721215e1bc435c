"""Clients of an API that comes and goes: they submit, cancel and change their minds, and never give up on an answer."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.support.moods import MOODS

__all__ = ["Customer", "Orders"]

TIMEOUT_SECONDS = 5.0
MOODY_SHARE = 0.25
"""Of all tasks; the others behave."""


@dataclass
class Orders:
    """What customers were told, and what they asked for."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Task id by ``Idempotency-Key``: what the API said it has."""
    cancels: set[str] = field(default_factory=set)
    """Tasks of which the API said that they will stop."""
    asked: set[str] = field(default_factory=set)
    """Tasks that somebody tried to cancel, whatever the answer, if there was one."""
    surprises: list[str] = field(default_factory=list)
    """Answers that nobody should get."""
    answers: Counter[int] = field(default_factory=Counter)


class Customer(threading.Thread):
    """One client with a seed; ``address`` says where the API is now, ``is_enough`` whether to wait with more tasks."""

    def __init__(
        self, name: str, seed: str, orders: Orders, *, address: Callable[[], str], is_enough: Callable[[], bool]
    ) -> None:
        super().__init__(name=name)
        self.source = random.Random(seed)
        self.orders = orders
        self.address = address
        self.is_enough = is_enough
        self.enough = threading.Event()
        self.session = requests.Session()
        self.session.trust_env = False
        self.own: list[str] = []

    def run(self) -> None:
        """Go on until it is enough."""
        while not self.enough.is_set():
            deed = self.source.choices([self.submit, self.cancel, self.change_priority], [8, 2, 1])[0]
            deed()
            self.enough.wait(self.source.uniform(0.02, 0.2))
        self.session.close()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response | None:
        """One request; None if no answer came."""
        try:
            answer = self.session.request(method, self.address() + path, timeout=TIMEOUT_SECONDS, **options)
        except requests.RequestException:
            return None
        self.orders.answers[answer.status_code] += 1
        if answer.status_code not in (200, 202, 503):
            self.orders.surprises.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def submit(self) -> None:
        """Submit one task, and repeat the request until it is answered."""
        if self.is_enough():
            return
        key = f"{self.name}-{len(self.own)}-{self.source.randrange(10**9)}"
        body = {**self.wish(), "priority": self.source.randrange(10)}
        while not self.enough.is_set():
            answer = self.ask("POST", "/api/tasks", json=body, headers={"Idempotency-Key": key})
            if answer is not None and answer.status_code == 202:
                task_id: str = answer.json()["data"]["id"]
                self.orders.accepted[key] = task_id
                self.own.append(task_id)
                return
            self.enough.wait(0.05)

    def wish(self) -> dict[str, Any]:
        """A task that behaves, or does not, or has children that may not."""
        if self.source.random() > MOODY_SHARE:
            return {"kind": "moody", "payload": {"moods": []}}
        moods = self.source.choices(sorted(MOODS), k=self.source.randrange(1, 5))
        if self.source.random() < 0.5:
            return {"kind": "moody", "payload": {"moods": moods}}
        return {"kind": "family", "payload": {"moods": moods[:2], "children": 4}}

    def cancel(self) -> None:
        """Ask a task of late to stop."""
        if self.own:
            task_id = self.source.choice(self.own[-10:])
            self.orders.asked.add(task_id)
            answer = self.ask("POST", f"/api/tasks/{task_id}/cancel")
            if answer is not None and answer.status_code == 200:
                task = answer.json()["data"]
                if task["cancel_requested"] or task["state"] == "cancelled":
                    self.orders.cancels.add(task_id)

    def change_priority(self) -> None:
        """Let a task of late be more or less urgent."""
        if self.own:
            task_id = self.source.choice(self.own[-10:])
            self.ask("PATCH", f"/api/tasks/{task_id}", json={"priority": self.source.randrange(10)})
