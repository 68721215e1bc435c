"""The front of the RQ engine: takes jobs from RQ's queues, and tells RQ what their rows say.

It runs no task: the slots of its crew claim rows, told or untold, so that a job that gets lost costs at most a second.
What RQ is told is for people who look with RQ's tools; nothing here decides what becomes of a task.
"""

import os
import queue
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from gristmill.app import Gristmill, open_gristmill
from gristmill.engines.bell import Bell
from gristmill.engines.policy import RQ
from gristmill.engines.redis import connect, failures
from gristmill.errors import GristmillError
from gristmill.ids import new_id
from gristmill.logs import configure_logs, get_log
from gristmill.settings import Settings
from gristmill.worker.crew import CREW_COMMAND, Crew
from gristmill.worker.foreground import cores
from gristmill.worker.rq.commands import Cancels, Commands
from gristmill.worker.rq.desk import Desk
from gristmill.worker.rq.ghosts import Ghosts
from gristmill.worker.rq.popper import Hint, Popper
from gristmill.worker.rq.seat import Seat

__all__ = ["Front", "run"]

_log = get_log(__name__)

_ANSWER_SECONDS = 5.0
_LOOK_SECONDS = 0.1
"""How often rows are looked at while jobs are in hand."""
_GATHER_SECONDS = 0.02
"""Hints that come close together are taken together."""
_IDLE_SECONDS = 0.5
_BEAT_SECONDS = 5.0
_CANCELS_SECONDS = 1.0
_GHOSTS_SECONDS = 15.0
_LEAST_ROOM = 64
_ROOM_PER_SLOT = 8
_JOIN_SECONDS = 3.0


class Front:
    """One process that RQ sees as a worker for each of its queues."""

    def __init__(self, app: Gristmill, *, crew_command: Sequence[str] = CREW_COMMAND) -> None:
        self._app = app
        self._bell = Bell(app.paths.run)
        name = f"{RQ}@{socket.gethostname()}:{os.getpid()}"
        self._crew = Crew(app.settings, engine=RQ, name=name, command=crew_command)
        self._delivered: queue.SimpleQueue[list[Hint]] = queue.SimpleQueue()
        self._untaken: list[Hint] = []
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        """Tasks that people asked to stop."""
        self._to_cancel: list[str] = []
        self._stopping = False
        self._is_well = True
        self._connection = connect(app.settings.redis, answer_seconds=_ANSWER_SECONDS)
        room = max(_LEAST_ROOM, _ROOM_PER_SLOT * (app.settings.workers.concurrency or cores()))
        # Unique for ever: a worker killed a moment ago is still listed.
        place = f"gristmill-{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"
        queues = app.settings.workers.queues
        self._seats = {queue: Seat(queue, self._connection, name=place) for queue in queues}
        self._poppers = {queue: Popper(queue, self._connection, room=room, deliver=self._deliver) for queue in queues}
        self._commands = Commands(
            self._connection,
            [seat.channel for seat in self._seats.values()],
            stop=self._orders.put,
            shut_down=self.stop,
        )
        self._desk = Desk(app, self._connection, self._seats, self._poppers)
        self._cancels = Cancels(self._connection)
        self._ghosts = Ghosts(self._connection, self._seats, self._desk.has)
        self._due = dict.fromkeys((self._beat, self._look_for_cancels, self._lay_ghosts), 0.0)

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or RQ's shutdown; then let the crew drain, and give back what it did not end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        threads = [*self._poppers.values(), self._commands]
        for thread in threads:
            thread.start()
        _log.info("rq.front_started", queues=",".join(self._seats))
        while not (self._stopping and self._crew.has_ended()):
            if self._stopping:
                self._crew.drain()
                for popper in self._poppers.values():
                    popper.stop()
            else:
                self._crew.keep()
            self._turn()
        self._commands.end()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        self._turn()
        with suppress(GristmillError), failures(RQ):
            self._desk.leave()
        self._connection.close()
        _log.info("rq.front_stopped")

    def stop(self) -> None:
        """Begin to end; safe to call from anywhere."""
        self._stopping = True
        self._delivered.put([])

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop()

    def _deliver(self, hints: list[Hint]) -> None:
        """Called by the poppers: the slots of this machine look at once, and we when we get to it."""
        self._bell.ring()
        self._delivered.put(hints)

    def _turn(self) -> None:
        self._gather()
        try:
            with failures(RQ):
                if self._untaken:
                    self._desk.take(self._untaken)
                    self._untaken = []
                self._desk.tell()
                self._do_what_is_due()
        except GristmillError as error:
            # Jobs and rows are where they were; the next turn goes on with them.
            if self._is_well:
                _log.warning("rq.turn_failed", error=str(error))
            self._is_well = False
            time.sleep(_IDLE_SECONDS)
        except Exception:  # noqa: BLE001 - what RQ is shown may go stale; the slots go on with their tasks
            _log.exception("rq.turn_raised")
            time.sleep(_IDLE_SECONDS)
        else:
            self._is_well = True

    def _gather(self) -> None:
        with suppress(queue.Empty):
            self._untaken += self._delivered.get(timeout=_LOOK_SECONDS if len(self._desk) else _IDLE_SECONDS)
            time.sleep(_GATHER_SECONDS)
            while True:
                self._untaken += self._delivered.get_nowait()

    def _do_what_is_due(self) -> None:
        for duty, due_at in self._due.items():
            now = time.monotonic()
            if now >= due_at:
                self._due[duty] = now + duty()

    def _beat(self) -> float:
        self._desk.beat()
        return _BEAT_SECONDS

    def _look_for_cancels(self) -> float:
        self._to_cancel += self._cancels.look(self._seats)
        with suppress(queue.Empty):
            while True:
                self._to_cancel.append(self._orders.get_nowait())
        if self._to_cancel:
            self._desk.cancel(self._to_cancel)
            self._to_cancel = []
        return _CANCELS_SECONDS

    def _lay_ghosts(self) -> float:
        self._desk.look_again(self._ghosts.look())
        return _GHOSTS_SECONDS


def run(settings: Settings) -> None:
    """A worker of the RQ engine with one pool of slots, ``workers.concurrency`` of them, for all its queues."""
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    try:
        Front(app).run()
    finally:
        app.close()
