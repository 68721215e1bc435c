"""Who may follow tasks: with keys, without, with tickets, and from which pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service import Service, serving
from tests.support.watching import Watching, refusal, watching


@pytest.fixture
def key(api: Service) -> str:
    return api.app.keys.create("reader", "read")[1]


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "data", {"api": {"allowed_hosts": ["mill.example", "desk.example:3000"]}}) as service:
        yield service


def ticket_of(service: Service, key: str | None = None) -> str:
    headers = {} if key is None else {"X-API-Key": key}
    data = service.data(service.post("/api/tickets", headers=headers))
    assert data["expires_in_seconds"] == 30
    ticket: str = data["ticket"]
    return ticket


def is_told(service: Service, watcher: Watching) -> bool:
    """Whether it is told of what happens."""
    watcher.until("hello")
    service.app.tasks.submit("ping", {})
    return bool(watcher.told(1))


def test_key_is_asked_for_once_there_is_one(api: Service, key: str) -> None:
    for path in ("/ws/tasks", "/ws/tasks/0199a1f0"):
        status, problem = refusal(api.url, path)

        assert (status, problem["code"]) == (401, "key_missing")
    assert refusal(api.url, headers={"X-API-Key": f"{key}x"})[1]["code"] == "key_invalid"
    assert api.watchers == 0


@pytest.mark.parametrize("form", ["bearer", "header"])
def test_key_is_accepted_in_either_header(api: Service, key: str, form: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if form == "bearer" else {"X-API-Key": key}

    with watching(api.url, headers=headers) as watcher:
        assert is_told(api, watcher)


def test_ticket_opens_one_connection(api: Service, key: str) -> None:
    ticket = ticket_of(api, key)

    with watching(api.url, ticket=ticket) as watcher:
        assert is_told(api, watcher)
    status, problem = refusal(api.url, ticket=ticket)

    assert (status, problem["code"]) == (401, "ticket_invalid")


def test_ticket_is_given_to_nobody_without_a_key(api: Service, key: str) -> None:
    assert api.post("/api/tickets").status_code == 401


def test_ticket_that_is_too_old_opens_nothing(api: Service, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.db.tickets.TICKET_SECONDS", 0)
    ticket = api.data(api.post("/api/tickets", headers={"X-API-Key": key}))["ticket"]

    status, problem = refusal(api.url, ticket=ticket)

    assert (status, problem["code"]) == (401, "ticket_invalid")
    assert "POST /api/tickets" in problem["message"]


def test_ticket_of_a_revoked_key_opens_nothing(api: Service, key: str) -> None:
    api.app.keys.create("other", "read")
    ticket = ticket_of(api, key)
    api.app.keys.revoke(api.app.keys.all()[0].id)

    status, problem = refusal(api.url, ticket=ticket)

    assert (status, problem["code"]) == (401, "key_invalid")


def test_ticket_from_before_the_first_key_opens_nothing_after_it(api: Service) -> None:
    ticket = ticket_of(api)
    api.app.keys.create("first", "read")

    assert refusal(api.url, ticket=ticket)[0] == 401


def test_ticket_opens_a_watch_and_nothing_else(api: Service, key: str) -> None:
    for path in ("/api/tasks", "/metrics"):
        assert api.get(path, params={"ticket": ticket_of(api, key)}).status_code == 401


def test_ticket_works_where_there_is_no_key(api: Service) -> None:
    with watching(api.url, ticket=ticket_of(api)) as watcher:
        assert is_told(api, watcher)


@pytest.mark.parametrize(("language", "word"), [("en", "revoked"), ("zh", "密钥")])
def test_revoked_key_ends_its_watchers_with_the_reason(api: Service, key: str, language: str, word: str) -> None:
    _, others_key = api.app.keys.create("other", "read")
    headers = {"X-API-Key": key, "Accept-Language": language}
    with watching(api.url, headers=headers) as watcher, watching(api.url, headers={"X-API-Key": others_key}) as other:
        assert is_told(api, watcher)
        with watching(api.url, ticket=ticket_of(api, key)) as by_ticket:
            by_ticket.until("hello")
            api.app.keys.revoke(api.app.keys.all()[0].id)

            for ended in (watcher, by_ticket):
                frames, code = ended.rest()
                assert (frames[-1]["type"], frames[-1]["code"], code) == ("bye", "key_invalid", 4000)
        assert word in watcher.frames[-1]["message"]
        assert is_told(api, other)


def test_first_key_ends_those_who_watch_without_one(api: Service) -> None:
    with watching(api.url) as watcher:
        watcher.until("hello")
        api.app.keys.create("first", "read")

        assert watcher.until("bye")["code"] == "key_invalid"


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:{port}"}, True),
        ({"Origin": "http://desk.example:3000"}, True),
        ({"Origin": "https://mill.example"}, True),
        ({"Origin": "http://127.0.0.1:1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://mill.example.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
    ],
    ids=str,
)
@pytest.mark.parametrize("has_key", [False, True])
def test_pages_of_others_may_not_watch(
    named: Service,
    headers: dict[str, str],
    allowed: bool,  # noqa: FBT001
    has_key: bool,  # noqa: FBT001
) -> None:
    port = named.url.rpartition(":")[2]
    sent = {name: value.replace("{port}", port) for name, value in headers.items()}
    if has_key:
        sent["X-API-Key"] = named.app.keys.create("reader", "read")[1]

    if allowed:
        with watching(named.url, headers=sent) as watcher:
            assert is_told(named, watcher)
    else:
        status, problem = refusal(named.url, headers=sent)
        assert (status, problem["code"]) == (403, "origin_not_allowed")


def test_page_of_another_site_may_not_use_a_ticket(api: Service, key: str) -> None:
    ticket = ticket_of(api, key)

    status, problem = refusal(api.url, ticket=ticket, headers={"Origin": "https://evil.example"})

    assert (status, problem["code"]) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost", True), ("mill.example", True), ("evil.example", False), ("192.168.1.7", False)],
)
def test_open_service_answers_to_its_own_names_alone(named: Service, host: str, is_ours: bool) -> None:  # noqa: FBT001
    if is_ours:
        with watching(named.url, host=host) as watcher:
            assert is_told(named, watcher)
    else:
        status, problem = refusal(named.url, host=host)
        assert (status, problem["code"]) == (421, "host_not_allowed")
