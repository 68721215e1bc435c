"""The database server is restarted, killed and drops every connection under load: everything goes on by itself."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import psycopg
import pytest
import requests

from gristmill.tasks.model import TaskFilter, TaskState
from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.postgres import OwnServer, own_server
from tests.support.service import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.parametrize("make_of_database", ["postgres"], indirect=True)

ROUNDS = 8
BACKLOG = 20


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def mill(server: OwnServer, make_mill: Callable[..., Mill]) -> Mill:
    return make_mill(database={"url": server.url()}, tasks={"lease_seconds": 5.0})


class Client(threading.Thread):
    """Hands in one task after the other and takes no refusal for an answer."""

    def __init__(self, mill: Mill, url: str, name: str) -> None:
        super().__init__(name=name)
        self.mill = mill
        self.url = url
        self.accepted: dict[str, str] = {}
        self.refusals: set[tuple[int, str]] = set()
        self.enough = threading.Event()

    def run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self.enough.is_set():
                self.submit(session, f"{self.name}-{len(self.accepted)}")
                self.enough.wait(0.01)

    def submit(self, session: requests.Session, key: str) -> None:
        """The same request under the same key, until it is accepted: the first may have been, unheard."""
        while True:
            answer = session.post(
                f"{self.url}/api/tasks",
                json={"kind": "ping", "payload": {"note": key}},
                headers={"Idempotency-Key": key},
                timeout=30,
            )
            if answer.status_code == 202:
                self.accepted[key] = answer.json()["data"]["id"]
                return
            self.refusals.add((answer.status_code, answer.json()["code"]))
            self.enough.wait(0.02)


def drop_connections(server: OwnServer) -> None:
    server.end_connections()


def restart(number: signal.Signals) -> Callable[[OwnServer], None]:
    return lambda server: server.restart(number, away_seconds=0.3)


BLOWS = {
    "restarted": restart(signal.SIGINT),
    "dropped": restart(signal.SIGQUIT),
    "killed": restart(signal.SIGKILL),
    "cut off": drop_connections,
}


def has_more_effects_than(mill: Mill, count: int) -> bool:
    return len(effects_in(mill.app.database)) > count


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("blow", BLOWS)
def test_nothing_is_lost_or_done_twice_when_the_server_is(mill: Mill, server: OwnServer, blow: str) -> None:
    prepare_effects(mill.app.database)
    workers = [mill.start(concurrency=2), mill.start(concurrency=2)]
    counted: list[str] = []
    with serving(mill.app.settings.data, mill.database) as service:
        clients = [Client(mill, service.url, f"client {number}") for number in range(2)]
        for client in clients:
            client.start()
        try:
            for _ in range(ROUNDS):
                counted += [mill.submit("counted").id for _ in range(BACKLOG)]
                # In the middle of work, each time.
                eventually(partial(has_more_effects_than, mill, len(effects_in(mill.app.database))), 30)
                BLOWS[blow](server)
        finally:
            for client in clients:
                client.enough.set()
            for client in clients:
                client.join()
        # Back by itself, in the same process.
        assert service.get("/health/ready").status_code == 200

    accepted = [task_id for client in clients for task_id in client.accepted.values()]
    eventually(lambda: set(mill.app.store.counts(TaskFilter())) == {TaskState.COMPLETED}, 60)
    assert accepted
    assert what_broke(mill.app.store, accepted) == []
    assert what_broke(mill.app.store, counted, effects=effects_in(mill.app.database)) == []
    # Accepted once, whatever became of the first answer.
    assert sum(mill.app.store.counts(TaskFilter()).values()) == len(accepted) + len(counted)
    assert {code for client in clients for code in client.refusals} <= {(503, "database_unreachable")}
    assert [worker.poll() for worker in workers] == [None, None]
    assert {task.crash_count for task in mill.app.store.get_many(counted)} == {0}


def test_service_says_that_the_server_is_away_and_resumes_when_it_is_back(mill: Mill, server: OwnServer) -> None:
    mill.start()
    with serving(mill.app.settings.data, mill.database) as service:
        before = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "before"}})
        server.stop()
        refused = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "during"}})
        listed, ready, alive = (service.get(path) for path in ("/api/tasks", "/health/ready", "/health/live"))
        server.start()
        after = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "after"}})

        assert (refused.status_code, refused.json()["code"]) == (503, "database_unreachable")
        assert refused.headers["Retry-After"] == "5"
        assert str(server.url()) not in refused.text
        assert (listed.status_code, ready.status_code, alive.status_code) == (503, 503, 200)
        ids = [service.data(answer)["id"] for answer in (before, after)]
        assert [service.ended(task_id)["state"] for task_id in ids] == ["completed", "completed"]
        # Refused means refused: nothing of it is there.
        assert len(service.data(service.get("/api/tasks"))["tasks"]) == len(ids)
        eventually(lambda: service.get("/health/ready").ok)


def test_task_that_is_done_waits_for_the_server_to_say_so(mill: Mill, server: OwnServer) -> None:
    worker = mill.start()
    task = mill.submit("patient")
    mill.started(task)
    server.stop(signal.SIGQUIT)
    mill.let_go(task)
    eventually(lambda: "worker.turn_failed" in mill.logs(), 20)
    server.start()

    ended = mill.ended(task)

    assert (ended.state, ended.attempt, ended.crash_count) == (TaskState.COMPLETED, 1, 0)
    assert mill.history(task) == ["submitted", "claimed", "completed"]
    assert worker.poll() is None


def test_worker_outlives_a_server_that_is_away_for_longer_than_a_lease(
    server: OwnServer, make_mill: Callable[..., Mill]
) -> None:
    mill = make_mill(database={"url": server.url()}, tasks={"lease_seconds": 1.0})
    workers = [mill.start(), mill.start()]
    tasks = [mill.submit("patient") for _ in workers]
    for task in tasks:
        mill.started(task)

    server.restart(away_seconds=3.0)
    for task in tasks:
        mill.let_go(task)

    assert [mill.ended(task).crash_count for task in tasks] == [0, 0]
    assert [mill.history(task) for task in tasks] == [["submitted", "claimed", "completed"]] * 2
    assert [worker.poll() for worker in workers] == [None, None]


def test_server_whose_disk_is_full_refuses_and_resumes(mill: Mill, server: OwnServer) -> None:
    with serving(mill.app.settings.data, mill.database) as service:
        service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "before"}})
        with psycopg.connect(server.url(), autocommit=True) as connection:
            # What the server says when a file cannot grow, at the moment when a row is written.
            connection.execute(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
            )
            connection.execute("CREATE TRIGGER full_disk BEFORE INSERT ON tasks EXECUTE FUNCTION full_disk()")
            refused = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "during"}})
            listed = service.get("/api/tasks")
            connection.execute("DROP TRIGGER full_disk ON tasks")
        after = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "after"}})

        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
        assert listed.ok
        assert after.status_code == 202


def test_row_that_somebody_holds_is_busy_and_the_rest_goes_on(mill: Mill, server: OwnServer) -> None:
    overrides = {"database": {**mill.database["database"], "busy_timeout_seconds": 0.3}}
    with serving(mill.app.settings.data, overrides) as service:
        held = service.data(service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "held"}}))
        with psycopg.connect(server.url()) as connection:
            connection.execute("SELECT 1 FROM tasks WHERE id = %s FOR UPDATE", (held["id"],))
            refused = service.post(f"/api/tasks/{held['id']}/cancel")
            other = service.post("/api/tasks", json={"kind": "ping", "payload": {"note": "other"}})
        cancelled = service.post(f"/api/tasks/{held['id']}/cancel")

        assert (refused.status_code, refused.json()["code"]) == (503, "database_busy")
        assert other.status_code == 202
        assert service.data(cancelled)["state"] == "cancelled"


def test_service_without_a_free_connection_says_so(mill: Mill, server: OwnServer) -> None:
    with serving(mill.app.settings.data, mill.database) as service:
        service.app.database.close()
        others: list[psycopg.Connection[tuple[object, ...]]] = []
        with suppress(psycopg.OperationalError):
            while True:
                others.append(psycopg.connect(server.url()))
        refused = service.get("/api/tasks")
        for other in others:
            other.close()

        assert (refused.status_code, refused.json()["code"]) == (503, "database_crowded")
        eventually(lambda: service.get("/api/tasks").ok)
