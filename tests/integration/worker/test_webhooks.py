"""Receivers hear of the ends of real tasks, from workers and the API alike."""

import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import Any

from gristmill.db.deliveries import Delivery
from gristmill.db.webhooks import StoredWebhook, Wants
from tests.integration.worker.conftest import Mill
from tests.support.api import api_process
from tests.support.collector import Post, receiving
from tests.support.handlers import payload
from tests.support.reluctant import reluctant
from tests.support.waiting import eventually

HERE = {"allowed_hosts": ["127.0.0.1"]}


def log(mill: Mill, webhook: StoredWebhook) -> list[Delivery]:
    """Its deliveries, oldest first."""
    return mill.app.deliveries.page(webhook.id, limit=100)[::-1]


def is_genuine(post: Post, secret: str) -> bool:
    signed = post.headers["x-gristmill-timestamp"].encode() + b"." + post.body
    expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, post.headers["x-gristmill-signature"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_ends_of_real_tasks_are_told_in_order_and_signed(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(webhooks=HERE)
    mill.start(concurrency=2)
    settings = {"GRISTMILL_WEBHOOKS__ALLOWED_HOSTS": "127.0.0.1", **mill.environment}

    with receiving() as receiver, api_process(mill.app.settings.data, **settings) as api:

        def call(method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = api.session.request(method, f"{api.url}{path}", json=body, timeout=20)
            assert answer.ok, answer.text
            data: dict[str, Any] = answer.json()["data"]
            return data

        webhook = call("POST", "/api/webhooks", {"url": receiver.url("/hook")})
        done = [api.submit(f"task {number}") for number in range(12)]
        crashed = mill.app.tasks.submit("crashing", payload(mill.folder))
        posts = eventually(lambda: receiver.posts if len(receiver.posts) == 13 else None, 40)

        bodies = [json.loads(post.body) for post in posts]
        shown = api.session.get(f"{api.url}/api/tasks/{done[0]}", timeout=20).json()["data"]
        told = {body["task"]["id"]: body for body in bodies}
        assert [body["seq"] for body in bodies] == sorted(body["seq"] for body in bodies)
        assert {task_id: body["event"] for task_id, body in told.items()} == {
            **dict.fromkeys(done, "task.completed"),
            crashed.id: "task.failed",
        }
        assert told[done[0]]["task"] == shown
        assert told[crashed.id]["task"]["error"]["message"]
        assert all(is_genuine(post, webhook["secret"]) for post in posts)
        assert not is_genuine(posts[0], webhook["secret"] + "x")


def test_receiver_that_was_away_hears_everything_when_it_is_back(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(webhooks=HERE)
    port = free_port()
    webhook, _ = mill.app.webhooks.add(f"http://127.0.0.1:{port}/", Wants())
    mill.start()
    tasks = [mill.app.tasks.submit("ping", {}) for _ in range(3)]
    eventually(lambda: log(mill, webhook) and log(mill, webhook)[0].error)

    with reluctant(port) as receiver:
        receiver.go.set()
        eventually(lambda: [delivery.state for delivery in log(mill, webhook)] == ["delivered"] * 3, 40)

    assert {json.loads(post.body)["task"]["id"] for post in receiver.posts} == {task.id for task in tasks}


def test_workers_do_not_wait_for_a_slow_receiver(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(webhooks={**HERE, "timeout_seconds": 60.0})
    with reluctant() as slow, receiving() as quick:
        for receiver in (slow, quick):
            mill.app.webhooks.add(receiver.url(), Wants())
        mill.start()
        mill.ended(mill.app.tasks.submit("ping", {}))
        eventually(lambda: slow.posts)

        for number in range(2, 5):
            mill.ended(mill.app.tasks.submit("ping", {}))
            eventually(lambda number=number: len(quick.posts) == number)  # type: ignore[misc]

        assert len(slow.posts) == 1
        slow.go.set()
        eventually(lambda: len(slow.posts) == 4)
