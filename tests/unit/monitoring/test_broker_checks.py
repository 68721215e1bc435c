"""The doctor on the way between those who submit and those who work: real brokers that are wrong in real ways."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from gristmill.db.queues import QueueDepth
from gristmill.engines.broker_facts import address_of, look_at_broker
from gristmill.monitoring.broker_checks import check_broker, check_versions, check_waiting
from gristmill.monitoring.doctor import Finding
from gristmill.settings.model import RedisSettings
from tests.support.tasks import new_worker
from tests.support.valkey import Server, own_server


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Server]:
    with own_server(tmp_path, password="open sesame") as server:
        yield server


def examine(url: str) -> Finding:
    settings = RedisSettings(url=SecretStr(url))
    return check_broker(lambda: look_at_broker(settings), host=address_of(settings))


def test_broker_that_works_tells_its_version(locked: Server) -> None:
    finding = examine(locked.url())

    assert (finding.ok, finding.code) == (True, "doctor_broker_works")
    assert f"127.0.0.1:{locked.port} answers" in finding.detail()
    assert "sesame" not in finding.detail()


@pytest.mark.parametrize(("secret", "word"), [("", "NOAUTH"), (":wrong@", "WRONGPASS")])
def test_broker_that_wants_a_password_is_named_as_such(locked: Server, secret: str, word: str) -> None:
    finding = examine(f"redis://{secret}127.0.0.1:{locked.port}/0")

    assert (finding.ok, finding.code, finding.unreachable) == (False, "doctor_broker_auth", True)
    assert word in finding.detail()
    assert "GRISTMILL_REDIS__PASSWORD" in (finding.remedy() or "")
    assert "密码" in (finding.remedy("zh") or "")


def test_broker_that_is_not_there_is_silent(locked: Server) -> None:
    locked.kill()

    finding = examine(locked.url())

    assert (finding.ok, finding.code, finding.unreachable) == (False, "doctor_broker_silent", True)
    assert "REDIS_HOST" in (finding.remedy() or "")


def test_broker_that_throws_keys_away_is_told_of(locked: Server) -> None:
    with locked.client() as client:
        client.config_set("maxmemory", "64mb")
        client.config_set("maxmemory-policy", "allkeys-lru")

    finding = examine(locked.url())

    assert (finding.ok, finding.code, finding.unreachable) == (False, "doctor_broker_evicts", False)
    assert "allkeys-lru" in finding.detail()
    assert "noeviction" in (finding.remedy() or "")


def test_broker_that_is_full_is_told_of(locked: Server) -> None:
    with locked.client() as client:
        client.config_set("maxmemory", "1")

    assert examine(locked.url()).code == "doctor_broker_full"


def test_engine_without_a_worker_is_told_of_when_something_waits_for_it() -> None:
    depths = [QueueDepth(queue="default", engine="rq", ready=3), QueueDepth(queue="default", engine="celery", active=1)]

    (finding,) = check_waiting(depths, [new_worker(engine="local")])

    assert (finding.ok, finding.code) == (False, "doctor_engine_deaf")
    assert "3 tasks" in finding.detail()
    assert "gristmill worker --engine rq" in (finding.remedy() or "")


def test_queue_that_no_worker_of_its_engine_listens_to_is_told_of() -> None:
    depths = [QueueDepth(queue="images", engine="rq", ready=2), QueueDepth(queue="default", engine="rq", ready=1)]
    workers = [new_worker(engine="rq"), new_worker("other", engine="local", queues=("images",))]

    (finding,) = check_waiting(depths, workers)

    assert (finding.ok, finding.code) == (False, "doctor_queue_stranded")
    assert "--engine rq --queues images" in (finding.remedy() or "")


def test_tasks_of_the_spare_engine_wait_for_any_worker() -> None:
    depths = [QueueDepth(queue="default", engine="local", ready=1)]

    (finding,) = check_waiting(depths, [new_worker(engine="celery")], spare="local")

    assert (finding.ok, finding.code) == (True, "doctor_engines_heard")


def test_worker_of_another_version_is_named() -> None:
    workers = [new_worker(version="2.0"), new_worker("old", version="1.9"), new_worker("older")]

    finding = check_versions(workers, ours="2.0")

    assert not finding.ok
    assert "local@old (1.9), local@older (?)" in finding.detail()
    assert check_versions(workers[:1], ours="2.0").ok
