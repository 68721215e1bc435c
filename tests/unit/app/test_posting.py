"""Posting to webhooks: signed, until it arrives, nowhere it may not, and nobody waits for somebody else's receiver."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.api.schemas.tasks import TaskView
from gristmill.app import Gristmill, open_gristmill
from gristmill.app.posted import posted_task
from gristmill.app.receivers import check_receiver
from gristmill.db.deliveries import Delivery
from gristmill.db.webhooks import StoredWebhook, Wants
from gristmill.errors import Forbidden, GristmillError, InvalidInput
from gristmill.settings import Settings
from gristmill.tasks.model import Completed, Failed
from tests.support.clock import TestClock
from tests.support.collector import Receiver, receiving
from tests.support.reluctant import reluctant
from tests.support.tasks import ERROR, STATES, Bench
from tests.support.waiting import eventually

DAY = 24 * 3600
SECRET = "a long random text"


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def make_app(tmp_path: Path, clock: TestClock) -> Iterator[Callable[..., Gristmill]]:
    made = []

    def make(**webhooks: Any) -> Gristmill:
        settings = {"allowed_hosts": ["127.0.0.1"], **webhooks}
        made.append(open_gristmill(Settings(data=tmp_path / "data", webhooks=settings), clock=clock))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(make_app: Callable[..., Gristmill]) -> Gristmill:
    return make_app()


@pytest.fixture
def bench(app: Gristmill) -> Bench:
    return Bench(app.store)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def webhook(app: Gristmill, receiver: Receiver) -> StoredWebhook:
    return app.webhooks.add(receiver.url("/hook?key=1"), Wants(), secret=SECRET)[0]


def post(app: Gristmill) -> None:
    """Post what is due, to the end."""
    app.posting.tend()
    for thread in list(app.posting._posting.values()):
        thread.join()


def log(app: Gristmill, webhook: StoredWebhook) -> list[Delivery]:
    """Its deliveries, oldest first."""
    return app.deliveries.page(webhook.id, limit=100)[::-1]


def reason(delivery: Delivery) -> tuple[str, Any]:
    assert delivery.error is not None
    return delivery.error["code"], delivery.error["facts"].get("status")


def test_post_is_signed_and_says_which_delivery_it_is(
    app: Gristmill, bench: Bench, webhook: StoredWebhook, receiver: Receiver
) -> None:
    task = bench.ended(Completed(result={"total": 3}))
    post(app)

    (sent,) = receiver.posts
    (delivery,) = log(app, webhook)
    signed = sent.headers["x-gristmill-timestamp"].encode() + b"." + sent.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert sent.headers["x-gristmill-signature"] == f"sha256={expected}"
    assert sent.headers["x-gristmill-delivery"] == delivery.id
    assert sent.path == "/hook?key=1"
    body = json.loads(sent.body)
    assert list(body) == ["event", "delivery", "seq", "at", "task"]
    assert (body["event"], body["delivery"], body["seq"]) == ("task.completed", delivery.id, delivery.seq)
    assert (body["task"]["id"], body["task"]["result"]) == (task.id, {"total": 3})
    assert (delivery.state, delivery.tries, delivery.error) == ("delivered", 1, None)
    assert app.totals.read().duties["deliveries.delivered"] == 1


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_task_is_posted_as_the_api_shows_it(app: Gristmill, bench: Bench, state: str, language: str) -> None:
    task = STATES[state](bench)
    now = app.clock.now() + 3_000_000

    assert posted_task(task, language=language, now=now) == TaskView.of(task, language=language, now=now).model_dump(
        mode="json"
    )


def test_messages_within_a_result_are_posted_in_words(app: Gristmill, bench: Bench) -> None:
    stored = {"code": "kind_unknown", "facts": {"kind": "pong", "known": "ping"}, "type": "InvalidInput"}
    task = bench.ended(
        Completed(result={"error": stored, "notices": [stored, "odd"], "total": 1}), payload={"root": "/"}
    )
    now = app.clock.now()

    posted = posted_task(task, language="en", now=now)

    assert posted == TaskView.of(task, language="en", now=now).model_dump(mode="json")
    assert posted["result"]["error"]["message"] == "There is no task kind pong. Known kinds: ping."
    assert posted["payload"] == {}


def test_post_that_fails_is_tried_again_within_a_bound_that_doubles(
    app: Gristmill, bench: Bench, webhook: StoredWebhook, receiver: Receiver, clock: TestClock
) -> None:
    bench.ended(Completed())
    receiver.statuses += [500, 302, 404, 503]

    for tries, status in enumerate(list(receiver.statuses), 1):
        post(app)
        (delivery,) = log(app, webhook)
        pause = (delivery.next_try_at - clock.now()) / 1_000_000
        assert (delivery.state, delivery.tries, reason(delivery)) == ("pending", tries, ("receiver_refused", status))
        assert 0 <= pause <= 10 * 2 ** (tries - 1)
        # The receiver gets a pause as well, so that what comes after does not try it at once.
        clock.pass_time(max(pause, 2.0 ** (tries - 1)) + 0.001)
    post(app)

    assert [delivery.state for delivery in log(app, webhook)] == ["delivered"]
    assert len({sent.headers["x-gristmill-delivery"] for sent in receiver.posts}) == 1
    assert len({sent.body for sent in receiver.posts}) == 1
    assert app.totals.read().duties["deliveries.postponed"] == 4


@pytest.mark.parametrize(("away_seconds", "tries"), [(0, 25), (2 * DAY, 12)])
def test_post_is_given_up_after_a_day_and_not_before_it_was_tried_often(
    app: Gristmill,
    make_app: Callable[..., Gristmill],
    bench: Bench,
    webhook: StoredWebhook,
    receiver: Receiver,
    clock: TestClock,
    away_seconds: float,
    tries: int,
) -> None:
    bench.ended(Completed())
    stopping = make_app()
    stopping.posting.close()
    stopping.posting.tend()
    clock.pass_time(away_seconds)
    receiver.statuses += [500] * 100

    def state() -> str:
        post(app)
        clock.pass_time(3601)
        return log(app, webhook)[0].state

    assert [state() for _ in range(tries)] == ["pending"] * (tries - 1) + ["failed"]
    post(app)
    assert len(receiver.posts) == tries
    assert app.totals.read().duties["deliveries.failed"] == 1


def test_receiver_that_is_gone_is_not_posted_to_any_more(
    app: Gristmill, bench: Bench, webhook: StoredWebhook, receiver: Receiver, clock: TestClock
) -> None:
    bench.ended(Completed())
    bench.ended(Completed())
    receiver.statuses += [410]

    post(app)
    clock.pass_time(DAY)
    post(app)

    first, second = log(app, webhook)
    assert (first.state, reason(first), second.state) == ("failed", ("receiver_gone", 410), "pending")
    assert not app.webhooks.get(webhook.id).active
    assert len(receiver.posts) == 1


def test_address_that_is_not_public_is_refused_unless_it_is_allowed(
    make_app: Callable[..., Gristmill], receiver: Receiver
) -> None:
    app = make_app(allowed_hosts=())
    # A name, which nobody could judge when it was handed in.
    webhook, _ = app.webhooks.add(f"http://localhost:{receiver.port}/", Wants())
    bench = Bench(app.store)
    bench.ended(Completed())

    post(app)

    (delivery,) = log(app, webhook)
    assert (delivery.state, delivery.tries, reason(delivery)) == ("failed", 1, ("receiver_not_public", None))
    assert receiver.posts == []


def test_redirect_leads_nowhere(app: Gristmill, bench: Bench, receiver: Receiver) -> None:
    with reluctant() as first:
        first.location = receiver.url()
        first.go.set()
        webhook, _ = app.webhooks.add(first.url(), Wants())
        bench.ended(Completed())
        post(app)

    assert reason(log(app, webhook)[0]) == ("receiver_refused", 302)
    assert receiver.posts == []


def test_slow_receiver_holds_up_itself_alone(app: Gristmill, bench: Bench, receiver: Receiver) -> None:
    with reluctant() as slow:
        waits, _ = app.webhooks.add(slow.url(), Wants())
        quick, _ = app.webhooks.add(receiver.url(), Wants())
        tasks = [bench.ended(Completed()) for _ in range(3)]
        app.posting.tend()
        eventually(lambda: len(receiver.posts) == 3 and slow.posts)
        app.posting.tend()
        states = [[delivery.state for delivery in log(app, webhook)] for webhook in (waits, quick)]
        slow.go.set()
        eventually(lambda: len(slow.posts) == 3)
        post(app)

    assert states == [["pending"] * 3, ["delivered"] * 3]
    for posts in (receiver.posts, slow.posts):
        assert [json.loads(sent.body)["task"]["id"] for sent in posts] == [task.id for task in tasks]


def test_receiver_that_does_not_answer_in_time_is_left(make_app: Callable[..., Gristmill], clock: TestClock) -> None:
    app = make_app(timeout_seconds=0.2)
    with reluctant() as slow:
        webhook, _ = app.webhooks.add(slow.url(), Wants())
        Bench(app.store).ended(Failed(error=ERROR))
        post(app)

    (delivery,) = log(app, webhook)
    assert delivery.state == "pending"
    assert reason(delivery)[0] in ("receiver_unreachable", "receiver_too_slow")


def test_process_that_stops_posts_nothing_more(
    app: Gristmill, bench: Bench, webhook: StoredWebhook, receiver: Receiver
) -> None:
    bench.ended(Completed())
    app.posting.close()

    post(app)

    assert [delivery.state for delivery in log(app, webhook)] == ["pending"]
    assert receiver.posts == []


def test_address_and_key_are_stored_encrypted(app: Gristmill, webhook: StoredWebhook) -> None:
    app.database.close()
    stored = b"".join(path.read_bytes() for path in app.paths.database.parent.glob("gristmill.db*"))

    assert b"key=1" not in stored
    assert SECRET.encode() not in stored
    assert webhook.address.endswith("/hook?***")
    assert app.webhooks.receiver(webhook).secret == SECRET


def test_delivery_waits_for_the_key_that_its_address_was_sealed_with(
    app: Gristmill, bench: Bench, webhook: StoredWebhook, receiver: Receiver, make_app: Callable[..., Gristmill]
) -> None:
    bench.ended(Completed())
    kept = app.paths.secret_key.read_bytes()
    app.paths.secret_key.unlink()
    without = make_app()
    post(without)
    (delivery,) = log(app, webhook)
    app.paths.secret_key.write_bytes(kept)

    assert (delivery.state, reason(delivery)) == ("pending", ("secret_unreadable", None))
    assert receiver.posts == []


def test_ping_is_posted_at_once_and_says_what_came_of_it(
    app: Gristmill, webhook: StoredWebhook, receiver: Receiver
) -> None:
    app.webhooks.change(webhook.id, active=False, wants={})

    assert app.posting.ping(webhook.id) is None
    receiver.statuses += [500]
    failure = app.posting.ping(webhook.id)

    assert failure is not None
    assert failure.message() == (
        "127.0.0.1 answered with status 500. It has to answer with 2xx; redirects are not followed."
    )
    (sent, again) = (json.loads(one.body) for one in receiver.posts)
    assert (sent["event"], "task" in sent) == ("ping", False)
    assert sent["delivery"] == receiver.posts[0].headers["x-gristmill-delivery"] != again["delivery"]
    assert "x-gristmill-signature" in receiver.posts[0].headers
    assert log(app, webhook) == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://desk.example/hooks", None),
        ("https://8.8.8.8/hooks", None),
        ("http://10.0.0.7:8080/", None),
        ("http://10.0.0.7/", Forbidden),
        ("http://127.0.0.1/", Forbidden),
        ("http://[::1]:9000/", Forbidden),
        ("http://[::ffff:10.0.0.8]/", Forbidden),
        ("http://169.254.169.254/latest/meta-data", Forbidden),
        ("ftp://desk.example/", InvalidInput),
        ("https:///hooks", InvalidInput),
        ("https://me:hunter2@desk.example/", InvalidInput),
        ("https://desk.example:0/", InvalidInput),
        ("https://desk.example:99999/", InvalidInput),
        ("https://desk example/", InvalidInput),
        ("https://desk.example/\nhooks", InvalidInput),
        ("http://[::1", InvalidInput),
        ("desk.example", InvalidInput),
    ],
)
def test_url_that_could_never_be_posted_to_is_refused(url: str, error: type[GristmillError] | None) -> None:
    if error is None:
        check_receiver(url, allowed_hosts=["10.0.0.7:8080"])
        return
    with pytest.raises(error) as caught:
        check_receiver(url, allowed_hosts=["10.0.0.7:8080"])
    assert "hunter2" not in str(caught.value)
