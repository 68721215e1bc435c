"""A worker process of an engine with a broker: the front that receives messages, and all that it starts."""

import signal
import subprocess
from contextlib import suppress

import psutil

from tests.support.waiting import eventually

__all__ = ["Front"]


class Front:
    """A worker process of the engine, with everything it started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.members: list[psutil.Process] = []

    def crew(self) -> psutil.Process:
        """The process of the supervisor."""
        return eventually(lambda: next(iter(psutil.Process(self.process.pid).children()), None))

    def know_members(self) -> list[psutil.Process]:
        """Everybody who belongs to it, now: later, nobody may be left to ask."""
        self.members = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return self.members

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and wait."""
        self.know_members()
        self.process.send_signal(number)
        return self.process.wait(40)

    def clear_away(self) -> None:
        """Leave nothing of it."""
        if self.process.poll() is None:
            self.know_members()
        for member in self.members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.kill()
        self.process.wait()
