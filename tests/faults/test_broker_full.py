"""A broker without memory: whether it throws queues away or refuses messages, every task runs, once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.worker.conftest import Mill
from tests.support.history import effects_in, prepare_effects, what_broke
from tests.support.valkey import own_server

TASKS = 300
BALLAST = b"x" * 100_000


@pytest.mark.parametrize("engine", ["celery", "rq"])
@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_broker_that_has_no_memory_left_loses_no_task(
    make_mill: Callable[..., Mill], tmp_path: Path, engine: str, policy: str
) -> None:
    with own_server(tmp_path / "valkey", **{"maxmemory-policy": policy}) as broker:
        mill = make_mill(redis={"url": broker.url()}, engine={"name": engine})
        prepare_effects(mill.app.database)
        mill.start(concurrency=2)
        with broker.client() as client:
            for number in range(20):
                client.set(f"ballast-{number}", BALLAST)
            client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)

        tasks = [mill.submit("counted") for _ in range(TASKS)]

        ended = [mill.ended(task, 60) for task in tasks]
        assert {task.attempt for task in ended} == {1}
        assert what_broke(mill.app.store, [task.id for task in tasks], effects=effects_in(mill.app.database)) == []
        if policy == "noeviction":
            assert mill.app.engine.health()["reason"] == "broker_full"
