"""What goes on with tasks: which of it concerns somebody, and how far those are that run."""

from typing import Any

import pytest

from gristmill.errors import Unavailable
from gristmill.tasks.feed import Feed, Update, Wanted, missed
from gristmill.tasks.model import Completed, Failed, Progress, Task
from gristmill.tasks.ports import TaskStore
from tests.support.clock import TestClock
from tests.support.flaky import FlakyStore
from tests.support.tasks import ERROR, Bench

LOOK_SECONDS = 0.3
"""After so long, a feed asks for progress again."""


@pytest.fixture
def feed(store: TaskStore, clock: TestClock) -> Feed:
    feed = Feed(store, clock)
    feed.look()
    return feed


def look(feed: Feed) -> Update:
    update = feed.look()
    assert update is not None
    return update


def told(update: Update) -> list[tuple[str, str]]:
    return [(event.task_id, event.name) for event in update.events]


def moves(bench: Bench, task: Task, done: int) -> None:
    assert bench.store.progress(task.id, task.lease, Progress(stage="embed", unit="chunks", done=done, total=10))


def running(update: Update) -> dict[str, int]:
    return {task.id: task.progress.done for task in update.running}


@pytest.mark.parametrize(
    ("wanted", "is_included"),
    [
        ({}, True),
        ({"task_id": "mine"}, True),
        ({"task_id": "other"}, False),
        ({"kinds": ("ping", "sweep")}, True),
        ({"kinds": ("sweep",)}, False),
        ({"queues": ("default",)}, True),
        ({"queues": ("images",)}, False),
        ({"engines": ("local", "rq")}, True),
        ({"engines": ("rq",)}, False),
        ({"collection": "notes"}, True),
        ({"collection": "default"}, False),
        ({"parent_id": "above"}, True),
        ({"parent_id": "beside"}, False),
        ({"kinds": ("ping",), "collection": "notes", "parent_id": "above"}, True),
        ({"kinds": ("ping",), "collection": "notes", "parent_id": "beside"}, False),
    ],
    ids=str,
)
def test_task_is_wanted_when_every_field_fits(bench: Bench, wanted: dict[str, Any], *, is_included: bool) -> None:
    bench.add(id="above")
    task = bench.add(id="mine", collection="notes", parent_id="above")

    assert Wanted(**wanted).includes(task) is is_included


def test_task_without_a_collection_is_not_of_one_that_is_wanted(bench: Bench) -> None:
    assert not Wanted(collection="notes").includes(bench.add())
    assert not Wanted(parent_id="above").includes(bench.add())


def test_part_of_an_update_has_the_events_the_tasks_and_the_progress_of_what_is_wanted(
    bench: Bench, feed: Feed, clock: TestClock
) -> None:
    ours, others = bench.started(collection="notes"), bench.started(collection="other")
    look(feed)
    for task in (ours, others):
        moves(bench, task, 3)
    new = [bench.add(collection=name) for name in ("notes", "other")]
    clock.pass_time(LOOK_SECONDS)

    update = look(feed)
    part = update.of(Wanted(collection="notes"))

    assert set(update.tasks) == {task.id for task in new}
    assert (told(part), set(part.tasks), running(part)) == ([(new[0].id, "submitted")], {new[0].id}, {ours.id: 3})
    assert part.cursor == update.cursor
    assert part
    assert not update.of(Wanted(collection="nobody's"))


def test_events_are_told_once_with_their_tasks_as_they_are_now(bench: Bench, feed: Feed) -> None:
    task = bench.ended(Completed(result={"n": 1}))

    update = look(feed)

    assert told(update) == [(task.id, name) for name in ("submitted", "claimed", "completed")]
    assert update.tasks == {task.id: task}
    assert (update.cursor, feed.cursor) == (update.events[-1].seq, update.cursor)
    assert not look(feed)


def test_feed_begins_behind_a_cursor(bench: Bench, store: TaskStore, clock: TestClock) -> None:
    first, second = bench.add(), bench.add()
    (submitted,) = bench.events(first)

    update = look(Feed(store, clock, after=submitted.seq))

    assert told(update) == [(second.id, "submitted")]


def test_progress_is_told_when_it_moved(bench: Bench, feed: Feed, clock: TestClock) -> None:
    task = bench.started()
    look(feed)
    seen = []
    for done in (0, 4, 4, 7):
        moves(bench, task, done)
        clock.pass_time(LOOK_SECONDS)
        seen.append(running(look(feed)))

    assert seen == [{task.id: 0}, {task.id: 4}, {}, {task.id: 7}]


def test_task_that_runs_already_when_the_feed_begins_is_told_once_it_moves(
    bench: Bench, store: TaskStore, clock: TestClock
) -> None:
    task = bench.started()
    moves(bench, task, 4)
    feed = Feed(store, clock)
    seen = []
    for done in (4, 5):
        moves(bench, task, done)
        clock.pass_time(LOOK_SECONDS)
        seen.append(running(look(feed)))

    assert seen == [{}, {task.id: 5}]


def test_progress_is_asked_for_no_more_often_than_handlers_write_it(bench: Bench, feed: Feed, clock: TestClock) -> None:
    task = bench.started()
    look(feed)
    moves(bench, task, 1)
    assert running(look(feed)) == {}
    clock.pass_time(LOOK_SECONDS)
    assert running(look(feed)) == {task.id: 1}


def test_progress_beside_an_event_is_told_with_the_task(bench: Bench, feed: Feed, clock: TestClock) -> None:
    task = bench.started()
    moves(bench, task, 5)
    clock.pass_time(LOOK_SECONDS)

    update = look(feed)

    assert (update.tasks[task.id].progress.done, running(update)) == (5, {})


def test_first_progress_after_the_claim_was_told_is_not_swallowed(bench: Bench, feed: Feed, clock: TestClock) -> None:
    task = bench.started()
    # Told when it is not time to ask for progress.
    assert look(feed).tasks[task.id].progress.done == 0
    moves(bench, task, 5)
    clock.pass_time(LOOK_SECONDS)

    assert running(look(feed)) == {task.id: 5}


class Meanwhile:
    """A store whose task gets further between two questions of one look."""

    def __init__(self, bench: Bench, task: Task) -> None:
        self._bench = bench
        self._task = task
        self._asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._bench.store, name)
        if name not in ("find", "get_many"):
            return real

        def asked(*arguments: Any, **options: Any) -> Any:
            self._asked.append(name)
            if len(self._asked) == 2:
                moves(self._bench, self._task, 8)
            return real(*arguments, **options)

        return asked


def test_progress_that_is_made_during_a_look_is_told_by_it_or_the_next(bench: Bench, clock: TestClock) -> None:
    task = bench.add()
    store = Meanwhile(bench, bench.take(task.id))
    feed = Feed(store, clock, after=0)

    seen = [look(feed).tasks[task.id].progress.done]
    clock.pass_time(LOOK_SECONDS)
    seen += running(look(feed)).values()

    assert seen[-1] == 8


def test_feed_that_is_begun_anew_after_trouble_tells_what_was_not_told(
    bench: Bench, store: TaskStore, clock: TestClock
) -> None:
    flaky = FlakyStore(store, "get_many", Unavailable("database_busy"), times=1)
    feed = Feed(flaky, clock)
    before = look(feed).cursor
    task = bench.add()
    with pytest.raises(Unavailable):
        feed.look()

    update = look(Feed(store, clock, after=before))

    assert told(update) == [(task.id, "submitted")]


def test_missed_events_come_in_pages_up_to_where_a_feed_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.tasks.feed._EVENTS", 3)
    ours, others = [bench.add(collection=name) for name in ("notes", "other")]
    for _ in range(3):
        bench.end(bench.take(ours.id), Failed(error=ERROR))
        bench.retry(ours.id)
    bench.take(others.id)
    log = bench.store.events()
    until = log[-1].seq
    bench.add(collection="notes")

    pages, cursor = [], 0
    while cursor < until:
        pages.append(missed(bench.store, Wanted(collection="notes"), after=cursor, until=until))
        cursor = pages[-1].cursor

    assert [event for page in pages for event in page.events] == [event for event in log if event.task_id == ours.id]
    assert cursor == until
    assert all(len(page.events) <= 3 for page in pages)


def test_missed_events_of_one_task_come_to_their_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.tasks.feed._EVENTS", 2)
    task = bench.ended(Completed())
    bench.add()

    pages, cursor = [], 0
    while page := missed(bench.store, Wanted(task_id=task.id), after=cursor, until=None):
        pages.append(page)
        cursor = page.cursor

    assert [told(page) for page in pages] == [
        [(task.id, "submitted"), (task.id, "claimed")],
        [(task.id, "completed")],
    ]
    assert page.cursor == cursor


def test_cursor_of_one_task_that_missed_little_is_where_the_feed_is(bench: Bench) -> None:
    task = bench.add()
    bench.add()
    until = bench.store.events()[-1].seq

    page = missed(bench.store, Wanted(task_id=task.id), after=0, until=until)

    assert (told(page), page.cursor) == ([(task.id, "submitted")], until)
