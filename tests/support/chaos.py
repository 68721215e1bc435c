"""An adversary with a seed: kills, stops and starts whatever runs on a data directory, and holds the database's lock.

Where the database has a server of its own, that is no safer than the rest.
"""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

import psutil

from gristmill.db.database import Database
from tests.integration.worker.conftest import Mill
from tests.support.api import ApiProcess, api_process
from tests.support.postgres import OwnServer
from tests.support.valkey import Server as Broker

__all__ = ["Chaos"]

WORKERS = 2
SLOTS = 2
NICENESS = 10
"""So that what runs beside a long storm has its share of the machine."""
PLACES = (
    "",
    "",
    "after_claim:kill@9",
    "before_finish:kill@9",
    "after_finish:kill@9",
    "before_finish:raise@20",
    "after_claim:exit@15",
    "mid_sweep:kill@40",
)
API_PLACES = ("", "", "before_accept:kill@15", "after_accept:kill@10", "after_dispatch:kill@20")


class Chaos:
    """Everything that can happen to processes, at random."""

    def __init__(
        self, mill: Mill, source: random.Random, server: OwnServer | None = None, broker: Broker | None = None
    ) -> None:
        self.mill = mill
        self.server = server
        self.broker = broker
        self.source = source
        self.deeds: Counter[str] = Counter()
        self._later: list[threading.Timer] = []
        self._api: ApiProcess | None = None
        self._apis = ExitStack()

    def address(self) -> str:
        """Where the API is, or was."""
        return self._api.url if self._api is not None else "http://127.0.0.1:1"

    def start(self) -> None:
        """Bring up an API and the workers."""
        self.replenish_api()
        while self._running() < WORKERS:
            self.replenish()

    def go_on(self) -> None:
        """One deed, and a moment for it to tell."""
        deeds: dict[Callable[[], None], int] = {
            self.kill_one: 4,
            self.kill_slot: 4,
            self.kill_group: 2,
            self.kill_everyone: 1,
            self.pause_one: 3,
            self.pause_group: 1,
            self.terminate_one: 2,
            self.hold_the_lock: 2,
            self.kill_api: 1,
            self.pause_api: 1,
            self.wait: 14,
        }
        if self.server is not None:
            deeds |= {self.restart_the_server: 1, self.end_connections: 3}
        if self.broker is not None:
            deeds |= {self.flush_the_broker: 3, self.restart_the_broker: 2, self.repeat_messages: 2}
        deed = self.source.choices([*deeds], [*deeds.values()])[0]
        deed()
        self.deeds[deed.__name__] += 1
        if self.source.random() < 0.3:
            self.replenish()
            self.replenish_api()
        time.sleep(self.source.uniform(0.01, 0.3))

    def end(self) -> None:
        """Let everybody go on, and give what is left to a worker that nothing happens to."""
        for later in self._later:
            later.join()
        self.mill.start(concurrency=SLOTS)

    def close(self) -> None:
        """Take the API down."""
        for later in self._later:
            later.join()
        self._apis.close()

    def wait(self) -> None:
        """Let some work get done."""
        time.sleep(self.source.uniform(0.05, 0.4))

    def _trees(self) -> list[list[psutil.Process]]:
        return [tree for worker in self.mill.workers if worker.poll() is None and (tree := self.mill.tree(worker))]

    def _running(self) -> int:
        return sum(worker.poll() is None for worker in self.mill.workers)

    def kill_one(self) -> None:
        """A supervisor, a slot or a process that a task has started, whichever comes."""
        if trees := self._trees():
            _send(self.source.sample([process for tree in trees for process in tree], 1), signal.SIGKILL)

    def kill_slot(self) -> None:
        """A slot, whose supervisor lives."""
        if slots := [slot for tree in self._trees() for slot in tree[1:]]:
            _send(self.source.sample(slots, 1), signal.SIGKILL)

    def kill_group(self) -> None:
        """A supervisor with all it has started."""
        if trees := self._trees():
            _send(self.source.choice(trees), signal.SIGKILL)

    def kill_everyone(self) -> None:
        """As a power cut does, but for the disk."""
        _send([process for tree in self._trees() for process in tree], signal.SIGKILL)

    def pause_one(self) -> None:
        """For less than a lease, or for more."""
        if trees := self._trees():
            self._pause(self.source.sample([process for tree in trees for process in tree], 1), 3.0)

    def pause_group(self) -> None:
        """A zombie worker: all of it stands still, and wakes when others have its tasks."""
        if trees := self._trees():
            self._pause(self.source.choice(trees), 4.0)

    def _pause(self, processes: Sequence[psutil.Process], longest: float) -> None:
        _send(processes, signal.SIGSTOP)
        # From a thread: one of them may hold the database's only write lock, which everybody else waits for.
        self._after(self.source.uniform(0.1, longest), lambda: _send(processes, signal.SIGCONT))

    def _after(self, seconds: float, deed: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, deed)
        self._later.append(timer)
        timer.start()

    def terminate_one(self) -> None:
        """Tell a worker to stop."""
        running = [worker for worker in self.mill.workers if worker.poll() is None]
        if running:
            self.source.choice(running).send_signal(signal.SIGTERM)

    def hold_the_lock(self) -> None:
        """Write, and take one's time."""
        database = Database(self.mill.app.database.url)
        with database.write() as transaction:
            if self.server is not None:
                transaction.exec_driver_sql("LOCK TABLE tasks IN EXCLUSIVE MODE")
            time.sleep(self.source.uniform(0.1, 2.0))
        database.close()

    def restart_the_server(self) -> None:
        """The database's, politely, rudely or without a word."""
        assert self.server is not None
        number = self.source.choice([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
        self.server.restart(number, away_seconds=self.source.uniform(0.0, 1.5))

    def end_connections(self) -> None:
        """All that anybody has to the database."""
        assert self.server is not None
        self.server.end_connections()

    def flush_the_broker(self) -> None:
        """Every message is lost."""
        assert self.broker is not None
        with self.broker.client() as client:
            client.flushall()

    def restart_the_broker(self) -> None:
        """It dies, and comes back empty."""
        assert self.broker is not None
        self.broker.kill()
        time.sleep(self.source.uniform(0.0, 1.5))
        self.broker.start()

    def repeat_messages(self) -> None:
        """Every message that waits is delivered once more."""
        assert self.broker is not None
        with self.broker.client() as client:
            for queue in self.mill.app.settings.workers.queues:
                for key in (queue, f"rq:queue:{queue}"):
                    for message in client.lrange(key, 0, -1):
                        client.rpush(key, message)

    def kill_api(self) -> None:
        """The API, whatever it is doing."""
        if self._api is not None:
            self._api.process.kill()

    def pause_api(self) -> None:
        """The API, for a while."""
        if self._api is not None and self._api.process.poll() is None:
            self._pause([psutil.Process(self._api.process.pid)], 2.0)

    def replenish(self) -> None:
        """A worker in the place of one that has gone."""
        if self._running() < WORKERS:
            worker = self.mill.start(concurrency=SLOTS, failpoint=self.source.choice(PLACES))
            with suppress(psutil.NoSuchProcess):
                psutil.Process(worker.pid).nice(NICENESS)

    def replenish_api(self) -> None:
        """An API in the place of one that has gone."""
        if self._api is None or self._api.process.poll() is not None:
            self._api = self._apis.enter_context(
                api_process(
                    self.mill.app.settings.data,
                    module="tests.support.server",
                    failpoint=self.source.choice(API_PLACES),
                    GRISTMILL_DATABASE__BUSY_TIMEOUT_SECONDS="1",
                    **self.mill.environment,
                )
            )


def _send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
