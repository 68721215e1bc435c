"""Webhooks: every end is told of once to whom it concerns, in order, and again until it has arrived or is given up."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from gristmill.app.posting import Posting
from gristmill.db.database import Database
from gristmill.db.deliveries import Deliveries, Delivery, Due
from gristmill.db.schema import tasks, webhook_deliveries
from gristmill.db.schema import webhooks as webhooks_table
from gristmill.db.tasks.moves import move
from gristmill.db.webhooks import StoredWebhook, Wants, Webhooks
from gristmill.errors import Conflict, NotFound
from gristmill.settings.model import WebhookSettings
from gristmill.tasks.model import Cancelled, Completed, Failed, Lost, TaskError, TaskState
from gristmill.tasks.ports import TaskStore
from gristmill.tasks.secrets import NO_VAULT
from tests.support.clock import TestClock
from tests.support.tasks import ERROR, Bench, new_task, new_worker
from tests.support.waiting import eventually

DAY = 24 * 3600
BUSY = 15.0
REFUSED = TaskError(code="receiver_refused", facts={"host": "desk.example", "status": 503})
URL = "https://desk.example/hooks/mill"
WRITERS = 4
EACH = 30

several_writers = pytest.mark.parametrize("task_database", ["postgres"], indirect=True)
"""SQLite has one writer at a time."""


@pytest.fixture
def webhooks(task_database: Database, task_clock: TestClock) -> Webhooks:
    return Webhooks(task_database, task_clock, NO_VAULT)


@pytest.fixture
def deliveries(task_database: Database, task_clock: TestClock) -> Deliveries:
    return Deliveries(task_database, task_clock)


@pytest.fixture
def make_posting(
    webhooks: Webhooks, deliveries: Deliveries, task_store: TaskStore, task_clock: TestClock
) -> Callable[[], Posting]:
    """Makes one process's share, which makes deliveries and posts none of them."""

    def make() -> Posting:
        settings = WebhookSettings(keep_days=7)
        posting = Posting(webhooks, deliveries, task_store, settings, task_clock, language="en", record=lambda _: None)
        posting.close()
        return posting

    return make


@pytest.fixture
def posting(make_posting: Callable[[], Posting]) -> Posting:
    return make_posting()


@pytest.fixture
def webhook(webhooks: Webhooks) -> StoredWebhook:
    """One that wants to hear of everything but sub-tasks."""
    return webhooks.add(URL, Wants())[0]


@pytest.fixture
def told(deliveries: Deliveries, webhook: StoredWebhook) -> Callable[[], list[Delivery]]:
    """What the webhook was told or will be, oldest first."""
    return lambda: deliveries.page(webhook.id, limit=10_000)[::-1]


def taken(deliveries: Deliveries, webhook: StoredWebhook) -> Due:
    """The next delivery, which must be there."""
    due = deliveries.take(webhook.id, busy_seconds=BUSY)
    assert due is not None
    return due


def refuse(deliveries: Deliveries, due: Due, *, again_seconds: float | None = 60.0, **how: Any) -> bool:
    return deliveries.failed(due, REFUSED, again_seconds=again_seconds, pause_seconds=2.0, **how)


@contextmanager
def ending(database: Database, clock: TestClock, task_id: str, *, rolled_back: bool = False) -> Iterator[None]:
    """A task that is being cancelled in a transaction which ends with the block."""
    with database.write() as tx:
        move(tx, "cancelled", tasks.c.id == task_id, {"finished_at": clock.now()}, clock.now())
        yield
        if rolled_back:
            tx.rollback()


def test_every_way_to_end_is_told_with_its_name(
    bench: Bench, posting: Posting, told: Callable[[], list[Delivery]]
) -> None:
    bench.ended(Completed())
    bench.ended(Failed(error=ERROR))
    bench.ended(Cancelled())
    parked = bench.add()
    for _ in range(3):
        bench.end(bench.take(parked.id), Lost(reason="killed by SIGKILL"))
    bench.started()

    assert posting.tend() == 4

    assert [delivery.event for delivery in told()] == [
        "task.completed",
        "task.failed",
        "task.cancelled",
        "task.failed",
    ]


def test_body_says_what_happened_and_what_the_task_is_like(
    bench: Bench, posting: Posting, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    task = bench.ended(Completed(result={"total": 3}), payload={"note": "mill"})
    posting.tend()

    due = taken(deliveries, webhook)

    (end,) = (event for event in bench.events(task) if event.name == "completed")
    assert (due.body["event"], due.body["seq"]) == ("task.completed", end.seq)
    assert due.body["at"] == "2023-11-14T22:13:20.000Z"
    assert (due.body["task"]["id"], due.body["task"]["state"]) == (task.id, "completed")
    assert (due.body["task"]["payload"], due.body["task"]["result"]) == ({"note": "mill"}, {"total": 3})


@pytest.mark.parametrize(
    ("wants", "count"),
    [
        (Wants(), 3),
        (Wants(states=(TaskState.FAILED, TaskState.CANCELLED)), 1),
        (Wants(kinds=("ping",)), 2),
        (Wants(queues=("documents",)), 1),
        (Wants(collection="drafts"), 1),
        (Wants(kinds=("ping",), queues=("documents",)), 0),
        (Wants(top_level_only=False), 5),
    ],
)
def test_webhook_hears_of_what_it_wants_and_nothing_else(
    bench: Bench, posting: Posting, webhooks: Webhooks, deliveries: Deliveries, wants: Wants, count: int
) -> None:
    webhook, _ = webhooks.add(URL, wants)
    other = bench.add(kind="index_document", queue="documents", collection="drafts")
    bench.end(bench.take(other.id, queues=["documents"], kinds=["index_document"]), Completed())
    bench.ended(Failed(error=ERROR))
    _, children = bench.waiting([new_task(), new_task()])
    for child in children:
        bench.end(bench.take(child.id), Completed())
    bench.end(bench.take(), Completed())

    posting.tend()

    assert len(deliveries.page(webhook.id, limit=10)) == count


def test_webhook_hears_of_nothing_that_ended_before_it_was_made(
    bench: Bench, posting: Posting, told: Callable[[], list[Delivery]], webhooks: Webhooks, deliveries: Deliveries
) -> None:
    bench.ended(Completed())
    late, _ = webhooks.add(URL, Wants())
    second = bench.ended(Completed())

    posting.tend()

    assert [delivery.task_id for delivery in deliveries.page(late.id, limit=10)] == [second.id]
    assert len(told()) == 2


def test_end_is_told_anew_after_a_retry(bench: Bench, posting: Posting, told: Callable[[], list[Delivery]]) -> None:
    task = bench.ended(Failed(error=ERROR))
    posting.tend()
    bench.retry(task.id)
    bench.end(bench.take(task.id), Completed())
    posting.tend()

    assert [delivery.event for delivery in told()] == ["task.failed", "task.completed"]
    assert len({delivery.id for delivery in told()}) == 2


def test_several_that_look_at_once_make_one_delivery_of_each_end(
    bench: Bench, make_posting: Callable[[], Posting], told: Callable[[], list[Delivery]]
) -> None:
    ended = [bench.ended(Completed()) for _ in range(20)]
    sweepers = [make_posting() for _ in range(6)]

    with ThreadPoolExecutor(len(sweepers)) as pool:
        made = list(pool.map(lambda sweeper: sweeper.tend(), sweepers))

    assert sum(made) == len(ended)
    assert [delivery.task_id for delivery in told()] == [task.id for task in ended]


def test_no_end_is_missed_while_many_end_tasks_and_several_look(
    task_store: TaskStore, make_posting: Callable[[], Posting], told: Callable[[], list[Delivery]]
) -> None:
    over = threading.Event()
    ended: list[str] = []

    def write(number: int) -> None:
        worker = f"worker-{number}"
        task_store.register_worker(new_worker(worker, queues=(worker,)))
        for _ in range(EACH):
            task_store.add([new_task(queue=worker), new_task(queue=worker)])
            for task in task_store.claim(worker, queues=[worker], kinds=["ping"], limit=2):
                task_store.finish(task.id, task.lease, Completed())
                ended.append(task.id)

    def look(sweeper: Posting) -> None:
        while not over.is_set():
            sweeper.tend()

    with ThreadPoolExecutor(2) as lookers, ThreadPoolExecutor(WRITERS) as writers:
        looking = [lookers.submit(look, make_posting()) for _ in range(2)]
        list(writers.map(write, range(WRITERS)))
        over.set()
        for each in looking:
            each.result()
    last = make_posting()
    # What others have open on the same server may still hold numbers back.
    eventually(lambda: last.tend() == 0 and len(told()) == len(ended), 40)

    assert sorted(delivery.task_id for delivery in told()) == sorted(ended)
    assert len(ended) == WRITERS * EACH * 2


@several_writers
def test_end_that_is_committed_late_is_told(
    task_database: Database,
    bench: Bench,
    posting: Posting,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    slow = bench.add()
    with ending(task_database, task_clock, slow.id):
        quick = bench.ended(Completed())
        posting.tend()

    eventually(lambda: posting.tend() == 0 and len(told()) == 2, 30)
    assert [delivery.task_id for delivery in told()] == [slow.id, quick.id]


@several_writers
def test_end_is_told_although_its_transaction_is_younger_than_that_of_a_later_one(
    task_database: Database,
    bench: Bench,
    posting: Posting,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    slow, quick = bench.add(), bench.add()
    older = ExitStack()
    connection = older.enter_context(task_database.write())
    connection.execute(text("SELECT pg_current_xact_id()"))
    with ending(task_database, task_clock, slow.id):
        move(connection, "cancelled", tasks.c.id == quick.id, {"finished_at": task_clock.now()}, task_clock.now())
        older.close()
        posting.tend()

    eventually(lambda: posting.tend() == 0 and len(told()) == 2, 30)
    assert [delivery.task_id for delivery in told()] == [slow.id, quick.id]


@several_writers
def test_webhook_does_not_begin_before_what_is_being_written_is_over(
    task_database: Database,
    bench: Bench,
    webhooks: Webhooks,
    task_clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = bench.add()
    open_transaction = ExitStack()
    open_transaction.enter_context(ending(task_database, task_clock, slow.id))
    bench.add()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        open_transaction.close()

    monkeypatch.setattr("gristmill.db.webhooks.time", SimpleNamespace(sleep=sleep))
    webhooks.add(URL, Wants())

    assert waits
    assert bench.get(slow).state is TaskState.CANCELLED


def test_nothing_is_made_where_nobody_listens(
    bench: Bench, posting: Posting, webhooks: Webhooks, webhook: StoredWebhook, told: Callable[[], list[Delivery]]
) -> None:
    webhooks.change(webhook.id, active=False, wants={})
    bench.ended(Completed())
    assert posting.tend() == 0

    assert webhooks.change(webhook.id, active=True, wants={}).active
    after = bench.ended(Completed())
    posting.tend()

    assert [delivery.task_id for delivery in told()] == [after.id]


def test_change_of_wants_counts_from_then_on(
    bench: Bench, posting: Posting, webhooks: Webhooks, webhook: StoredWebhook, told: Callable[[], list[Delivery]]
) -> None:
    bench.ended(Completed())
    posting.tend()
    changed = webhooks.change(webhook.id, wants={"states": ["failed"], "collection": "drafts"})
    bench.ended(Completed())
    failed = bench.ended(Failed(error=ERROR), collection="drafts")
    posting.tend()

    assert changed.wants == Wants(states=(TaskState.FAILED,), collection="drafts")
    assert [delivery.task_id for delivery in told()][1:] == [failed.id]


def test_deliveries_are_posted_in_order_and_one_at_a_time(
    bench: Bench, posting: Posting, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    ended = [bench.ended(Completed()) for _ in range(3)]
    posting.tend()

    order = []
    for _ in ended:
        with ThreadPoolExecutor(4) as pool:
            asked = list(pool.map(lambda _: deliveries.take(webhook.id, busy_seconds=BUSY), range(4)))
        (due,) = [due for due in asked if due is not None]
        assert deliveries.due() == []
        assert deliveries.arrived(due)
        order.append(due.task_id)

    assert order == [task.id for task in ended]
    assert deliveries.take(webhook.id, busy_seconds=BUSY) is None


def test_each_webhook_is_posted_to_by_itself(
    bench: Bench, posting: Posting, webhooks: Webhooks, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    other, _ = webhooks.add(URL, Wants())
    bench.ended(Completed())
    posting.tend()

    first = taken(deliveries, webhook)

    assert deliveries.due() == [other.id]
    second = taken(deliveries, other)
    assert first.id != second.id
    assert first.task_id == second.task_id


def test_delivery_of_a_process_that_died_is_posted_again_under_the_same_id(
    bench: Bench, posting: Posting, deliveries: Deliveries, webhook: StoredWebhook, task_clock: TestClock
) -> None:
    bench.ended(Completed())
    posting.tend()
    dead = taken(deliveries, webhook)
    task_clock.pass_time(BUSY)

    again = taken(deliveries, webhook)

    assert (again.id, again.tries, again.body) == (dead.id, 2, dead.body)
    # It was not dead, only slow: what it says of its try no longer counts.
    assert not refuse(deliveries, dead, again_seconds=None)
    assert not deliveries.arrived(dead)
    assert deliveries.arrived(again)


def test_what_a_wrong_clock_has_put_off_is_due(
    bench: Bench, posting: Posting, deliveries: Deliveries, webhook: StoredWebhook, task_clock: TestClock
) -> None:
    bench.ended(Completed())
    task_clock.jump(DAY)
    posting.tend()
    taken(deliveries, webhook)

    task_clock.jump(-DAY)

    assert deliveries.due() == [webhook.id]
    assert taken(deliveries, webhook).tries == 2


def test_failed_delivery_waits_its_time_while_those_behind_it_are_posted(
    bench: Bench,
    posting: Posting,
    webhooks: Webhooks,
    deliveries: Deliveries,
    webhook: StoredWebhook,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    first, second = bench.ended(Completed()), bench.ended(Completed())
    posting.tend()
    refuse(deliveries, taken(deliveries, webhook), again_seconds=60)

    # A receiver that has failed gets a pause, whatever waits for it.
    assert deliveries.take(webhook.id, busy_seconds=BUSY) is None
    assert webhooks.get(webhook.id).failures == 1
    task_clock.pass_time(2)
    behind = taken(deliveries, webhook)
    deliveries.arrived(behind)

    assert behind.task_id == second.id
    assert webhooks.get(webhook.id).failures == 0
    assert deliveries.take(webhook.id, busy_seconds=BUSY) is None
    (waiting,) = (delivery for delivery in told() if delivery.task_id == first.id)
    assert (waiting.state, waiting.tries, waiting.error) == (
        "pending",
        1,
        {"code": REFUSED.code, "facts": dict(REFUSED.facts), "type": REFUSED.type},
    )
    task_clock.pass_time(58)
    assert taken(deliveries, webhook).task_id == first.id


def test_delivery_that_is_given_up_says_why_and_can_be_replayed(
    bench: Bench,
    posting: Posting,
    deliveries: Deliveries,
    webhook: StoredWebhook,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    bench.ended(Completed())
    posting.tend()
    lost = taken(deliveries, webhook)
    with pytest.raises(Conflict, match="still to be posted"):
        deliveries.replay(webhook.id, lost.id)
    refuse(deliveries, lost, again_seconds=None)
    task_clock.pass_time(DAY)
    (given_up,) = told()

    assert (given_up.state, given_up.ended_at) == ("failed", task_clock.now() - DAY * 1_000_000)
    assert given_up.error is not None
    assert deliveries.due() == []

    replayed = deliveries.replay(webhook.id, lost.id)
    again = taken(deliveries, webhook)

    assert (replayed.id, replayed.state, replayed.error, replayed.ended_at) == (lost.id, "pending", None, None)
    assert (again.id, again.tries, again.body) == (lost.id, 1, lost.body)
    deliveries.arrived(again)
    assert [delivery.state for delivery in told()] == ["delivered"]


def test_delivery_is_replayed_for_its_own_webhook_alone(
    bench: Bench, posting: Posting, webhooks: Webhooks, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    other, _ = webhooks.add(URL, Wants(kinds=("batch_index",)))
    bench.ended(Completed())
    posting.tend()
    due = taken(deliveries, webhook)
    deliveries.arrived(due)

    with pytest.raises(NotFound):
        deliveries.replay(other.id, due.id)


def test_webhook_that_was_switched_off_is_posted_nothing_until_it_is_switched_on(
    bench: Bench, posting: Posting, webhooks: Webhooks, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    first, second = bench.ended(Completed()), bench.ended(Completed())
    posting.tend()
    refuse(deliveries, taken(deliveries, webhook), again_seconds=None, switch_off=True)

    assert not webhooks.get(webhook.id).active
    assert deliveries.due() == []
    assert deliveries.take(webhook.id, busy_seconds=BUSY) is None

    webhooks.change(webhook.id, active=True, wants={})
    assert taken(deliveries, webhook).task_id == second.id
    assert first.id != second.id


def test_delivery_that_a_crash_of_the_machine_took_back_is_made_again_as_the_same(
    bench: Bench, posting: Posting, task_database: Database, told: Callable[[], list[Delivery]]
) -> None:
    bench.ended(Completed())
    posting.tend()
    (before,) = told()
    with task_database.write() as tx:
        tx.execute(delete(webhook_deliveries))
        tx.execute(update(webhooks_table).values(seq=0))

    posting.tend()

    assert [delivery.id for delivery in told()] == [before.id]


def test_log_is_read_in_pages_from_its_end(
    bench: Bench, posting: Posting, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    ended = [bench.ended(Completed()) for _ in range(5)]
    posting.tend()
    for _ in range(2):
        deliveries.arrived(taken(deliveries, webhook))

    first = deliveries.page(webhook.id, limit=3)
    rest = deliveries.page(webhook.id, limit=3, before=first[-1].seq)

    assert [delivery.task_id for delivery in [*first, *rest]] == [task.id for task in ended[::-1]]
    assert [delivery.task_id for delivery in deliveries.page(webhook.id, states=["delivered"], limit=5)] == [
        ended[1].id,
        ended[0].id,
    ]


def test_old_deliveries_are_forgotten_and_what_is_to_be_posted_again_is_not(
    bench: Bench,
    posting: Posting,
    deliveries: Deliveries,
    webhook: StoredWebhook,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    for _ in range(3):
        bench.ended(Completed())
    posting.tend()
    replayed, delivered = taken(deliveries, webhook), None
    deliveries.arrived(replayed)
    delivered = taken(deliveries, webhook)
    deliveries.arrived(delivered)
    task_clock.pass_time(8 * DAY)
    deliveries.replay(webhook.id, replayed.id)
    fresh = bench.ended(Completed())
    posting.tend()

    assert posting.purge() == 2
    assert [delivery.task_id for delivery in told()] == [replayed.task_id, fresh.id]
    assert posting.purge() == 0


def test_webhook_takes_its_deliveries_with_it(
    bench: Bench, posting: Posting, webhooks: Webhooks, deliveries: Deliveries, webhook: StoredWebhook
) -> None:
    bench.ended(Completed())
    posting.tend()
    due = taken(deliveries, webhook)

    webhooks.remove(webhook.id)

    assert deliveries.page(webhook.id, limit=5) == []
    assert not deliveries.arrived(due)
    with pytest.raises(NotFound):
        webhooks.remove(webhook.id)
    with pytest.raises(NotFound):
        webhooks.change(webhook.id, active=True, wants={})


def test_end_of_a_task_that_is_forgotten_holds_up_nobody(
    bench: Bench,
    posting: Posting,
    task_store: TaskStore,
    told: Callable[[], list[Delivery]],
    task_clock: TestClock,
) -> None:
    bench.ended(Completed())
    task_clock.pass_time(1)
    task_store.purge(finished_before=task_clock.now(), limit=10)
    kept = bench.ended(Completed())

    posting.tend()

    assert [delivery.task_id for delivery in told()] == [kept.id]
