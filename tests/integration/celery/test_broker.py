"""What goes to Celery's broker, and what its faults are called."""

import base64
import json
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from gristmill.celery.application import Application
from gristmill.engines.celery import CeleryBroker, broker_url, kind_of, task_name
from gristmill.errors import Unavailable
from gristmill.kinds import KINDS
from gristmill.settings.model import RedisSettings
from tests.support.valkey import fresh_broker, own_server
from tests.support.waiting import eventually


@dataclass(frozen=True)
class Ready:
    """A task, as far as an engine knows it."""

    id: str
    kind: str = "index_document"
    queue: str = "documents"
    engine: str = "celery"


def broker_at(url: str) -> CeleryBroker:
    """The broker under test."""
    return CeleryBroker(RedisSettings(url=SecretStr(url)))


def refusal(broker: CeleryBroker) -> tuple[str, object]:
    """The code and the reason that both publishing and asking for a sign of life fail with."""
    with pytest.raises(Unavailable) as published:
        broker.publish([Ready("a")])
    with pytest.raises(Unavailable) as pinged:
        broker.ping()
    assert (published.value.code, published.value.facts) == (pinged.value.code, pinged.value.facts)
    return published.value.code, published.value.facts["reason"]


def test_message_carries_the_id_and_the_name_and_nothing_else_of_the_task() -> None:
    url = fresh_broker()
    broker = broker_at(url)

    broker.publish([Ready("one"), Ready("two", kind="ping", queue="elsewhere")])
    broker.close()

    with redis.Redis.from_url(url) as connection:
        (first,), (second,) = (connection.lrange(queue, 0, -1) for queue in ("documents", "elsewhere"))
    message = json.loads(first)
    assert (message["headers"]["id"], message["headers"]["task"]) == ("one", "index_document_task")
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[], {}]
    assert message["content-type"] == "application/json"
    assert message["properties"]["priority"] == 0
    assert json.loads(second)["headers"]["task"] == "ping_task"


def test_thousand_messages_arrive_in_their_order() -> None:
    url = fresh_broker()

    broker_at(url).publish([Ready(str(number)) for number in range(1000)])

    with redis.Redis.from_url(url) as connection:
        found = [json.loads(entry)["headers"]["id"] for entry in connection.lrange("documents", 0, -1)]
    assert found[::-1] == [str(number) for number in range(1000)]


def test_faults_of_the_server_have_names(tmp_path: Path) -> None:
    with own_server(tmp_path, password="open:sesame/") as server:
        good = broker_at(server.url())
        good.publish([Ready("a")])
        assert refusal(broker_at(f"redis://127.0.0.1:{server.port}/0")) == ("broker_auth_failed", "NOAUTH")
        assert refusal(broker_at(f"redis://:wrong@127.0.0.1:{server.port}/0")) == ("broker_auth_failed", "WRONGPASS")
        server.kill()
        assert refusal(good) == ("broker_unreachable", "ConnectionError")
        server.start()
        # It needs nobody to tell it that the server is back.
        good.publish([Ready("a")])
        with server.client() as client:
            client.config_set("maxmemory", "1mb")
        with pytest.raises(Unavailable) as full:
            good.publish([Ready("a")])
        assert (full.value.code, full.value.facts["reason"]) == ("broker_full", "OOM")


@pytest.mark.timeout(10)
def test_server_that_never_answers_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert refusal(broker_at(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")) == (
            "broker_unreachable",
            "TimeoutError",
        )


@pytest.mark.timeout(20)
def test_worker_says_that_it_lives_only_where_somebody_listens(tmp_path: Path) -> None:
    with own_server(tmp_path / "valkey") as server:
        celery = Application(broker=server.url())
        with celery.connection_for_write() as connection:
            signs = celery.events.Dispatcher(connection, hostname="worker")
            signs.send("worker-online")
            server.stop()
            # As its timer does; it must come back, for a SIGTERM to be heard.
            signs.send("worker-heartbeat", retry=True)
            server.start()
            with server.client() as client, client.pubsub() as listener:  # type: ignore[no-untyped-call]  # As redis has it.
                listener.psubscribe("*celeryev*")
                eventually(lambda: client.pubsub_numpat() == 1)
                signs.flush()
                heard = eventually(lambda: listener.get_message(ignore_subscribe_messages=True, timeout=1))
    assert heard["channel"].endswith(b"worker.heartbeat")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (RedisSettings(), "redis://localhost:6379/0"),
        (RedisSettings(host="mill", port=7, db=3), "redis://mill:7/3"),
        (RedisSettings(host="mill", password=SecretStr("a/b:c@")), "redis://:a%2Fb%3Ac%40@mill:6379/0"),
        (RedisSettings(url=SecretStr("redis://mill/2")), "redis://mill/2"),
        (RedisSettings(url=SecretStr("rediss://mill/2")), "rediss://mill/2?ssl_cert_reqs=required"),
        (RedisSettings(url=SecretStr("rediss://mill?ssl_cert_reqs=none")), "rediss://mill?ssl_cert_reqs=none"),
        (RedisSettings(url=SecretStr("unix:///run/mill?db=2")), "redis+socket:///run/mill?virtual_host=2"),
    ],
)
def test_settings_become_a_url_that_celery_reads(settings: RedisSettings, url: str) -> None:
    assert broker_url(settings) == url


def test_server_behind_a_socket_is_reached(tmp_path: Path) -> None:
    with own_server(tmp_path / "valkey", unixsocket=str(tmp_path / "socket"), unixsocketperm="700") as server:
        broker = broker_at(f"unix://{tmp_path / 'socket'}?db=3")

        broker.publish([Ready("a")])
        broker.ping()

        with server.client(3) as client:
            assert client.llen("documents") == 1


def test_names_lead_back_to_their_kinds() -> None:
    assert {kind_of(task_name(kind)) for kind in KINDS} == set(KINDS)
    assert kind_of("tasks.index_document_task") == "index_document"
    assert kind_of("index_document") == "index_document"
    assert kind_of("celery.backend_cleanup") is None
