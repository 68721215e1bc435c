"""Who comes first: cancel or finish, one delivery or another, urgent work or what has waited long."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from gristmill.tasks.model import Cancelled, Completed, Outcome, Retried, Task, TaskFilter, TaskState, Waiting
from tests.integration.worker.conftest import Mill
from tests.support.history import all_events, what_broke
from tests.support.tasks import ERROR, Bench, new_task, new_worker
from tests.support.waiting import eventually

RACES = 200


def together(*actions: Callable[[], object]) -> None:
    """Run the actions at the same time, each in a thread of its own; fails if one of them does."""
    start = threading.Barrier(len(actions))
    errors: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        start.wait()
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_cancel_and_finish_have_one_winner_in_a_thousand_races(bench: Bench) -> None:
    source = random.Random(15)
    bench.store.add([new_task() for _ in range(1000)])
    tasks = bench.claim(limit=1000)
    possible: list[Outcome] = [Completed(), Retried(error=ERROR, delay_seconds=0), Cancelled()]
    outcomes: dict[str, Outcome] = {task.id: source.choice(possible) for task in tasks}
    finishing, cancelling = source.sample(tasks, 1000), source.sample(tasks, 1000)
    answers: dict[str, Task | None] = {}

    def finish() -> None:
        for task in finishing:
            answers[task.id] = bench.store.finish(task.id, task.lease, outcomes[task.id])

    def cancel() -> None:
        for task in cancelling:
            bench.cancel(task.id)

    together(finish, cancel)

    assert what_broke(bench.store, [task.id for task in tasks]) == []
    ended = {task.id: task.state for task in bench.store.get_many([task.id for task in tasks])}
    for task_id, outcome in outcomes.items():
        # Work that was done stays done; whatever would have gone on was stopped.
        expected = TaskState.COMPLETED if isinstance(outcome, Completed) else TaskState.CANCELLED
        assert ended[task_id] is expected
        assert answers[task_id] is not None
    orders = Counter(
        tuple(name for name in bench.history(task.id) if name in ("cancel_requested", "retry_scheduled", "completed"))
        for task in tasks
    )
    assert len(orders) > 1, f"nothing raced: {orders}"


def test_parent_that_begins_to_wait_as_its_last_child_ends_is_resumed(bench: Bench) -> None:
    for _ in range(RACES):
        # The child is there before, as those of an attempt that was lost are, or the first of very many.
        parent = bench.started()
        child = bench.take(bench.add(parent_id=parent.id).id)
        waiting = Waiting(spawn=[new_task(id=child.id, parent_id=parent.id)])

        together(partial(bench.end, child, Completed()), partial(bench.end, parent, waiting))

        assert bench.get(parent).state is TaskState.PENDING, "it waits for a child that has ended"


def test_task_that_is_delivered_five_times_is_claimed_once(bench: Bench) -> None:
    workers = [f"worker-{number}" for number in range(2, 7)]
    for worker in workers:
        bench.store.register_worker(new_worker(worker))
    tasks = bench.store.add([new_task() for _ in range(40)])
    claimed: list[str] = []

    def deliver(worker: str) -> Callable[[], None]:
        def run() -> None:
            for task in tasks:
                claimed.extend(found.id for found in bench.claim(worker=worker, ids=[task.id]))

        return run

    together(*(deliver(worker) for worker in workers))

    assert sorted(claimed) == sorted(task.id for task in tasks)
    assert what_broke(bench.store, [task.id for task in tasks], ended=False) == []


def test_urgent_work_starts_next_and_the_rest_is_not_starved(make_mill: Callable[..., Mill]) -> None:
    mill = make_mill(tasks={"aging_seconds": 0.5})
    store = mill.app.store
    rules = mill.app.kinds["ping"]
    low = [new_task(queue=rules.queue, priority=1) for _ in range(10_000)]
    for start in range(0, len(low), 2000):
        store.add(low[start : start + 2000])
    rank = {task.id: place for place, task in enumerate(low)}
    # Each longer than what shares a transaction, and all of them longer together than the aging bound.
    urgent = [mill.app.tasks.submit("ping", {"seconds": 0.25}, priority=9).id for _ in range(40)]
    mill.start()
    eventually(lambda: store.counts(TaskFilter(ids=urgent)) == {TaskState.COMPLETED: len(urgent)}, 40)

    late = mill.app.tasks.submit("ping", {}, priority=9)
    mill.ended(late)

    events = all_events(store)
    claims = [event.task_id for event in events if event.name == "claimed"]
    until_the_last = claims[: max(claims.index(task_id) for task_id in urgent) + 1]
    between = [task_id for task_id in until_the_last if task_id in rank]
    # At most every eighth claim, which may take several short tasks together, and never none for long.
    assert len(between) >= 3
    assert [rank[task_id] for task_id in between] == sorted(rank[task_id] for task_id in between)
    gaps = "".join("l" if task_id in rank else "u" for task_id in until_the_last).strip("l").split("u" * 17)
    assert len(gaps) <= 2, "low work stood still for longer than two turns"
    # From its submission on, only what was claimed already may come before it.
    submitted = next(event.seq for event in events if event.task_id == late.id)
    started = next(event.seq for event in events if event.task_id == late.id and event.name == "claimed")
    overtaken = sum(event.name == "claimed" for event in events if submitted < event.seq < started)
    assert overtaken <= 2 * 32
    mill.app.tasks.cancel(TaskFilter(states=[TaskState.PENDING]))
