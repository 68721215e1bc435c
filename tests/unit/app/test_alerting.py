"""Watching for alerts: once for all processes, told in order and signed, by nobody held up."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.app import Gristmill, open_gristmill
from gristmill.app.alerting import AlertWatch, Tell
from gristmill.app.webhook import Webhook
from gristmill.db.leaders import Leaders
from gristmill.errors import Forbidden, GristmillError, InvalidInput, Unavailable
from gristmill.monitoring.alerts import RULES, RunningTask, Snapshot, alarms
from gristmill.settings import AlertSettings, Settings
from tests.support.clock import TestClock
from tests.support.collector import Receiver, receiving
from tests.support.tasks import new_task, new_worker
from tests.support.waiting import eventually

WELL: dict[str, Any] = {
    "host": "mill",
    "live_workers": 1,
    "queues": {"default": 1000},
    "completed": 95,
    "failed": 5,
    "running": [RunningTask(id="t", kind="ping", seconds=600)],
    "memory_percent": 80.0,
}


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def app(tmp_path: Path, clock: TestClock) -> Iterator[Gristmill]:
    app = open_gristmill(Settings(data=tmp_path / "data"), clock=clock)
    yield app
    app.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def webhook(receiver: Receiver, *, secret: str | None = None, allowed: bool = True) -> Webhook:
    hosts = (f"127.0.0.1:{receiver.port}",) if allowed else ()
    return Webhook(receiver.url("/hook?key=1"), secret=secret, timeout_seconds=5, allowed_hosts=hosts)


def watch(app: Gristmill, *, tell: Tell | None = None, host: str = "mill", **changes: Any) -> AlertWatch:
    """A process that sees what ``changes`` say."""
    return AlertWatch(
        app.alerts,
        Leaders(app.database, app.clock),
        lambda: Snapshot(**{**WELL, **changes, "host": host}),
        app.settings.alerts,
        app.clock,
        host=host,
        language="en",
        tell=tell,
    )


def firing(app: Gristmill) -> list[tuple[str, str]]:
    return sorted((alert.rule, alert.subject) for alert in app.alerts.firing())


@pytest.mark.parametrize(
    ("changes", "rule", "severity", "subject"),
    [
        ({"live_workers": 0}, "no_worker", "critical", ""),
        ({"queues": {"default": 1001, "images": 3}}, "queue_long", "warning", "default"),
        ({"failed": 6}, "error_rate", "warning", ""),
        ({"running": [RunningTask(id="t", kind="ping", seconds=600.1)]}, "task_slow", "warning", "t"),
        ({"memory_percent": 80.1}, "memory_high", "warning", "mill"),
    ],
)
def test_each_rule_fires_beyond_its_threshold_and_not_at_it(
    changes: dict[str, Any], rule: str, severity: str, subject: str
) -> None:
    settings = AlertSettings()

    assert alarms(Snapshot(**WELL), settings, RULES.keys()) == []
    (alarm,) = alarms(Snapshot(**{**WELL, **changes}), settings, RULES.keys())
    assert (alarm.rule, alarm.severity, alarm.subject) == (rule, severity, subject)
    assert "{" not in alarm.message()
    assert alarm.message("zh") != alarm.message()
    assert alarms(Snapshot(**{**WELL, **changes}), AlertSettings(off=(rule,)), RULES.keys()) == []


def test_a_few_failures_are_no_rate() -> None:
    assert alarms(Snapshot(**{**WELL, "completed": 0, "failed": 19}), AlertSettings(), RULES.keys()) == []


def test_of_many_processes_one_looks_until_it_is_time_again(app: Gristmill, clock: TestClock) -> None:
    processes = [watch(app, live_workers=0) for _ in range(4)]

    assert [process.check() for process in processes] == [1, 0, 0, 0]
    clock.pass_time(30)
    assert [process.check() for process in processes] == [0, 0, 0, 0]
    assert firing(app) == [("no_worker", "")]


def test_alert_is_over_when_the_condition_is(app: Gristmill, clock: TestClock) -> None:
    watch(app, live_workers=0, memory_percent=99.0).check()
    clock.pass_time(30)

    assert watch(app).check() == 2
    assert firing(app) == []


def test_each_machine_looks_at_its_own_memory(app: Gristmill) -> None:
    watch(app, memory_percent=99.0).check()
    watch(app, host="weir", memory_percent=98.0).check()

    assert firing(app) == [("memory_high", "mill"), ("memory_high", "weir")]


def test_rows_are_what_is_looked_at(app: Gristmill, clock: TestClock) -> None:
    app.store.register_worker(new_worker(host="elsewhere"))
    app.store.add([new_task() for _ in range(1001)])
    (task,) = app.store.claim("worker-1", queues=["default"], kinds=["ping"])
    clock.pass_time(601)
    app.store.heartbeat("worker-1")

    app.alert_watch.check()
    shared = [pair for pair in firing(app) if pair[0] != "memory_high"]
    clock.pass_time(60)
    app.alert_watch.check()

    assert shared == [("task_slow", task.id)]
    assert ("no_worker", "") in firing(app)


def test_webhook_gets_both_ends_of_an_alert_signed(app: Gristmill, clock: TestClock, receiver: Receiver) -> None:
    hook = webhook(receiver, secret="shared secret")
    watch(app, live_workers=0, queues={"default": 7}, tell=hook.post).check()
    eventually(lambda: len(receiver.posts) == 1)
    clock.pass_time(30)
    watch(app, tell=hook.post).check()
    eventually(lambda: len(receiver.posts) == 2)

    fired, resolved = (json.loads(post.body) for post in receiver.posts)
    assert (fired["event"], fired["rule"], fired["severity"]) == ("alert.fired", "no_worker", "critical")
    assert "7 tasks wait" in fired["message"]
    assert fired["resolved_at"] is None
    assert (resolved["event"], resolved["id"]) == ("alert.resolved", fired["id"])
    for post, event in zip(receiver.posts, ("fired", "resolved"), strict=True):
        signed = post.headers["x-gristmill-timestamp"].encode() + b"." + post.body
        expected = hmac.new(b"shared secret", signed, hashlib.sha256).hexdigest()
        assert post.headers["x-gristmill-signature"] == f"sha256={expected}"
        assert post.headers["x-gristmill-delivery"] == f"{fired['id']}-{event}"
        assert post.path == "/hook?key=1"


def test_webhook_that_fails_is_tried_again_ever_later(app: Gristmill, clock: TestClock, receiver: Receiver) -> None:
    process = watch(app, tell=webhook(receiver).post)
    app.alerts.settle(alarms(Snapshot(**{**WELL, "live_workers": 0}), AlertSettings(), RULES), rules=RULES, tell=True)
    receiver.statuses += [500, 302, 404]

    tried = []
    for pause in (0.0, 9.0, 1.0, 19.0, 1.0, 40.0):
        clock.pass_time(pause)
        process.tell_all()
        tried.append(len(receiver.posts))

    assert tried == [1, 1, 2, 2, 3, 4]
    assert "x-gristmill-signature" not in receiver.posts[0].headers
    clock.pass_time(3600)
    assert process.tell_all() == 0


def test_webhook_to_an_address_that_is_not_public_is_given_up(app: Gristmill, receiver: Receiver) -> None:
    process = watch(app, tell=webhook(receiver, allowed=False).post)
    app.alerts.settle(alarms(Snapshot(**{**WELL, "live_workers": 0}), AlertSettings(), RULES), rules=RULES, tell=True)

    assert process.tell_all() == 0
    assert app.alerts.next_notice(again_seconds=1) is None
    assert receiver.posts == []


def test_name_that_leads_home_is_refused(receiver: Receiver) -> None:
    url = f"http://innocent.example:{receiver.port}/"
    hook = Webhook(url, secret=None, timeout_seconds=5, ask=lambda _host, _port: ["127.0.0.1"])

    with pytest.raises(Forbidden, match="innocent"):
        hook.post("d", {})
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:9/hook?key=1", Unavailable),
        ("ftp://127.0.0.1/", InvalidInput),
        ("http://me:secret@127.0.0.1/", InvalidInput),
        ("http://", InvalidInput),
    ],
)
def test_webhook_that_cannot_be_reached_says_so_without_its_url(url: str, error: type[GristmillError]) -> None:
    with pytest.raises(error) as caught:
        Webhook(url, secret=None, timeout_seconds=5, allowed_hosts=("127.0.0.1",)).post("d", {})

    assert "key=1" not in str(caught.value)
    assert "secret" not in str(caught.value)
