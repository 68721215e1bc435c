"""A planned network for one process: what names resolve to, question by question, and where connections lead.

Standard library only, because it is imported before anything else. Does nothing without a plan.
"""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _plan_network(path: Path) -> None:
    plan: dict[str, Any] = json.loads(path.read_text("utf-8"))
    answers: dict[str, list[list[str]]] = plan["names"]
    really_ask: Callable[..., Any] = socket.getaddrinfo
    really_connect: Callable[..., Any] = socket.socket.connect

    def note(name: str, answer: str) -> None:
        with Path(plan["log"]).open("a", encoding="utf-8") as log:
            log.write(json.dumps([name, answer]) + "\n")

    def ask(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        if host not in answers:
            return really_ask(host, port, *rest, **options)
        # The last answer stays; so does what was planned for a process of its own.
        addresses = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        note(host, ", ".join(addresses))
        return [found for address in addresses for found in really_ask(address, port, *rest, **options)]

    def connect(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple):
            wanted = f"{address[0]}:{address[1]}"
            note("connect", wanted)
            address = ("127.0.0.1", plan["wires"].get(wanted, address[1]))
        return really_connect(self, address)

    socket.getaddrinfo = ask
    socket.socket.connect = connect  # type: ignore[method-assign, assignment]


if "PLANNED_NETWORK" in os.environ:
    _plan_network(Path(os.environ["PLANNED_NETWORK"]))
