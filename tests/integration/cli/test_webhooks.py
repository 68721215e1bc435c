"""Webhooks from the command line: real posts to a receiver on this machine, real data, and no service but where said."""

import hashlib
import hmac
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.integration.cli.terminal import Terminal
from tests.support.collector import Post, Receiver, receiving
from tests.support.waiting import eventually

URL = "https://desk.example/hooks?key=1"


@pytest.fixture
def desk(terminal: Terminal) -> Terminal:
    """A terminal that may post to this machine."""
    return replace(terminal, extra={"GRISTMILL_WEBHOOKS__ALLOWED_HOSTS": "127.0.0.1"})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def cancelled(terminal: Terminal) -> str:
    """A task that has ended, for which no worker is needed."""
    task_id: str = terminal.json("schedule", "run", "often")["task_id"]
    terminal.json("tasks", "cancel", task_id)
    return task_id


def log(terminal: Terminal, webhook: dict[str, Any], *options: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = terminal.json("webhooks", "deliveries", webhook["id"], *options)["deliveries"]
    return found


def is_genuine(post: Post, secret: str) -> bool:
    signed = post.headers["x-gristmill-timestamp"].encode() + b"." + post.body
    expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, post.headers["x-gristmill-signature"])


def test_webhook_is_added_listed_and_removed(terminal: Terminal) -> None:
    empty = terminal.run("webhooks", "list")
    added = terminal.json(
        "webhooks", "add", URL, "--state", "failed", "--state", "cancelled", "--state", "failed", "--kind", "ping",
        "--kind", "batch_index", "--queue", "documents", "-c", "handbook", "--sub-tasks",
    )  # fmt: skip
    by_hand = terminal.run("webhooks", "add", "https://weir.example/")
    listed = terminal.json("webhooks", "list")["webhooks"]
    shown = terminal.run("webhooks", "list")
    removed = terminal.run("webhooks", "remove", added["id"], "--yes")

    secret = added.pop("secret")
    assert "no webhooks yet" in empty.out
    assert len(secret) >= 32
    assert added == {
        "id": added["id"],
        "url": "https://desk.example/hooks?***",
        "states": ["failed", "cancelled"],
        "kinds": ["ping", "batch_index"],
        "queues": ["documents"],
        "collection": "handbook",
        "top_level_only": False,
        "active": True,
        "failures": 0,
        "created_at": added["created_at"],
    }
    assert (listed[0], listed[1]["url"]) == (added, "https://weir.example/")
    assert listed[1]["states"] == ["completed", "failed", "cancelled"]
    assert (listed[1]["kinds"], listed[1]["queues"], listed[1]["collection"]) == ([], [], None)
    assert listed[1]["top_level_only"] is True
    told, key = by_hand.out.splitlines()
    assert listed[1]["id"] in told
    assert len(key) >= 32
    assert "No worker is running" in by_hand.err
    rows = shown.out.splitlines()[1:]
    assert all(text in rows[0] for text in (added["id"], "failed,cancelled", "ping,batch_index", "hooks?***"))
    assert not any(text in shown.out for text in ("key=1", secret, key))
    assert removed.out == f"Deleted the webhook {added['id']}\n"
    assert [one["id"] for one in terminal.json("webhooks", "list")["webhooks"]] == [listed[1]["id"]]


def test_ping_is_signed_and_says_whether_the_receiver_took_it(desk: Terminal, receiver: Receiver) -> None:
    secret = "a long random text"
    webhook = desk.json("webhooks", "add", receiver.url("/hook"), "--secret", secret)
    receiver.statuses += [204, 418, 418]

    taken = desk.run("webhooks", "ping", webhook["id"])
    refused = desk.run("webhooks", "ping", webhook["id"])
    told = desk.run("webhooks", "ping", webhook["id"], "--json")

    assert webhook["secret"] == secret
    assert (taken.code, taken.out, taken.err) == (0, "The receiver took it\n", "")
    assert (refused.code, refused.out) == (1, "")
    assert "127.0.0.1 answered with status 418" in refused.err
    assert (told.code, told.err) == (1, "")
    assert (told.json["delivered"], told.json["error"]["code"]) == (False, "receiver_refused")
    assert [(post.path, json.loads(post.body)["event"]) for post in receiver.posts] == [("/hook", "ping")] * 3
    assert all(is_genuine(post, secret) for post in receiver.posts)
    assert not is_genuine(receiver.posts[0], secret + "x")


def test_ping_goes_to_no_private_address_that_nobody_allowed(terminal: Terminal, receiver: Receiver) -> None:
    # Where a name leads is known only when it is posted to.
    webhook = terminal.json("webhooks", "add", f"http://localhost:{receiver.port}/")

    refused = terminal.run("webhooks", "ping", webhook["id"])

    assert refused.code == 1
    assert "GRISTMILL_WEBHOOKS__ALLOWED_HOSTS" in refused.err
    assert receiver.posts == []


@pytest.mark.slow
def test_log_of_deliveries_is_read_in_pages_and_replayed(desk: Terminal, receiver: Receiver) -> None:
    desk.run("schedule", "add", "often", "--every", "1d", "--kind", "ping", "--paused")
    webhook = desk.json("webhooks", "add", receiver.url(), "--state", "cancelled")
    before = desk.run("webhooks", "deliveries", webhook["id"])
    ended = [cancelled(desk) for _ in range(3)]
    receiver.statuses += [410]
    with subprocess.Popen(
        desk.command("scheduler"), cwd=desk.home, env=desk.environment(), stderr=subprocess.PIPE
    ) as process:
        eventually(lambda: log(desk, webhook, "--state", "failed"), 30)
        process.terminate()
        process.communicate(timeout=20)

    first = log(desk, webhook, "--limit", "2")
    rest = log(desk, webhook, "--limit", "2", "--before", first[-1]["seq"])
    failed = log(desk, webhook, "--state", "failed")
    shown = desk.run("webhooks", "deliveries", webhook["id"], environment={"GRISTMILL_LANGUAGE": "zh"})
    early = desk.run("webhooks", "replay", webhook["id"], first[0]["id"])
    replayed = desk.run("webhooks", "replay", webhook["id"], failed[0]["id"])
    (again,) = log(desk, webhook, "--limit", "1", "--before", first[-1]["seq"])

    assert "has no such deliveries" in before.out
    assert [one["task_id"] for one in [*first, *rest]] == ended[::-1]
    assert [(one["task_id"], one["error"]["code"]) for one in failed] == [(ended[0], "receiver_gone")]
    assert (failed[0]["event"], failed[0]["tries"], failed[0]["next_try_at"]) == ("task.cancelled", 1, None)
    assert [one["state"] for one in first] == ["pending", "pending"]
    assert "返回 410 Gone" in shown.out.splitlines()[-1]
    assert desk.json("webhooks", "list")["webhooks"][0]["active"] is False
    assert early.code == 1
    assert "still to be posted" in early.err
    assert replayed.out == f"The delivery {failed[0]['id']} is posted again\n"
    assert "No worker is running" in replayed.err
    assert (again["id"], again["state"], again["tries"], again["error"]) == (failed[0]["id"], "pending", 0, None)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("ftp://desk.example/",), 2, "url is no URL that can be posted to. Give one with http or https"),
        (("desk.example",), 2, "url is no URL that can be posted to"),
        (("https://me:hunter2@desk.example/",), 2, "no user or password in it"),
        (("",), 2, "url is too short: at least 1"),
        ((f"https://desk.example/{'x' * 2000}",), 2, "url is too long: at most 2000"),
        (("http://169.254.169.254/",), 1, "169.254.169.254 is not on the public network. Use a public address"),
        (("http://127.0.0.1:8772/",), 1, "GRISTMILL_WEBHOOKS__ALLOWED_HOSTS"),
        ((URL, "--secret", "hunter2"), 2, "secret is too short: at least 16"),
        ((URL, "--secret", ""), 2, "secret is too short: at least 16"),
        ((URL, "--secret", "hunter2" * 29), 2, "secret is too long: at most 200"),
        ((URL, "--state", "processing"), 2, "'--state': 'processing' is not one of 'completed', 'failed', 'cancelled'"),
        ((URL, "--kind", "pong"), 2, "no task kind pong. Known kinds: "),
        ((), 2, "Missing argument 'URL'"),
    ],
)
def test_webhook_that_makes_no_sense_is_refused(
    terminal: Terminal, arguments: tuple[str, ...], code: int, says: str
) -> None:
    refused = terminal.run("webhooks", "add", *arguments)

    assert (refused.code, refused.out) == (code, "")
    assert says in refused.err
    assert not any(text in refused.err for text in ("Traceback", "hunter2"))
    assert terminal.json("webhooks", "list") == {"webhooks": []}


@pytest.mark.parametrize("verb", [("remove", "--yes"), ("ping",), ("deliveries",), ("replay", "two")], ids=" ".join)
def test_webhook_that_is_not_there_is_named(terminal: Terminal, verb: tuple[str, ...]) -> None:
    name, *rest = verb

    refused = terminal.run("webhooks", name, "one", *rest)
    told = terminal.run("webhooks", name, "one", *rest, "--json", environment={"GRISTMILL_LANGUAGE": "zh"})

    assert (refused.code, refused.out) == (1, "")
    assert "There is no webhook one. List them with gristmill webhooks list" in refused.err
    assert (told.code, told.json["error"]["code"]) == (1, "webhook_not_found")
    assert "gristmill webhooks list" in told.json["error"]["message"]
    assert "不存在" in told.json["error"]["message"]


def test_delivery_that_is_not_there_is_named(terminal: Terminal) -> None:
    webhook = terminal.json("webhooks", "add", URL)

    refused = terminal.run("webhooks", "replay", webhook["id"], "two")

    assert (refused.code, refused.out) == (1, "")
    assert "no delivery two. List them with gristmill webhooks deliveries ID" in refused.err


@pytest.mark.parametrize("options", [("--limit", "0"), ("--before", "9" * 20), ("--state", "lost")], ids=" ".join)
def test_page_that_cannot_be_is_refused_with_its_option(terminal: Terminal, options: tuple[str, str]) -> None:
    refused = terminal.run("webhooks", "deliveries", "one", *options)

    assert (refused.code, refused.out) == (2, "")
    assert f"'{options[0]}': " in refused.err
    assert options[1] in refused.err


def test_removing_asks_where_somebody_can_answer(terminal: Terminal) -> None:
    webhook = terminal.json("webhooks", "add", URL)

    unasked = terminal.run("webhooks", "remove", webhook["id"])
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        terminal.command("webhooks", "remove", webhook["id"]),
        env=terminal.environment(),
        cwd=terminal.home,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    os.write(ours, b"n\n")
    _, err = asked.communicate(timeout=30)
    os.close(ours)

    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert asked.returncode == 130
    assert b"Remove the webhook of https://desk.example/hooks?***" in err
    assert [one["id"] for one in terminal.json("webhooks", "list")["webhooks"]] == [webhook["id"]]
