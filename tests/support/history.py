"""Proves from the event log that no promise about a task was broken, whatever happened to those who ran it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Event, Task, TaskState
from gristmill.tasks.ports import TaskStore

__all__ = ["all_events", "broken_promises", "effects_in", "prepare_effects", "what_broke"]

_PAGE = 5000


def broken_promises(
    accepted: Collection[str],
    tasks: Iterable[Task],
    events: Iterable[Event],
    *,
    effects: Mapping[str, int] | None = None,
    ended: bool = True,
) -> list[str]:
    """What is wrong with the histories of ``accepted``; nothing, if every promise was kept.

    ``ended`` expects all of them in a final state. ``effects`` counts what the handlers of tasks have left in the
    database: a task whose kind leaves one must have left exactly one if it completed, and none if it did not.
    """
    rows = {task.id: task for task in tasks}
    told: defaultdict[str, list[Event]] = defaultdict(list)
    broken: list[str] = []
    last = 0
    for event in events:
        if event.seq <= last:
            broken.append(f"event {event.seq} comes after {last}")
        last = event.seq
        told[event.task_id].append(event)
    for task_id in accepted:
        if task_id not in rows:
            broken.append(f"{task_id}: accepted and lost")
            continue
        found = [*_history(told[task_id], rows[task_id])]
        if ended and not rows[task_id].state.is_final:
            found.append(f"still {rows[task_id].state.value}")
        if effects is not None:
            expected = int(rows[task_id].state is TaskState.COMPLETED)
            if effects.get(task_id, 0) != expected:
                found.append(f"{effects.get(task_id, 0)} effects of a task that is {rows[task_id].state.value}")
        broken += [f"{task_id}: {what}; history: {[event.name for event in told[task_id]]}" for what in found]
    return broken


def _history(events: Sequence[Event], task: Task) -> Iterable[str]:
    state: TaskState | None = None
    lease = 0
    holder: str | None = None
    for event in events:
        transition = TRANSITIONS.get(event.name)
        if event.name == "claimed":
            if holder is not None:
                yield f"claimed by {event.worker_id} while {holder} held it"
            if event.lease != lease + 1:
                yield f"lease {event.lease} follows {lease}"
            lease, holder = event.lease, event.worker_id
        elif event.lease != lease:
            yield f"{event.name} under lease {event.lease} while {lease} was the valid one"
        if transition is None:
            continue
        if state not in transition.sources and not (state is None and not transition.sources):
            yield f"{event.name} of a task that was {state and state.value}"
        if event.name != "claimed" and state is TaskState.PROCESSING:
            by = event.detail.get("worker")
            if holder is not None and by is not None and by != holder:
                yield f"{event.name} by {by} while {holder} held it"
            holder = None
        state = transition.target
    if (state, lease) != (task.state, task.lease):
        yield f"the row says {task.state.value} under lease {task.lease}, the events {state and state.value} under {lease}"
    names = Counter(event.name for event in events)
    ends = sum(names[name] for name, transition in TRANSITIONS.items() if transition.target.is_final)
    if ends != names["retried"] + int(task.state.is_final):
        yield f"ended {ends} times, retried {names['retried']} times"


def all_events(store: TaskStore) -> list[Event]:
    """The whole event log."""
    events: list[Event] = []
    while page := store.events(after=events[-1].seq if events else 0, limit=_PAGE):
        events += page
    return events


def what_broke(
    store: TaskStore, accepted: Collection[str], *, effects: Mapping[str, int] | None = None, ended: bool = True
) -> list[str]:
    """:func:`broken_promises` of what ``store`` holds now."""
    tasks = [
        task for start in range(0, len(accepted), _PAGE) for task in store.get_many([*accepted][start : start + _PAGE])
    ]
    return broken_promises(accepted, tasks, all_events(store), effects=effects, ended=ended)


def prepare_effects(database: Database) -> None:
    """Make the table that the ``counted`` handler leaves its effects in."""
    with database.write() as transaction:
        transaction.execute(text("CREATE TABLE IF NOT EXISTS effects (task_id TEXT NOT NULL, lease INTEGER NOT NULL)"))


def effects_in(database: Database) -> Mapping[str, int]:
    """How many effects each task has left."""
    with database.read() as transaction:
        rows = transaction.execute(text("SELECT task_id, count(*) FROM effects GROUP BY task_id"))
        return {row[0]: row[1] for row in rows}
