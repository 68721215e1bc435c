"""Who may ask what, with keys and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.api.server import run_api
from gristmill.errors import InvalidInput
from gristmill.settings import load_settings
from tests.support.service import Service, serving


@pytest.fixture
def keys(api: Service) -> dict[str, str]:
    return {scope: api.app.keys.create(scope, scope)[1] for scope in ("read", "write", "admin")}


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "data", {"api": {"allowed_hosts": ["mill.example", "desk.example:3000"]}}) as service:
        yield service


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/api/tasks", False),
        ("/metrics", False),
        ("/nowhere", False),
        ("/health/live", True),
        ("/docs", True),
        ("/openapi.json", True),
    ],
)
def test_key_is_asked_for_once_there_is_one(api: Service, keys: dict[str, str], path: str, is_open: bool) -> None:  # noqa: FBT001
    response = api.get(path)

    if is_open:
        assert response.ok
    else:
        assert response.status_code == 401
        assert response.json()["code"] == "key_missing"
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("form", ["bearer", "header"])
def test_key_is_accepted_in_either_header(api: Service, keys: dict[str, str], form: str) -> None:
    secret = keys["read"]
    headers = {"Authorization": f"Bearer {secret}"} if form == "bearer" else {"X-API-Key": secret}

    assert api.get("/api/tasks", headers=headers).ok
    assert api.get("/api/tasks", headers={name: f"{value}x" for name, value in headers.items()}).status_code == 401


def test_revoked_key_opens_nothing_and_the_last_one_does_not_open_everything(
    api: Service, keys: dict[str, str]
) -> None:
    known = {key.name: key.id for key in api.app.keys.all()}
    api.app.keys.revoke(known["read"])

    response = api.get("/api/tasks", headers={"X-API-Key": keys["read"]})

    assert response.status_code == 401
    assert response.json()["code"] == "key_invalid"


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [("GET", "/api/tasks", "read"), ("POST", "/api/search", "read"), ("POST", "/api/tasks", "write")],
)
def test_scope_of_the_key_must_include_that_of_the_endpoint(
    api: Service, keys: dict[str, str], method: str, path: str, needed: str
) -> None:
    order = ["read", "write", "admin"]
    body = {"kind": "ping"} if path == "/api/tasks" else {"query": "x"}

    for scope, secret in keys.items():
        response = api.call(method, path, json=body, headers={"X-API-Key": secret})

        allowed = order.index(scope) >= order.index(needed)
        assert (response.status_code == 403) is not allowed
        if not allowed:
            assert response.json()["code"] == "scope_missing"
            assert response.json()["needed"] == needed


def test_same_idempotency_key_of_two_callers_is_two_tasks(api: Service, keys: dict[str, str]) -> None:
    def submit(secret: str) -> str:
        headers = {"X-API-Key": secret, "Idempotency-Key": "mine"}
        return str(api.data(api.post("/api/tasks", json={"kind": "ping"}, headers=headers))["id"])

    assert submit(keys["write"]) == submit(keys["write"]) != submit(keys["admin"])


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True),
        ("LOCALHOST:8000", True),
        ("[::1]:9", True),
        ("127.0.0.1", True),
        ("mill.example", True),
        ("mill.example:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("192.168.1.7", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_open_service_answers_to_its_own_names_alone(named: Service, host: str, is_ours: bool) -> None:  # noqa: FBT001
    response = named.get("/api/tasks", headers={"Host": host})

    assert response.ok is is_ours
    if not is_ours:
        assert response.json()["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:{port}"}, True),
        ({"Origin": "http://desk.example:3000"}, True),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
    ],
)
def test_open_service_lets_no_foreign_page_change_anything(
    named: Service,
    headers: dict[str, str],
    allowed: bool,  # noqa: FBT001
) -> None:
    port = named.url.rpartition(":")[2]
    sent = {name: value.replace("{port}", port) for name, value in headers.items()}

    response = named.post("/api/tasks", json={"kind": "ping"}, headers=sent)

    assert response.ok is allowed
    if not allowed:
        assert response.status_code == 403
        assert response.json()["code"] == "origin_not_allowed"
    assert named.get("/api/tasks", headers=sent).ok


def test_listener_beyond_this_machine_needs_a_key(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, overrides={"api": {"host": "0.0.0.0", "port": 0}}, environ={})

    with pytest.raises(InvalidInput) as caught:
        run_api(settings)

    assert caught.value.code == "host_needs_key"
    assert "gristmill keys create" in caught.value.message()


def test_listener_beyond_this_machine_stays_shut_when_its_last_key_is_revoked(tmp_path: Path) -> None:
    with serving(tmp_path / "first") as before:
        key, secret = before.app.keys.create("only", "admin")

    with serving(tmp_path / "first", {"api": {"host": "0.0.0.0"}}) as wide:
        assert wide.get("/api/tasks", headers={"X-API-Key": secret}).ok
        wide.app.keys.revoke(key.id)

        assert wide.get("/api/tasks").status_code == 401


def test_every_answer_forbids_guessing_and_keeping(api: Service) -> None:
    for path in ("/api/tasks", "/nowhere", "/health/live"):
        headers = api.get(path).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "server" not in headers
