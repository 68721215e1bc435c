"""A worker: starts slots, watches over them, and beats for them.

It never runs a handler itself, so nothing a task does can stop the heartbeat, the time limits or a cancel.
"""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import psutil

import gristmill
from gristmill.app import Gristmill
from gristmill.engines.bell import Listener
from gristmill.engines.local import LOCAL
from gristmill.errors import GristmillError
from gristmill.ids import new_id
from gristmill.logs import get_log
from gristmill.settings import dump_settings
from gristmill.tasks.model import Cancelled, Failed, Lost, Outcome, Released, Task, TaskError, Worker
from gristmill.worker.channel import Channel

__all__ = ["Supervisor"]

_log = get_log(__name__)

_SLOT_COMMAND = (sys.executable, "-m", "gristmill.worker.slot")
"""Starts a slot when the number of its socket is added."""

_TICK_SECONDS = 0.5
_SOONEST_SECONDS = 0.05
"""However often the bell rings, the database is asked no more often than this."""
_HEAR_SECONDS = 0.005
"""Slots that run short tasks have much to say; it is heard together, this often."""
_HARD_STOP_SECONDS = 3.0
_LAST_WORDS_SECONDS = 0.5
_LISTENS_WITHIN_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
"""A slot that dies before it is ready is started again ever more slowly."""


@dataclass(slots=True)
class _Running:
    task_id: str
    lease: int
    hard_limit_seconds: float
    hard_at: float
    kill_at: float | None = None
    """When to kill a task that was asked to stop."""

    @classmethod
    def of(cls, task: Task) -> "_Running":
        """The attempt of ``task`` as its row says."""
        return cls(task_id=task.id, lease=task.lease, hard_limit_seconds=task.hard_limit_seconds, hard_at=0.0)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What to say of the attempt that a dead slot held."""

    outcome: Outcome
    running: _Running | None = None
    """The attempt that is meant; without it, any."""

    def on(self, task: Task) -> Outcome:
        """The outcome of ``task``, which the slot held when it died."""
        running = self.running
        if running is None or (running.task_id, running.lease) == (task.id, task.lease):
            return self.outcome
        # Claimed along with the one that is meant: before it and not written yet, or after it and not begun.
        return Released(reason="its process ended for another task")


@dataclass(slots=True)
class _Slot:
    index: int
    process: subprocess.Popen[bytes]
    channel: Channel
    ready: bool = False
    running: _Running | None = None
    verdict: _Verdict | None = None
    """Why we killed it, if we did."""
    told: set[tuple[str, int]] = field(default_factory=set)
    """Attempts it was told to cancel."""
    usage: psutil.Process | None = None


class Supervisor:
    """One worker process with ``count`` slots, which run the tasks of ``engine``; ``name`` is what others see."""

    def __init__(
        self,
        app: Gristmill,
        *,
        count: int,
        engine: str = LOCAL,
        name: str | None = None,
        slot_command: Sequence[str] = _SLOT_COMMAND,
    ) -> None:
        self._app = app
        self._count = count
        self._engine = engine
        self._name = name or f"{engine}@{socket.gethostname()}:{os.getpid()}"
        self._slot_command = slot_command
        self._worker_id = ""
        self._slots: dict[int, _Slot] = {}
        self._restart_at: dict[int, float] = {}
        self._failed_starts: dict[int, int] = {}
        self._unended: dict[int, _Verdict] = {}
        """Slots that died, with the outcome that what they held still has to be ended with."""
        self._selector = selectors.DefaultSelector()
        self._stopping_since: float | None = None
        self._is_draining = False
        """Whether the slots were told that the worker is to stop."""
        self._next_beat = 0.0
        self._looked_at = self._next_look = float("-inf")

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then drain: running tasks may end, the rest is given back."""
        listener = self._app.bell.listen(new_id())
        wake_out, wake_in = socket.socketpair()
        wake_in.setblocking(False)
        signal.set_wakeup_fd(wake_in.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        self._selector.register(listener, selectors.EVENT_READ, "bell")
        self._selector.register(wake_out, selectors.EVENT_READ, "signal")
        stop_sweeping = threading.Event()
        sweeping = threading.Thread(target=self._sweep, args=(stop_sweeping,), name="sweeper", daemon=True)
        self._register()
        sweeping.start()
        try:
            while not self._finished():
                self._turn(listener, wake_out)
        finally:
            stop_sweeping.set()
            for slot in list(self._slots.values()):
                self._kill(slot, Released(reason="worker shut down"))
            self._app.store.remove_worker(self._worker_id, Released(reason="worker shut down"))
            signal.set_wakeup_fd(-1)
            listener.close()
            sweeping.join(timeout=5)
            _log.info("worker.stopped", worker=self._worker_id)

    def _ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._next_look = float("-inf")
        # Who asks a second time does not want to wait: it is as if the drain were over.
        self._stopping_since = time.monotonic() if self._stopping_since is None else float("-inf")

    def _finished(self) -> bool:
        return self._stopping_since is not None and not self._slots

    def _register(self) -> None:
        self._worker_id = new_id()
        settings = self._app.settings
        self._app.store.register_worker(
            Worker(
                id=self._worker_id,
                name=self._name,
                engine=self._engine,
                queues=settings.workers.queues,
                slots=self._count,
                pid=os.getpid(),
                host=socket.gethostname(),
                version=gristmill.__version__,
            )
        )
        self._next_beat = time.monotonic() + self._beat_seconds
        _log.info("worker.registered", worker=self._worker_id, slots=self._count)

    @property
    def _beat_seconds(self) -> float:
        return min(5.0, self._app.settings.tasks.lease_seconds / 4)

    def _turn(self, listener: Listener, wake_out: socket.socket) -> None:
        if self._stopping_since is None:
            self._start_missing()
        heard = False
        for key, _ in self._selector.select(timeout=max(0.0, self._next_look - time.monotonic())):
            if key.data == "bell":
                listener.clear()
                self._next_look = min(self._next_look, self._looked_at + _SOONEST_SECONDS)
                for slot in self._slots.values():
                    if slot.ready and slot.running is None:
                        slot.channel.send(order="wake")
            elif key.data == "signal":
                wake_out.recv(4096)
            else:
                self._hear(key.data)
                heard = True
        if heard:
            time.sleep(_HEAR_SECONDS)
        if time.monotonic() < self._next_look:
            return
        self._enforce()
        self._drain()
        try:
            self._end_what_died()
            self._beat()
            self._look_for_cancels()
        except GristmillError as error:
            # The database may be back at the next turn; nothing here is lost by waiting for it.
            _log.warning("worker.turn_failed", error=str(error))
        self._looked_at = time.monotonic()
        self._next_look = self._looked_at + _TICK_SECONDS

    def _start_missing(self) -> None:
        now = time.monotonic()
        for index in range(self._count):
            free = index not in self._slots and index not in self._unended
            if free and self._restart_at.get(index, 0.0) <= now:
                self._start(index)

    def _start(self, index: int) -> None:
        ours, theirs = socket.socketpair()
        # One that does not read for so long has stopped; waiting for it would stop the heartbeat as well.
        ours.settimeout(_LISTENS_WITHIN_SECONDS)
        leads_session = os.getsid(0) == os.getpid()
        process = subprocess.Popen(
            [*self._slot_command, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            # A group of its own, to be killed as one; whose session it is in decides what may step back.
            process_group=0 if leads_session else None,
            start_new_session=not leads_session,
        )
        theirs.close()
        slot = _Slot(index=index, process=process, channel=Channel(ours))
        slot.channel.send(
            settings=dump_settings(self._app.settings), worker=self._worker_id, engine=self._engine, slot=index
        )
        self._slots[index] = slot
        self._selector.register(slot.channel, selectors.EVENT_READ, slot)

    def _hear(self, slot: _Slot) -> None:
        for message in slot.channel.receive():
            match message["event"]:
                case "ready":
                    slot.ready = True
                    _log.info("slot.started", slot=slot.index, pid=message["pid"])
                case "started":
                    slot.running = _Running(
                        task_id=message["task"],
                        lease=message["lease"],
                        hard_limit_seconds=message["hard"],
                        hard_at=time.monotonic() + message["hard"],
                    )
                case "idle":
                    slot.running = None
                    slot.told.clear()
        if slot.channel.closed:
            self._bury(slot)

    def _bury(self, slot: _Slot) -> None:
        """The slot's process has gone: make sure of the whole group, end what it held, and let it be replaced."""
        self._selector.unregister(slot.channel)
        slot.channel.close()
        with suppress(subprocess.TimeoutExpired):
            # One that ends by itself tells why by its status; our signal must not overtake that.
            slot.process.wait(timeout=_LAST_WORDS_SECONDS)
        self._signal_group(slot)
        status = slot.process.wait()
        del self._slots[slot.index]
        self._failed_starts[slot.index] = 0 if slot.ready else self._failed_starts.get(slot.index, 0) + 1
        pause = min(_LONGEST_PAUSE_SECONDS, 2.0 ** self._failed_starts[slot.index] - 1)
        self._restart_at[slot.index] = time.monotonic() + pause
        self._unended[slot.index] = slot.verdict or _Verdict(Lost(reason=_status_text(status)), slot.running)
        self._next_look = float("-inf")
        about = {} if slot.running is None else {"task_id": slot.running.task_id}
        _log.info("slot.ended", slot=slot.index, status=_status_text(status), **about)

    def _end_what_died(self) -> None:
        """End what dead slots held. Until that is done, which needs the database, they are not replaced."""
        if not self._unended:
            return
        for task in self._app.store.held(self._worker_id):
            if task.slot in self._unended:
                verdict = self._unended[task.slot]
                self._app.store.finish(task.id, task.lease, verdict.on(task))
                if verdict.running is None and isinstance(verdict.outcome, Lost):
                    # It died before it began any: a death counts against one, and that is the next in turn.
                    self._unended[task.slot] = _Verdict(verdict.outcome, _Running.of(task))
                shutil.rmtree(self._app.paths.temp / f"{task.id}-{task.lease}", ignore_errors=True)
                self._app.bell.ring()
        self._unended.clear()

    def _kill(self, slot: _Slot, verdict: Outcome, running: _Running | None = None) -> None:
        slot.verdict = _Verdict(verdict, running)
        self._signal_group(slot)
        self._bury(slot)

    @staticmethod
    def _signal_group(slot: _Slot) -> None:
        # ProcessLookupError: the group is gone already; PermissionError: what macOS says of a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(slot.process.pid, signal.SIGKILL)

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + self._beat_seconds
        if not self._app.store.heartbeat(self._worker_id):
            # We were thought dead (a long pause, say) and our tasks are others' by now: start over.
            _log.warning("worker.expired", worker=self._worker_id)
            for slot in list(self._slots.values()):
                self._kill(slot, Released(reason="lease lost"))
            self._unended.clear()
            self._register()

    def _look_for_cancels(self) -> None:
        if all(slot.running is None for slot in self._slots.values()):
            return
        for task in self._app.store.held(self._worker_id, cancel_requested=True):
            slot = None if task.slot is None else self._slots.get(task.slot)
            if slot is None:
                continue
            attempt = (task.id, task.lease)
            if attempt not in slot.told:
                slot.told.add(attempt)
                slot.channel.send(order="cancel", task=task.id, lease=task.lease)
            running = slot.running
            if running and running.kill_at is None and (running.task_id, running.lease) == attempt:
                running.kill_at = time.monotonic() + self._app.settings.workers.cancel_grace_seconds

    def _enforce(self) -> None:
        """Kill what did not stop in time or takes too much memory."""
        now = time.monotonic()
        for slot in list(self._slots.values()):
            running = slot.running
            if slot.channel.closed:
                self._kill(slot, Lost(reason="stopped listening"))
            elif running is not None and running.kill_at is not None and now >= running.kill_at:
                self._kill(slot, Cancelled(), running)
            elif running is not None and now >= running.hard_at:
                facts = {"seconds": running.hard_limit_seconds}
                self._kill(slot, Failed(error=TaskError(code="hard_limit_exceeded", facts=facts)), running)
            elif running is not None and self._memory_mb(slot) > self._app.settings.workers.memory_limit_mb:
                self._kill(slot, Failed(error=TaskError(code="memory_exhausted")), running)

    @staticmethod
    def _memory_mb(slot: _Slot) -> float:
        try:
            slot.usage = slot.usage or psutil.Process(slot.process.pid)
            size: int = slot.usage.memory_info().rss
        except psutil.Error:
            return 0.0
        return size / (1024 * 1024)

    def _drain(self) -> None:
        if self._stopping_since is None:
            return
        waited = time.monotonic() - self._stopping_since
        grace = self._app.settings.workers.drain_seconds
        order = "release" if waited > grace else "drain"
        for slot in list(self._slots.values()):
            if waited > grace + _HARD_STOP_SECONDS or not slot.ready:
                self._kill(slot, Released(reason="worker shut down"))
            elif slot.running is None or order == "release" or waited < 2 * _TICK_SECONDS:
                slot.channel.send(order=order)
        if not self._is_draining:
            self._is_draining = True
            _log.info("worker.draining", worker=self._worker_id, slots=len(self._slots))

    def _sweep(self, stop: threading.Event) -> None:
        while True:
            try:
                self._app.sweeper.sweep()
            except Exception:  # noqa: BLE001 - the sweeper is the last line of defence; it must not end with a defect
                _log.exception("sweep.raised")
            # The first look is at once: where all have died, the lease of their tasks runs from then on.
            if stop.wait(self._app.settings.tasks.sweep_seconds):
                return


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
