"""Workflows from the user's side: hand one in, see how far all of it is, run it again from a step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.errors import Conflict, InvalidInput, NotFound
from gristmill.tasks.compose import WORKFLOW, Policy, part_id
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Task, TaskFilter, TaskState
from gristmill.tasks.service import TaskService
from gristmill.tasks.workflow import Chain, Group, Node, bind, count_steps, from_json, from_stored, to_json

__all__ = ["Part", "WorkflowState", "Workflows"]

_SHOWN_PARTS = 100
"""Parts of one chain or group that are shown; the others are counted."""
_SHOWN_DEPTH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One place in a workflow, and the task that carries it out, if it has been started."""

    node: Node
    task_id: str
    task: Task | None
    parts: tuple["Part", ...] = ()
    omitted: int = 0
    """Parts that are there and not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowState:
    """A workflow and how far all of it is."""

    task: Task
    root: Part
    policy: Policy
    steps: int
    """Tasks that do the work, started or not."""
    counts: Mapping[TaskState, int]
    """How many of them are in each state; those that were not started yet are in none."""


class Workflows:
    """What one may do with workflows; cancel and retry are those of their tasks."""

    def __init__(self, tasks: TaskService, kinds: Mapping[str, Kind]) -> None:
        self._tasks = tasks
        self._kinds = kinds

    def read(self, workflow: Node | Mapping[str, Any]) -> Node:
        """A checked workflow; :class:`InvalidInput` says where it is wrong."""
        return from_json(workflow if isinstance(workflow, Mapping) else to_json(workflow), self._kinds)

    def submit(self, workflow: Node | Mapping[str, Any], *, on_failure: str = Policy.STOP, **options: Any) -> Task:
        """Accept a workflow as one task (see :meth:`TaskService.draft` for the options); durable when this returns."""
        return self._tasks.submit(WORKFLOW, self.payload(workflow, on_failure=on_failure), **options)

    def payload(self, workflow: Node | Mapping[str, Any], *, on_failure: str = Policy.STOP) -> dict[str, Any]:
        """What the task of a workflow is given, checked."""
        if on_failure not in list(Policy):
            raise InvalidInput("field_not_a_choice", field="on_failure", value=on_failure, choices=", ".join(Policy))
        return {"tree": to_json(self.read(workflow)), "on_failure": str(on_failure)}

    def state(self, task_id: str) -> WorkflowState:
        """How far it is; :class:`NotFound` (``task_not_found``, ``workflow_not_found``)."""
        task, tree = self._find(task_id)
        ids = dict(_places(tree, task_id))
        known = {found.id: found for found in self._tasks.get_many(list(ids))}
        counts = dict(self._tasks.counts(TaskFilter(ancestor_id=task_id)))
        for state, count in self._tasks.counts(TaskFilter(ancestor_id=task_id, kinds=[WORKFLOW])).items():
            counts[state] -= count
        return WorkflowState(
            task=task,
            root=_part(tree, task_id, known | {task_id: task}),
            policy=Policy(task.payload["on_failure"]),
            steps=count_steps(tree),
            counts={state: count for state, count in counts.items() if count},
        )

    def rerun(self, task_id: str, *, from_step: int, **options: Any) -> Task:
        """Accept a new workflow of the steps of a chain from ``from_step`` (1 is the first) on.

        The first of them gets what the step before returned then. :class:`InvalidInput` (``workflow_step_unknown``),
        :class:`Conflict` (``workflow_step_not_completed``).
        """
        task, tree = self._find(task_id)
        steps = tree.steps if isinstance(tree, Chain) else (tree,)
        if not 1 <= from_step <= len(steps):
            raise InvalidInput("workflow_step_unknown", field="from_step", value=from_step, count=len(steps))
        first = steps[from_step - 1]
        if from_step > 1:
            before = part_id(task_id, from_step - 2)
            found = self._tasks.get_many([before])
            if not found or found[0].state is not TaskState.COMPLETED:
                raise Conflict("workflow_step_not_completed", task_id=task_id, step=from_step - 1)
            first = bind(first, before)
        again = Chain((first, *steps[from_step:]))
        payload = {"tree": to_json(again), "on_failure": task.payload["on_failure"]}
        inherited = {"priority": task.priority, "collection": task.collection, "user_id": task.user_id}
        return self._tasks.submit(WORKFLOW, payload, **{**inherited, **options})

    def _find(self, task_id: str) -> tuple[Task, Node]:
        task = self._tasks.get(task_id)
        if task.kind != WORKFLOW:
            raise NotFound("workflow_not_found", task_id=task_id, kind=task.kind)
        return task, from_stored(task.payload["tree"])


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Chain(steps=parts) | Group(members=parts):
            return parts
        case _:
            return ()


def _places(node: Node, task_id: str, depth: int = 1) -> Iterator[tuple[str, Node]]:
    """The ids of the tasks that are shown below ``task_id``."""
    if depth > _SHOWN_DEPTH:
        return
    for place, part in enumerate(_parts(node)[:_SHOWN_PARTS]):
        own = part_id(task_id, place)
        yield own, part
        yield from _places(part, own, depth + 1)


def _part(node: Node, task_id: str, known: Mapping[str, Task], depth: int = 1) -> Part:
    parts = _parts(node)
    shown = parts[:_SHOWN_PARTS] if depth <= _SHOWN_DEPTH else ()
    return Part(
        node=node,
        task_id=task_id,
        task=known.get(task_id),
        parts=tuple(_part(part, part_id(task_id, place), known, depth + 1) for place, part in enumerate(shown)),
        omitted=len(parts) - len(shown),
    )
