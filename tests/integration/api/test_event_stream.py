"""The events of one task as they happen, in the form that browsers read by themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gristmill.tasks.model import Completed, Progress
from tests.support.service import Service
from tests.support.tasks import Bench
from tests.support.waiting import eventually
from tests.support.watching import Frame, frames_in, seqs_of

STREAM = {"Accept": "text/event-stream"}


@contextmanager
def streaming(service: Service, task_id: str, query: str = "", **headers: str) -> Iterator[Iterator[Frame]]:
    """The messages about a task, as they come."""
    path = f"/api/tasks/{task_id}/events{query}"
    with service.get(path, headers={**STREAM, **headers}, stream=True) as response:
        assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        assert response.headers["Cache-Control"] == "no-store"
        yield frames_in(response.iter_lines(chunk_size=1, decode_unicode=True))


def streamed(service: Service, task_id: str, query: str = "", **headers: str) -> list[Frame]:
    """All messages about a task until its end."""
    with streaming(service, task_id, query, **headers) as frames:
        return list(frames)


def test_stream_tells_all_from_the_beginning_to_the_end(mill: Service) -> None:
    task = mill.app.tasks.submit("ping", {"seconds": 0.3})

    frames = streamed(mill, task.id)

    events = mill.app.store.events(task.id)
    assert (frames[0]["type"], frames[0]["cursor"], frames[-1]["type"]) == ("hello", "0", "end")
    assert seqs_of(frames) == [event.seq for event in events]
    assert frames[-1]["task"] == mill.data(mill.get(f"/api/tasks/{task.id}"))


def test_stream_tells_progress_as_it_is_made(kept: Service, bench: Bench) -> None:
    task = bench.started()
    with streaming(kept, task.id) as frames:
        assert [next(frames)["type"] for _ in range(2)] == ["hello", "update"]
        kept.app.store.progress(task.id, task.lease, Progress(done=1, total=4))

        assert next(frames)["running"][0]["progress"] == 25
        bench.end(task, Completed())
        assert [frame["type"] for frame in frames] == ["update", "end"]


@pytest.mark.parametrize("way", ["header", "query"])
def test_stream_resumes_where_it_was(kept: Service, bench: Bench, way: str) -> None:
    task = bench.started()
    with streaming(kept, task.id) as frames:
        next(frames)
        first = next(frames)
    bench.end(task, Completed())

    cursor = first["cursor"]
    headers, query = ({"Last-Event-ID": cursor}, "") if way == "header" else ({}, f"?after={cursor}")
    rest = streamed(kept, task.id, query, **headers)

    assert rest[0]["cursor"] == cursor
    assert seqs_of([first, *rest]) == [event.seq for event in bench.events(task)]


def test_browser_that_comes_back_after_the_end_is_told_that_there_is_nothing_left(kept: Service, bench: Bench) -> None:
    task = bench.ended(Completed())
    frames = streamed(kept, task.id)

    answers = {
        frame["type"]: kept.get(f"/api/tasks/{task.id}/events", headers={**STREAM, "Last-Event-ID": frame["cursor"]})
        for frame in frames
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {"hello": 200, "update": 204, "end": 204}
    assert answers["end"].content == b""


def test_stream_of_an_ended_task_is_told_as_often_as_it_is_asked_for(kept: Service, bench: Bench) -> None:
    task = bench.ended(Completed())

    assert seqs_of(streamed(kept, task.id)) == seqs_of(streamed(kept, task.id)) != []


def test_events_are_a_page_for_those_who_do_not_ask_for_a_stream(kept: Service, bench: Bench) -> None:
    task = bench.ended(Completed())

    data = kept.data(kept.get(f"/api/tasks/{task.id}/events"))

    assert [event["name"] for event in data["events"]] == ["submitted", "claimed", "completed"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Last-Event-ID": "yesterday"}, 422, "cursor_invalid"),
        ({"Last-Event-ID": str(10**15)}, 422, "cursor_ahead"),
        ({"Last-Event-ID": "1" * 41}, 422, "field_too_long"),
    ],
    ids=str,
)
def test_stream_from_where_nothing_was_is_refused(
    kept: Service, bench: Bench, headers: dict[str, str], status: int, code: str
) -> None:
    answer = kept.get(f"/api/tasks/{bench.add().id}/events", headers={**STREAM, **headers})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_stream_of_a_task_that_nobody_knows_is_refused_in_the_language_of_the_client(kept: Service) -> None:
    answer = kept.get("/api/tasks/0199a1f0/events", headers={**STREAM, "Accept-Language": "zh"})

    assert (answer.status_code, answer.json()["code"]) == (404, "task_not_found")
    assert "任务" in answer.json()["message"]


def test_stream_that_the_client_leaves_is_forgotten(api: Service) -> None:
    task = api.app.tasks.submit("ping", {})
    with streaming(api, task.id) as frames:
        next(frames)
        assert api.watchers == 1

    assert eventually(lambda: api.watchers == 0)


def test_ticket_opens_a_stream_once(api: Service) -> None:
    _, key = api.app.keys.create("reader", "read")
    task = api.app.tasks.submit("ping", {})
    ticket = api.data(api.post("/api/tickets", headers={"X-API-Key": key}))["ticket"]

    with streaming(api, task.id, f"?ticket={ticket}") as frames:
        assert next(frames)["type"] == "hello"
    again = api.get(f"/api/tasks/{task.id}/events?ticket={ticket}", headers=STREAM)

    assert (again.status_code, again.json()["code"]) == (401, "ticket_invalid")


def test_revoked_key_ends_its_streams(api: Service) -> None:
    key, secret = api.app.keys.create("reader", "read")
    task = api.app.tasks.submit("ping", {})
    with streaming(api, task.id, **{"X-API-Key": secret, "Accept-Language": "zh"}) as frames:
        next(frames)
        api.app.keys.revoke(key.id)

        *_, bye = frames

    assert (bye["type"], bye["code"]) == ("bye", "key_invalid")
    assert "密钥" in bye["message"]
