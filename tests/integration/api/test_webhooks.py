"""Webhooks over HTTP: set up by whoever may, told of what ends, looked at and replayed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Receiver, receiving
from tests.support.service import Service, serving
from tests.support.waiting import eventually

URL = "https://desk.example/hooks?key=1"
WEBHOOKS = "/api/webhooks"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Service]:
    """An API that may post to this machine."""
    with serving(tmp_path / "data", {"webhooks": {"allowed_hosts": ["127.0.0.1"]}}) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def made(api: Service, url: str = URL, **body: Any) -> dict[str, Any]:
    """A new webhook as it was answered."""
    answer: dict[str, Any] = api.data(api.post(WEBHOOKS, json={"url": url, **body}))
    return answer


def cancelled(api: Service) -> str:
    """A task that has ended, for which no worker is needed."""
    task_id: str = api.data(api.post("/api/tasks", json={"kind": "ping"}))["id"]
    api.data(api.post(f"/api/tasks/{task_id}/cancel"))
    return task_id


def log(api: Service, webhook: dict[str, Any], **query: Any) -> dict[str, Any]:
    page: dict[str, Any] = api.data(api.get(f"{WEBHOOKS}/{webhook['id']}/deliveries", params=query))
    return page


def test_webhook_is_made_looked_at_changed_and_deleted(api: Service) -> None:
    response = api.post(WEBHOOKS, json={"url": URL, "states": "failed,cancelled", "kinds": ["ping"]})
    webhook = api.data(response)
    secret = webhook.pop("secret")
    path = f"{WEBHOOKS}/{webhook['id']}"

    assert response.status_code == 201
    assert len(secret) >= 32
    assert webhook == {
        "id": webhook["id"],
        "url": "https://desk.example/hooks?***",
        "states": ["failed", "cancelled"],
        "kinds": ["ping"],
        "queues": [],
        "collection": None,
        "top_level_only": True,
        "active": True,
        "failures": 0,
        "created_at": webhook["created_at"],
    }
    assert api.data(api.get(path)) == webhook
    assert api.data(api.get(WEBHOOKS))["webhooks"] == [webhook]

    change = {"url": "https://weir.example/", "kinds": [], "collection": "drafts", "active": False}
    changed = api.data(api.patch(path, json=change))
    assert changed == {**webhook, **change}
    assert api.data(api.patch(path, json={"collection": None}))["collection"] is None
    assert api.data(api.patch(path, json={"active": True}))["collection"] is None

    assert api.data(api.delete(path)) == {"id": webhook["id"]}
    assert api.get(path).json()["code"] == "webhook_not_found"
    assert api.data(api.get(WEBHOOKS))["webhooks"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "field_missing"),
        ({"url": "ftp://desk.example/"}, 422, "webhook_url_invalid"),
        ({"url": "https://me:hunter2@desk.example/"}, 422, "webhook_url_invalid"),
        ({"url": "http://169.254.169.254/"}, 403, "receiver_not_public"),
        ({"url": URL, "secret": "short"}, 422, "field_too_short"),
        ({"url": URL, "states": []}, 422, "field_too_short"),
        ({"url": URL, "states": ["processing"]}, 422, "field_not_a_choice"),
        ({"url": URL, "kinds": ["pong"]}, 422, "kind_unknown"),
        ({"url": URL, "kind": "ping"}, 422, "field_unknown"),
    ],
)
def test_webhook_that_makes_no_sense_is_refused(used: Service, body: dict[str, Any], status: int, code: str) -> None:
    before = len(used.data(used.get(WEBHOOKS))["webhooks"])
    refused = used.post(WEBHOOKS, json=body)
    webhook = made(used)
    unchanged = used.patch(f"{WEBHOOKS}/{webhook['id']}", json=body or {"url": "desk.example"})

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert unchanged.status_code == status
    assert "hunter2" not in refused.text
    assert used.data(used.get(f"{WEBHOOKS}/{webhook['id']}")) == {
        name: value for name, value in webhook.items() if name != "secret"
    }
    assert len(used.data(used.get(WEBHOOKS))["webhooks"]) == before + 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/one"),
        ("PATCH", "/one"),
        ("DELETE", "/one"),
        ("POST", "/one/ping"),
        ("GET", "/one/deliveries"),
        ("POST", "/one/deliveries/two/replay"),
    ],
)
def test_whoever_may_only_write_has_no_say_in_who_is_told(api: Service, method: str, path: str) -> None:
    keys = {scope: api.app.keys.create(scope, scope)[1] for scope in ("write", "admin")}
    body = {"json": {"url": URL}} if method in ("POST", "PATCH") and path in ("", "/one") else {}

    answers = {
        scope: api.call(method, WEBHOOKS + path, headers={"X-API-Key": key}, **body) for scope, key in keys.items()
    }

    assert answers["write"].json()["code"] == "scope_missing"
    assert answers["admin"].status_code in (200, 201, 404)


def test_end_of_a_task_is_told_where_no_worker_is_up(desk: Service, receiver: Receiver) -> None:
    webhook = made(desk, receiver.url("/hook"))
    task_id = cancelled(desk)

    (post,) = eventually(lambda: receiver.posts)
    body = json.loads(post.body)
    assert (body["event"], body["task"]) == ("task.cancelled", desk.data(desk.get(f"/api/tasks/{task_id}")))

    def ended() -> Any:
        return [delivery for delivery in log(desk, webhook)["deliveries"] if delivery["state"] == "delivered"]

    (delivery,) = eventually(ended)
    assert (delivery["id"], delivery["seq"]) == (body["delivery"], body["seq"])
    assert (delivery["task_id"], delivery["event"], delivery["tries"]) == (task_id, "task.cancelled", 1)
    assert (delivery["error"], delivery["next_try_at"]) == (None, None)
    assert 'gristmill_sweep_work_total{duty="deliveries.made"} 1.0' in desk.get("/metrics").text


def test_delivery_is_replayed_with_the_same_id_and_body(desk: Service, receiver: Receiver) -> None:
    webhook = made(desk, receiver.url())
    cancelled(desk)
    eventually(lambda: log(desk, webhook, state="delivered")["deliveries"])
    (delivery,) = log(desk, webhook)["deliveries"]
    path = f"{WEBHOOKS}/{webhook['id']}/deliveries/{delivery['id']}/replay"

    response = desk.post(path)

    assert response.status_code == 202
    assert desk.data(response)["state"] == "pending"
    eventually(lambda: len(receiver.posts) == 2)
    assert receiver.posts[0].body == receiver.posts[1].body
    assert {post.headers["x-gristmill-delivery"] for post in receiver.posts} == {delivery["id"]}
    unknown = desk.post(path.replace(delivery["id"], "nothing"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "delivery_not_found")


def test_delivery_that_does_not_arrive_says_why_in_the_language_of_the_client(
    desk: Service, receiver: Receiver
) -> None:
    receiver.statuses += [500] * 50
    webhook = made(desk, receiver.url())
    cancelled(desk)
    eventually(lambda: receiver.posts and log(desk, webhook)["deliveries"][0]["error"])

    path = f"{WEBHOOKS}/{webhook['id']}/deliveries"
    (delivery,) = desk.data(desk.get(path, headers={"Accept-Language": "zh"}))["deliveries"]
    replay = desk.post(f"{path}/{delivery['id']}/replay")

    assert (delivery["state"], delivery["error"]["code"]) == ("pending", "receiver_refused")
    assert "返回状态 500" in delivery["error"]["message"]
    assert delivery["next_try_at"] is not None
    assert (replay.status_code, replay.json()["code"]) == (409, "delivery_pending")
    assert desk.data(desk.get(f"{WEBHOOKS}/{webhook['id']}"))["failures"] >= 1


def test_log_of_deliveries_is_read_in_pages(desk: Service, receiver: Receiver) -> None:
    webhook = made(desk, receiver.url())
    ended = [cancelled(desk) for _ in range(3)]
    eventually(lambda: len(log(desk, webhook, state="delivered")["deliveries"]) == 3)

    first = log(desk, webhook, limit=2)
    rest = log(desk, webhook, limit=2, cursor=first["next_cursor"])

    assert [one["task_id"] for one in [*first["deliveries"], *rest["deliveries"]]] == ended[::-1]
    assert rest["next_cursor"] is None
    assert desk.get(f"{WEBHOOKS}/{webhook['id']}/deliveries?cursor=x").json()["code"] == "cursor_invalid"
    assert desk.get(f"{WEBHOOKS}/nobody/deliveries").json()["code"] == "webhook_not_found"


def test_ping_says_whether_the_receiver_took_it(desk: Service, api: Service, receiver: Receiver) -> None:
    path = f"{WEBHOOKS}/{made(desk, receiver.url())['id']}/ping"
    receiver.statuses += [204, 418]

    taken, refused = desk.data(desk.post(path)), desk.post(path)
    # Nobody has allowed the other to post to this machine.
    private = api.post(f"{WEBHOOKS}/{made(api, f'http://localhost:{receiver.port}/')['id']}/ping")

    assert taken == {"delivered": True, "error": None}
    assert desk.data(refused)["error"]["code"] == "receiver_refused"
    assert "418" in refused.json()["message"]
    assert api.data(private)["error"]["code"] == "receiver_not_public"
    assert [json.loads(post.body)["event"] for post in receiver.posts] == ["ping", "ping"]
