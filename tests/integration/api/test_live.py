"""What watchers are told over a WebSocket: all that happens to what they asked for, in order, each once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from gristmill.db.tasks.moves import add_tasks
from gristmill.ids import new_id
from gristmill.tasks.model import Cancelled, Completed, Event, Progress, Retried, Task
from tests.support.service import Service
from tests.support.tasks import ERROR, Bench, new_task
from tests.support.watching import Watching, refusal, seqs_of, watching

MANY = 2500
"""Events, more than fit into one message."""


@pytest.fixture
def collection() -> str:
    return new_id()


def seqs(events: list[Event]) -> list[int]:
    return [event.seq for event in events]


def names(watching: Watching) -> list[str]:
    return [event["name"] for frame in watching.frames if frame["type"] == "update" for event in frame["events"]]


@contextmanager
def held_back(service: Service) -> Iterator[str]:
    """A task that is being accepted in a transaction which ends with the block."""
    task = new_task()
    transaction: Connection
    with service.app.database.write() as transaction:
        add_tasks(transaction, [task], service.app.clock.now())
        yield task.id


def test_watcher_of_a_task_is_told_of_all_until_its_end(mill: Service) -> None:
    task = mill.app.tasks.submit("ping", {"seconds": 0.3})

    with watching(mill.url, f"/ws/tasks/{task.id}", cursor=0) as watcher:
        frames, code = watcher.rest()

    assert (frames[0]["type"], frames[0]["task"]["id"], frames[-1]["type"], code) == ("hello", task.id, "end", 1000)
    assert frames[-1]["task"] == mill.data(mill.get(f"/api/tasks/{task.id}"))
    assert frames[-1]["task"]["state"] == "completed"
    assert {frame["type"] for frame in frames[1:-1]} == {"update"}
    assert names(watcher) == ["submitted", "claimed", "completed"]
    assert seqs_of(frames) == seqs(mill.app.store.events(task.id))


def test_watcher_of_all_tasks_is_told_what_real_workers_do(mill: Service) -> None:
    with watching(mill.url) as watcher:
        hello = watcher.frame()
        tasks = [mill.app.tasks.submit("ping", {}) for _ in range(5)]
        watcher.told(15)

    assert (hello["type"], hello["task"]) == ("hello", None)
    assert seqs_of(watcher.frames) == seqs(mill.app.store.events(after=int(hello["cursor"])))
    last = {task["id"]: task for frame in watcher.frames[1:] for task in frame["tasks"]}
    assert {task.id: last[task.id]["state"] for task in tasks} == {task.id: "completed" for task in tasks}


@pytest.mark.parametrize(
    ("query", "fits", "does_not"),
    [
        ({"kind": "odd"}, {"kind": "odd"}, {"kind": "ping"}),
        ({"kind": "odd,even"}, {"kind": "even"}, {"kind": "ping"}),
        ({"kind": ["odd", "even"]}, {"kind": "odd"}, {"kind": "ping"}),
        ({"queue": "images"}, {"queue": "images"}, {"queue": "default"}),
        ({"engine": "celery"}, {"engine": "celery"}, {"engine": "local"}),
        ({"collection": "notes"}, {"collection": "notes"}, {}),
        ({"collection": "notes", "kind": "odd"}, {"collection": "notes", "kind": "odd"}, {"collection": "notes"}),
    ],
    ids=str,
)
def test_watcher_is_told_of_what_it_asked_for_alone(
    kept: Service, bench: Bench, query: dict[str, Any], fits: dict[str, str], does_not: dict[str, str]
) -> None:
    with watching(kept.url, **query) as watcher:
        watcher.until("hello")
        # Whoever is told of both is told of the first one first.
        bench.add(**does_not)
        task = bench.add(**fits)

        frame = watcher.frame()

    assert [event["task_id"] for event in frame["events"]] == [task.id]
    assert [told["id"] for told in frame["tasks"]] == [task.id]


def test_watcher_of_a_family_is_told_of_the_children(kept: Service, bench: Bench) -> None:
    parent = bench.started()
    with watching(kept.url, parent_id=parent.id) as watcher:
        watcher.until("hello")
        child = bench.add(parent_id=parent.id)

        frame = watcher.frame()

    assert [told["id"] for told in frame["tasks"]] == [child.id]


def test_progress_is_told_without_an_event(kept: Service, bench: Bench, collection: str) -> None:
    task = bench.started(collection=collection)
    paths: list[tuple[str, dict[str, Any]]] = [(f"/ws/tasks/{task.id}", {}), ("/ws/tasks", {"collection": collection})]
    for path, query in paths:
        with watching(kept.url, path, cursor=0, **query) as watcher:
            watcher.told(2)
            done = kept.app.store.get(task.id).progress.done + 3
            kept.app.store.progress(task.id, task.lease, Progress(stage="embed", unit="chunks", done=done, total=10))

            frame = watcher.frame()

        (running,) = frame["running"]
        assert (frame["events"], frame["tasks"]) == ([], [])
        assert (running["id"], running["progress"]) == (task.id, 10 * done)
        assert running["progress_detail"]["stage"] == "embed"


def test_watcher_that_comes_back_is_told_what_it_missed_and_nothing_twice(
    kept: Service, bench: Bench, collection: str
) -> None:
    def happen() -> Task:
        return bench.ended(Completed(), collection=collection)

    with watching(kept.url, collection=collection) as watcher:
        watcher.until("hello")
        first = happen()
        told = watcher.told(3)
    for _ in range(3):
        happen()

    with watching(kept.url, collection=collection, cursor=watcher.cursor) as again:
        told += again.told(9)
        happen()
        told += again.told(12)[9:]

    everything = kept.app.store.events(after=bench.events(first)[0].seq - 1)
    assert told == seqs(everything)
    assert again.frames[0] == {"type": "hello", "cursor": watcher.cursor, "task": None}


def test_watcher_that_was_away_for_long_is_told_in_several_messages(
    kept: Service, bench: Bench, collection: str
) -> None:
    with watching(kept.url, collection=collection) as watcher:
        watcher.until("hello")
    kept.app.store.add([new_task(collection=collection) for _ in range(MANY)])

    with watching(kept.url, collection=collection, cursor=watcher.cursor) as again:
        told = again.told(MANY)

    assert told == seqs(kept.app.store.events(after=int(watcher.cursor or 0), limit=2 * MANY))
    assert len(again.frames) > 2


def test_watcher_may_go_on_from_what_it_has_read_in_other_ways(kept: Service, bench: Bench) -> None:
    # Somebody watches already, so that it is known where the events ended a moment ago.
    with watching(kept.url) as other:
        other.until("hello")
        for _ in range(5):
            task = bench.add()
            (submitted,) = kept.data(kept.get(f"/api/tasks/{task.id}/events"))["events"]
            with watching(kept.url, f"/ws/tasks/{task.id}", cursor=submitted["seq"]) as watcher:
                watcher.until("hello")
                bench.take(task.id)
                watcher.told(1)

            assert names(watcher) == ["claimed"]


def test_watcher_may_resume_from_any_message(kept: Service, bench: Bench) -> None:
    task = bench.ended(Cancelled())
    with watching(kept.url, f"/ws/tasks/{task.id}", cursor=0) as watcher:
        frames, _ = watcher.rest()

    for number, frame in enumerate(frames):
        with watching(kept.url, f"/ws/tasks/{task.id}", cursor=frame["cursor"]) as again:
            rest, code = again.rest()

        assert seqs_of(rest) == seqs_of(frames[number + 1 :])
        assert (rest[-1], code) == (frames[-1], 1000)


def test_task_that_has_ended_already_is_told_at_once(kept: Service, bench: Bench) -> None:
    task = bench.ended(Completed(result={"n": 1}))

    with watching(kept.url, f"/ws/tasks/{task.id}") as watcher:
        frames, code = watcher.rest()

    assert (frames[0]["type"], frames[-1]["type"], code) == ("hello", "end", 1000)
    assert frames[0]["task"] == frames[-1]["task"]
    assert frames[-1]["task"]["result"] == {"n": 1}


def test_task_that_is_tried_again_is_followed_to_its_end(kept: Service, bench: Bench) -> None:
    task = bench.add()
    with watching(kept.url, f"/ws/tasks/{task.id}", cursor=0) as watcher:
        bench.end(bench.take(task.id), Retried(error=ERROR, delay_seconds=0.0))
        watcher.told(3)
        bench.end(bench.take(task.id), Completed())

        end = watcher.until("end")

    assert names(watcher) == [event.name for event in bench.events(task)]
    assert end["task"]["attempt"] == 2


@pytest.mark.parametrize("kept", ["postgres"], indirect=True)
def test_end_is_not_told_before_what_led_to_it(kept: Service, bench: Bench) -> None:
    task = bench.add()
    with watching(kept.url, f"/ws/tasks/{task.id}", cursor=0) as watcher, ExitStack() as second:
        watcher.told(1)
        # The first holds up the claim; when it is over, the second holds up the end of a task that has ended.
        with held_back(kept):
            claimed = bench.take(task.id)
            second.enter_context(held_back(kept))
            bench.end(claimed, Completed())
        frames, code = watcher.rest()

    assert names(watcher) == ["submitted", "claimed", "completed"]
    assert (frames[-1]["type"], code) == ("end", 1000)


@pytest.mark.parametrize("kept", ["postgres"], indirect=True)
def test_event_that_is_committed_late_is_told_in_its_place(kept: Service, bench: Bench) -> None:
    task = bench.started()
    with watching(kept.url, cursor=bench.events(task)[0].seq) as watcher:
        watcher.told(1)
        with held_back(kept) as late:
            early = bench.add()
            # Progress shows that there was another look.
            kept.app.store.progress(task.id, task.lease, Progress(done=1))
            while not watcher.frame()["running"]:
                pass
            assert names(watcher) == ["claimed"]
            with watching(kept.url, cursor=watcher.cursor) as again:
                again.until("hello")
        watcher.told(3)
        with watching(kept.url, cursor=again.cursor) as later:
            later.told(2)

    told = [event["task_id"] for frame in later.frames[1:] for event in frame["events"]]
    assert told == [late, early.id]
    assert seqs_of(watcher.frames)[1:] == seqs_of(later.frames)


def test_task_that_nobody_knows_is_refused(kept: Service) -> None:
    status, problem = refusal(kept.url, "/ws/tasks/0199a1f0")

    assert (status, problem["code"], problem["task_id"]) == (404, "task_not_found", "0199a1f0")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"cursor": "yesterday"}, "cursor_invalid"),
        ({"cursor": "-1"}, "cursor_invalid"),
        ({"cursor": 10**15}, "cursor_ahead"),
        ({"state": "failed"}, "field_unknown"),
        ({"parent_id": "x" * 101}, "field_too_long"),
    ],
    ids=str,
)
def test_query_that_makes_no_sense_is_refused(kept: Service, query: dict[str, Any], code: str) -> None:
    status, problem = refusal(kept.url, **query)

    assert (status, problem["code"]) == (422, code)
    assert problem["field"] in query


def test_watcher_of_one_task_cannot_ask_for_others(kept: Service, bench: Bench) -> None:
    status, problem = refusal(kept.url, f"/ws/tasks/{bench.add().id}", kind="ping")

    assert (status, problem["code"], problem["field"]) == (422, "field_unknown", "kind")


def test_refusal_is_in_the_language_of_the_client(kept: Service) -> None:
    _, problem = refusal(kept.url, cursor="yesterday", headers={"Accept-Language": "zh-CN"})

    assert "不是有效的游标" in problem["message"]
