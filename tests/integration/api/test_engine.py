"""The engine is looked at and changed while the service runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.app import open_gristmill
from gristmill.errors import InvalidInput
from gristmill.settings import load_settings
from gristmill.tasks.model import Completed, Failed, TaskFilter
from tests.support.service import Service, serving
from tests.support.tasks import ERROR, new_worker
from tests.support.valkey import Server, own_server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with own_server(tmp_path / "valkey") as server:
        yield server


@pytest.fixture
def api(tmp_path: Path, broker: Server) -> Iterator[Service]:
    """An API that has a broker and gives every task to RQ; no worker."""
    with serving(tmp_path / "data", {"redis": {"url": broker.url()}, "engine": {"name": "rq"}}) as service:
        yield service


def engines_of(api: Service) -> set[str | None]:
    return {task.engine for task in api.app.tasks.find(TaskFilter(), limit=1000)}


def submit(api: Service, count: int = 1) -> list[str]:
    return [api.data(api.post("/api/tasks", json={"kind": "ping", "payload": {}}))["id"] for _ in range(count)]


def test_engine_says_who_gets_what_and_how_each_does(api: Service) -> None:
    submit(api, 2)

    engine = api.data(api.get("/api/engine"))

    assert (engine["name"], engine["ratio"], engine["changed"], engine["canary"]) == ("rq", 0.0, False, None)
    assert {name: member["share"] for name, member in engine["engines"].items()} == {"local": 0, "celery": 0, "rq": 1}
    assert engine["engines"]["rq"] == {"share": 1.0, "ok": True, "reason": None, "waiting": 2, "running": 0}


def test_ratio_shares_new_tasks_and_rolling_back_takes_the_waiting_ones_along(api: Service) -> None:
    ratio = api.data(api.put("/api/engine", json={"ratio": 0.5}))
    submit(api, 40)
    mixed = engines_of(api)

    back = api.data(api.put("/api/engine", json={"ratio": 0}))

    assert (ratio["ratio"], ratio["changed"]) == (0.5, True)
    assert mixed == {"celery", "rq"}
    assert (back["name"], back["changed"]) == ("rq", False)
    assert engines_of(api) == {"rq"}
    assert back["engines"]["rq"]["waiting"] == 40


def test_use_gives_everything_to_one_engine_for_all_processes(api: Service) -> None:
    submit(api, 3)

    api.data(api.put("/api/engine", json={"name": "local"}))
    submit(api)

    assert engines_of(api) == {"local"}
    assert set(api.app.engines.policy(fresh=True).shares) == {"local"}


def test_submitting_does_not_wait_for_a_broker_that_went_away(api: Service, broker: Server) -> None:
    submit(api)
    broker.kill()

    accepted = submit(api, 5)

    assert len(accepted) == 5
    seen = api.data(api.get("/api/engine"))["engines"]["rq"]
    assert (seen["ok"], seen["reason"]) == (False, "broker_unreachable")
    assert api.data(api.get(f"/api/tasks/{submit(api)[0]}"))["engine"] == "local"


def test_canary_rolls_back_when_the_new_engine_fails_more(api: Service) -> None:
    api.data(api.put("/api/engine", json={"canary": {"engine": "celery", "steps": [0.5, 1], "least_tasks": 5}}))
    submit(api, 60)
    store = api.app.store
    store.register_worker(new_worker("w"))
    for engine, outcome in (("rq", Completed()), ("celery", Failed(error=ERROR))):
        for task in store.claim("w", queues=["default"], kinds=["ping"], engines=[engine], limit=10):
            store.finish(task.id, task.lease, outcome)

    api.app.sweeper.sweep()

    engine = api.data(api.get("/api/engine"))
    assert engine["canary"]["ended"] == "errors"
    assert {name for name, member in engine["engines"].items() if member["share"]} == {"rq"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "engine_change_not_one"),
        ({"name": "rq", "ratio": 0.5}, 422, "engine_change_not_one"),
        ({"name": "kafka"}, 422, None),
        ({"ratio": 1.5}, 422, None),
        ({"canary": {"engine": "rq"}}, 422, "canary_needs_two"),
        ({"canary": {"engine": "celery", "steps": [0.5, 0.2]}}, 422, "canary_steps"),
    ],
)
def test_change_that_makes_no_sense_changes_nothing(
    api: Service, body: dict[str, object], status: int, code: str | None
) -> None:
    answer = api.put("/api/engine", json=body)

    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
    assert api.data(api.get("/api/engine"))["changed"] is False


def test_engine_that_is_not_set_up_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {}) as api:
        answer = api.put("/api/engine", json={"name": "celery"})

        assert answer.json()["code"] == "engine_needs_redis"
        assert "GRISTMILL_REDIS__URL" in answer.json()["message"]


def test_setting_that_changes_outweighs_what_was_changed_at_run_time_before(api: Service, broker: Server) -> None:
    api.data(api.put("/api/engine", json={"name": "celery"}))
    data = api.app.settings.data

    with serving(data, {"redis": {"url": broker.url()}, "engine": {"name": "local"}}) as restarted:
        assert restarted.data(restarted.get("/api/engine"))["name"] == "local"
    with serving(data, {"redis": {"url": broker.url()}, "engine": {"name": "rq"}}) as restarted:
        assert restarted.data(restarted.get("/api/engine"))["name"] == "celery"


def test_settings_that_contradict_themselves_are_refused_at_the_start(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, overrides={"engine": {"name": "rq"}}, environ={})

    with pytest.raises(InvalidInput) as caught:
        open_gristmill(settings)

    assert caught.value.code == "engine_needs_redis"
