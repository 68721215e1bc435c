"""Everything dies between the end of a task and the post that tells of it: the post still comes."""

import json
from collections.abc import Callable

from gristmill.db.webhooks import Wants
from tests.integration.worker.conftest import Mill, gone
from tests.support.collector import receiving
from tests.support.reluctant import reluctant
from tests.support.waiting import eventually

HERE = {"allowed_hosts": ["127.0.0.1"], "timeout_seconds": 1.0}
UNTIL_ANOTHER_MAY_SECONDS = 1.0 + 5.0
MARGIN_SECONDS = 20.0
"""For starting processes on a busy machine, and a first pause of up to ten seconds."""


def kill_all(mill: Mill) -> None:
    """Kill every process there is, at once."""
    tree = [process for worker in mill.workers for process in mill.tree(worker)]
    for process in tree:
        process.kill()
    for worker in mill.workers:
        worker.wait(timeout=10)
    eventually(lambda: gone(tree))


def test_end_is_told_although_everything_died_before_anybody_looked(make_mill: Callable[..., Mill]) -> None:
    # The first look is at once, the second would be much later.
    mill = make_mill(webhooks=HERE, tasks={"sweep_seconds": 600.0})
    with receiving() as receiver:
        webhook, _ = mill.app.webhooks.add(receiver.url(), Wants())
        mill.start()
        patient = mill.submit("patient")
        mill.started(patient)
        mill.let_go(patient)
        mill.ended(patient)
        kill_all(mill)
        assert mill.app.deliveries.page(webhook.id, limit=5) == []

        mill.start()

        (post,) = eventually(lambda: receiver.posts, MARGIN_SECONDS)
        body = json.loads(post.body)
        assert (body["event"], body["task"]["id"]) == ("task.completed", patient.id)


def test_post_whose_sender_died_comes_again_as_the_same_delivery(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(webhooks=HERE)
    with reluctant() as receiver:
        webhook, _ = mill.app.webhooks.add(receiver.url(), Wants())
        mill.start()
        task = mill.app.tasks.submit("ping", {})
        eventually(lambda: receiver.posts, MARGIN_SECONDS)
        kill_all(mill)
        (left,) = mill.app.deliveries.page(webhook.id, limit=5)
        arrived = len(receiver.posts)
        receiver.go.set()

        mill.start()

        eventually(lambda: len(receiver.posts) > arrived, UNTIL_ANOTHER_MAY_SECONDS + MARGIN_SECONDS)
        eventually(lambda: mill.app.deliveries.page(webhook.id, limit=5)[0].state == "delivered")
        assert left.state == "pending"
        assert {post.headers["x-gristmill-delivery"] for post in receiver.posts} == {left.id}
        assert len({post.body for post in receiver.posts}) == 1
        assert json.loads(receiver.posts[-1].body)["task"]["id"] == task.id
