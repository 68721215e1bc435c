"""A slot: one process that claims and runs one task at a time, and can be killed without taking others along.

Its supervisor watches from outside; what passes between them is in :mod:`gristmill.worker.channel`.
"""

import ctypes
import os
import queue
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from gristmill.app import Gristmill, open_gristmill
from gristmill.errors import GristmillError
from gristmill.failpoints import failpoint
from gristmill.logs import configure_logs, get_log, log_context
from gristmill.settings import Settings
from gristmill.tasks.context import CancelRequested, ReleaseRequested, RunContext, SoftLimitReached, Stop
from gristmill.tasks.model import Completed, Outcome, Released, Task, Waiting
from gristmill.tasks.runner import Runner
from gristmill.worker.build import build_handlers
from gristmill.worker.channel import Channel
from gristmill.worker.portions import portions
from gristmill.worker.priority import step_back

__all__ = ["Slot", "main"]

_log = get_log(__name__)

_AGED_EVERY = 8
"""Every eighth claim goes to the longest-waiting task, so that urgent work cannot starve the rest."""

_TOGETHER_SECONDS = 0.2
"""Claims and endings of short tasks share transactions for about this long."""
_MOST_TOGETHER = 32
_PATIENCE_SECONDS = 0.1
"""How long what was claimed along with a task waits for it before it is given back."""
_PACE_WEIGHT = 0.2
_BLOATED_SHARE = 0.6
"""Of its memory limit: a process that keeps more after a task is replaced."""

_IDLE_SECONDS = 1.0
"""How long an idle slot trusts the bell before it looks for itself."""

_PR_SET_PDEATHSIG = 1


class Slot:
    """The loop of one slot."""

    def __init__(self, app: Gristmill, channel: Channel, *, worker_id: str, engine: str, index: int) -> None:
        self._app = app
        self._channel = channel
        self._worker_id = worker_id
        self._engine = engine
        self._index = index
        self._wakes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._runner = Runner(app.store, app.kinds, build_handlers(app), app.clock, vault=app.vault)
        self._backlog: deque[Task] = deque()
        """Claimed and not begun; shared with the thread that listens."""
        self._writing = threading.Lock()
        self._is_busy = False
        """Whether the supervisor believes that something runs here."""
        self._attempts: list[tuple[Task, Outcome]] = []
        """Run and not written yet."""
        self._unwritten_since = 0.0
        self._unwanted: set[tuple[str, int]] = set()
        """Attempts to be cancelled before they begin."""
        self._current: Task | None = None
        self._current_since = 0.0
        self._stop: Stop | None = None
        self._armed = False
        self._draining = False
        self._interrupted = False
        self._claims = 0
        self._pace_seconds = _TOGETHER_SECONDS
        """What a task has taken of late, roughly."""

    def run(self) -> None:
        """Claim and run until told to drain, or until this process has done its share."""
        signal.signal(signal.SIGUSR1, self._interrupt)
        signal.signal(signal.SIGALRM, self._alarm)
        threading.Thread(target=self._listen, name="channel", daemon=True).start()
        # Only this thread steps back, and those it starts from now on: not what listens, nor what writes.
        self._app.database.transact_apart()
        step_back(self._app.settings.workers.nice)
        self._channel.send(event="ready", pid=os.getpid())
        share = self._app.settings.workers.max_tasks_per_slot
        done = 0
        # An interrupt may have struck anywhere in a library; a fresh process is worth more than a guess at its state.
        while not self._draining and done < share and not self._interrupted:
            task = self._next()
            if task is None:
                self._wait()
                continue
            self._run_one(task)
            done += 1
        self._write()
        self._give_back("its process ended before it began")

    def _next(self) -> Task | None:
        """The next task to run; what was run before is written first, unless more of the same is at hand."""
        now = time.monotonic()
        if not self._backlog or now - self._unwritten_since >= _TOGETHER_SECONDS:
            self._write()
        with suppress(IndexError):
            return self._backlog.popleft()
        if self._is_busy:
            self._is_busy = False
            self._unwanted.clear()
            self._channel.send(event="idle")
        try:
            self._backlog.extend(self._claim())
            if self._backlog:
                failpoint("after_claim")
        except GristmillError as error:
            _log.warning("slot.claim_failed", error=str(error))
        with suppress(IndexError):
            return self._backlog.popleft()
        return None

    def _write(self) -> None:
        with self._writing:
            attempts, self._attempts = self._attempts, []
            for portion in portions(attempts):
                failpoint("before_finish")
                self._runner.finish(portion)
                failpoint("after_finish")
                spawned = [
                    child
                    for _, outcome in portion
                    if isinstance(outcome, Completed | Waiting)
                    for child in outcome.spawn
                ]
                if spawned:
                    # Children are work that nobody else has heard of.
                    self._app.engine.dispatch(spawned)

    def _give_back(self, reason: str) -> None:
        """Release what was claimed and has not begun, for others to take."""
        waiting: list[tuple[Task, Outcome]] = []
        with suppress(IndexError):
            while True:
                waiting.append((self._backlog.popleft(), Released(reason=reason)))
        if waiting:
            self._runner.finish(waiting)
            self._app.bell.ring()

    def _claim(self) -> list[Task]:
        self._claims += 1
        settings = self._app.settings
        looks: list[int | None] = [None]
        if self._claims % _AGED_EVERY == 0:
            looks.insert(0, self._app.clock.now() - int(settings.tasks.aging_seconds * 1_000_000))
        for ready_before in looks:
            claimed = self._app.store.claim(
                self._worker_id,
                queues=settings.workers.queues,
                kinds=self._runner.kinds,
                engines=self._app.engines.claimed_by(self._engine),
                slot=self._index,
                # Tasks shorter than a transaction are taken together; a longer one is taken alone, so that none waits
                # behind it that another slot could run.
                limit=max(1, min(_MOST_TOGETHER, int(_TOGETHER_SECONDS / max(self._pace_seconds, 1e-6)))),
                ready_before=ready_before,
            )
            if claimed:
                return claimed
        return []

    def _wait(self) -> None:
        try:
            self._wakes.get(timeout=_IDLE_SECONDS)
            while True:
                self._wakes.get_nowait()
        except queue.Empty:
            pass

    def _run_one(self, task: Task) -> None:
        temp_dir = self._app.paths.temp / f"{task.id}-{task.lease}"
        self._stop, self._current, self._current_since = None, task, time.monotonic()
        if (task.id, task.lease) in self._unwanted:
            self._stop = CancelRequested()
        self._is_busy = True
        self._channel.send(event="started", task=task.id, lease=task.lease, hard=task.hard_limit_seconds)
        context = RunContext(
            task,
            self._app.store,
            self._app.clock,
            temp_dir=temp_dir,
            upcoming=tuple(self._backlog),
            requested_stop=lambda: self._stop,
        )
        try:
            with log_context(task_id=task.id):
                outcome = self._runner.attempt(task, context, guard=self._guarded)
        finally:
            self._current = None
            if context.has_temp_dir:
                shutil.rmtree(temp_dir, ignore_errors=True)
        took = time.monotonic() - self._current_since
        self._pace_seconds += (took - self._pace_seconds) * _PACE_WEIGHT
        with self._writing:
            if not self._attempts:
                self._unwritten_since = time.monotonic()
            self._attempts.append((task, outcome))
        if took > _PATIENCE_SECONDS and self._is_bloated():
            # What one task left behind shall not count against the next.
            self._interrupted = True

    def _is_bloated(self) -> bool:
        used_mb = psutil.Process().memory_info().rss / (1024 * 1024)
        return used_mb > self._app.settings.workers.memory_limit_mb * _BLOATED_SHARE

    def _guarded(self, attempt: Callable[[], Outcome]) -> Outcome:
        assert self._current is not None
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, self._current.soft_limit_seconds)
        try:
            # A stop that came before we were armed interrupted nothing.
            self._raise()
            return attempt()
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _alarm(self, _signal: int, _frame: FrameType | None) -> None:
        self._stop = self._stop or SoftLimitReached()
        self._raise()

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        self._raise()

    def _raise(self) -> None:
        if self._armed and self._stop is not None:
            self._armed = False
            self._interrupted = True
            raise self._stop

    def _listen(self) -> None:
        try:
            while not self._channel.closed:
                if self._channel.has_message(timeout_seconds=_PATIENCE_SECONDS):
                    for message in self._channel.receive():
                        self._obey(message)
                if self._current is not None and time.monotonic() - self._current_since > _PATIENCE_SECONDS:
                    # Taken together because those before were short; this one is not, and nothing shall wait for it.
                    self._pace_seconds = _TOGETHER_SECONDS
                    self._write()
                    self._give_back("the task before it takes long")
        except Exception:  # noqa: BLE001 - a slot that hears nothing any more cannot be stopped: better that it ends
            _log.exception("slot.deaf")
            os._exit(1)
        # The supervisor is gone, and with it the right to go on: another worker will have this task.
        os.killpg(os.getpgid(0), signal.SIGKILL)

    def _obey(self, message: dict[str, Any]) -> None:
        current = self._current
        match message["order"]:
            case "wake":
                self._wakes.put("wake")
                return
            case "drain":
                self._draining = True
                self._wakes.put("drain")
                return
            case "release":
                self._draining = True
                stop: Stop = ReleaseRequested()
            case "cancel":
                unwanted = (message["task"], message["lease"])
                if current is None or (current.id, current.lease) != unwanted:
                    self._unwanted.add(unwanted)
                    return
                stop = CancelRequested()
            case order:
                raise ValueError(order)
        self._stop = self._stop or stop
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def main() -> NoReturn:
    """Entry point: ``python -m gristmill.worker.slot FD``; the first message on the socket is the configuration."""
    _die_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start: dict[str, Any] = {}
    while not start and not channel.closed:
        start = next(iter(channel.receive()), {})
    if not start:
        sys.exit(0)
    settings = Settings.model_validate(start["settings"])
    configure_logs(settings.log.level, settings.log.format)
    app = open_gristmill(settings)
    slot = Slot(app, channel, worker_id=start["worker"], engine=start["engine"], index=start["slot"])
    _bound_memory(settings.workers.memory_limit_mb)
    slot.run()
    app.close()
    channel.close()
    sys.stdout.flush()
    # Daemon threads of libraries may hold up a normal exit; everything of ours is closed.
    os._exit(0)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        # A parent that died before this line is noticed by the end of its stream. Its number says nothing: in a
        # container, the living parent may well be process 1.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound_memory(limit_mb: int) -> None:
    # The supervisor measures real memory; this catches the allocation that would outrun its next look. Libraries
    # reserve address space that they never touch, so what is mapped by now does not count.
    if sys.platform == "linux":
        mapped_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = mapped_pages * resource.getpagesize() + 2 * limit_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
