"""Where the messages go: what a broker that is away, closed, full or dumb is to whoever publishes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from gristmill.engines.rq import RqBroker
from gristmill.errors import Unavailable
from gristmill.settings.model import RedisSettings
from tests.support.tasks import new_task
from tests.support.valkey import fresh_broker, own_server


def broker_at(url: str) -> RqBroker:
    return RqBroker(RedisSettings(url=SecretStr(url)))


def refused(broker: RqBroker) -> Unavailable:
    """Publishing and asking fail for the same reason."""
    with pytest.raises(Unavailable) as published:
        broker.publish([new_task()])
    with pytest.raises(Unavailable) as asked:
        broker.ping()
    assert asked.value.code in (published.value.code, "broker_unreachable")
    return published.value


def fill(broker: RqBroker) -> None:
    """Publish more than there is room for."""
    for _ in range(200):
        broker.publish([new_task() for _ in range(500)])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_jobs_of_all_queues_are_published_together_and_in_order() -> None:
    url = fresh_broker()
    broker = broker_at(url)
    tasks = [new_task(queue=queue) for queue in ("default", "documents") for _ in range(700)]

    broker.publish(tasks)
    broker.close()

    with Redis.from_url(url) as redis:
        for name in ("default", "documents"):
            queue = Queue(name, connection=redis, serializer=JSONSerializer)
            assert queue.get_job_ids() == [task.id for task in tasks if task.queue == name]
            assert queue.fetch_job(queue.get_job_ids()[0]).func_name == "gristmill.rq.ping"  # type: ignore[union-attr]


def test_publishing_again_writes_another_hint_for_the_same_job() -> None:
    url = fresh_broker()
    broker = broker_at(url)
    task = new_task()

    for _ in range(5):
        broker.publish([task, task])
    broker.close()

    with Redis.from_url(url) as redis:
        assert Queue("default", connection=redis).get_job_ids() == [task.id] * 5
        assert len(list(redis.scan_iter("rq:job:*"))) == 1


def test_task_whose_id_rq_would_refuse_holds_up_no_other() -> None:
    url = fresh_broker()
    broker = broker_at(url)
    good = new_task()

    broker.publish([new_task(id="a:b/c"), good])
    broker.close()

    with Redis.from_url(url) as redis:
        assert Queue("default", connection=redis).get_job_ids() == [good.id]


def test_broker_that_wants_a_password_says_so(tmp_path: Path) -> None:
    with own_server(tmp_path, password="secret") as server:
        fault = refused(broker_at(f"redis://127.0.0.1:{server.port}/0"))
        wrong = refused(broker_at(f"redis://:wrong@127.0.0.1:{server.port}/0"))
        right = broker_at(server.url())
        right.ping()
        right.close()

    assert (fault.code, fault.facts["reason"]) == ("broker_auth_failed", "NOAUTH")
    assert (wrong.code, wrong.facts["reason"]) == ("broker_auth_failed", "WRONGPASS")
    assert "secret" not in str(fault) + str(wrong)


def test_full_broker_says_so(tmp_path: Path) -> None:
    with own_server(tmp_path, maxmemory="2mb") as server:
        broker = broker_at(server.url())
        with pytest.raises(Unavailable) as full:
            fill(broker)
        broker.ping()
        broker.close()

    assert full.value.code == "broker_full"


def test_broker_that_is_not_there_says_so(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()

    assert refused(broker_at(f"redis://127.0.0.1:{port}/0")).code == "broker_unreachable"


def test_broker_that_never_answers_keeps_nobody_waiting(listener: socket.socket) -> None:
    port = listener.getsockname()[1]

    assert refused(broker_at(f"redis://127.0.0.1:{port}/0")).code == "broker_unreachable"


def test_broker_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with own_server(tmp_path) as server:
        broker = broker_at(server.url())
        broker.ping()
        server.kill()
        assert refused(broker).code == "broker_unreachable"

        server.start()

        broker.publish([new_task()])
        broker.close()
