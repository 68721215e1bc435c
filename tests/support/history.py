"""Proves from the event log that no promise about a task was broken, whatever happened to those who ran it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import text

from gristmill.db.database import Database
from gristmill.tasks.lifecycle import TRANSITIONS
from gristmill.tasks.model import Effect, Event, Task, TaskState
from gristmill.tasks.ports import TaskStore

__all__ = ["Effects", "all_events", "broken_promises", "effect_of", "effects_in", "prepare_effects", "what_broke"]

Effects: TypeAlias = Mapping[str, Sequence[int]]
"""Per task, the leases under which its effects happened."""

_PAGE = 5000
_CANCELS = frozenset({"cancel_requested", "cancelled"})
_ENDS_OF_THE_CANCELLED = frozenset({"cancelled", "completed", "failed"})
"""A cancel stops whatever would go on; it does not undo what was reached first."""


def broken_promises(
    accepted: Collection[str],
    tasks: Iterable[Task],
    events: Iterable[Event],
    *,
    effects: Effects | None = None,
    cancels: Collection[str] = (),
    ended: bool = True,
) -> list[str]:
    """What is wrong with the histories of ``accepted``; nothing, if every promise was kept.

    ``ended`` expects all of them in a final state. ``effects`` are what handlers have left in the database: a task
    whose kind leaves one must have left exactly one, under its last lease, if it completed, and none if it did not.
    ``cancels`` are those whose owners were told that they will stop: each must have stopped, or its history must say
    that its success or its failure was reached first.
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
            found += _effects(effects.get(task_id, ()), rows[task_id])
        if task_id in cancels and not any(event.name in _CANCELS for event in told[task_id]):
            found.append("its cancel was accepted and forgotten")
        broken += [f"{task_id}: {what}; history: {[event.name for event in told[task_id]]}" for what in found]
    return broken


def _effects(leases: Sequence[int], task: Task) -> Iterable[str]:
    if len(leases) != int(task.state is TaskState.COMPLETED):
        yield f"{len(leases)} effects of a task that is {task.state.value}"
    elif set(leases) - {task.lease}:
        yield f"an effect under lease {leases[0]} of a task that completed under {task.lease}"


def _history(events: Sequence[Event], task: Task) -> Iterable[str]:
    state: TaskState | None = None
    lease = 0
    holder: str | None = None
    asked = False
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
        if asked and transition is not None and event.name not in _ENDS_OF_THE_CANCELLED:
            yield f"{event.name} after a cancel was asked for"
        # The only way on from a final state is an explicit retry, which begins with a clean slate.
        asked = event.name == "cancel_requested" or (asked and transition is None)
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
    store: TaskStore,
    accepted: Collection[str],
    *,
    effects: Effects | None = None,
    cancels: Collection[str] = (),
    ended: bool = True,
) -> list[str]:
    """:func:`broken_promises` of what ``store`` holds now."""
    tasks = [
        task for start in range(0, len(accepted), _PAGE) for task in store.get_many([*accepted][start : start + _PAGE])
    ]
    return broken_promises(accepted, tasks, all_events(store), effects=effects, cancels=cancels, ended=ended)


def prepare_effects(database: Database) -> None:
    """Make the table that :func:`effect_of` writes to."""
    with database.write() as transaction:
        transaction.execute(text("CREATE TABLE IF NOT EXISTS effects (task_id TEXT NOT NULL, lease INTEGER NOT NULL)"))


def effect_of(task: Task) -> Effect:
    """One row that says under which lease of ``task`` it was written."""
    row = {"task": task.id, "lease": task.lease}
    return lambda tx: tx.execute(text("INSERT INTO effects VALUES (:task, :lease)"), row) and None


def effects_in(database: Database) -> Effects:
    """The effects that tasks have left."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    with database.read() as transaction:
        for row in transaction.execute(text("SELECT task_id, lease FROM effects")):
            found[row.task_id].append(row.lease)
    return found
