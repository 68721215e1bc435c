"""Workflows from the user's side: hand one in, see how far all of it is, run it again from a step."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.errors import Conflict, InvalidInput, NotFound
from gristmill.tasks.compose import Policy
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Json, Task, TaskFilter, TaskState
from gristmill.tasks.references import WORKFLOW, part_id
from gristmill.tasks.service import TaskService
from gristmill.tasks.workflow import (
    Chain,
    Group,
    Node,
    Step,
    bind,
    count_steps,
    from_json,
    from_stored,
    payloads_of,
    to_json,
    to_stored,
)

__all__ = ["Part", "WorkflowState", "Workflows"]

_SHOWN_PARTS = 100
"""Parts of one chain or group that are shown; the others are counted."""
_MOST_SHOWN = 1_000
"""Parts that are shown in all, nearest to the top first."""
_COUNTED_TOGETHER = 1_000


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

    def read(self, workflow: Any) -> Node:
        """A checked workflow; :class:`InvalidInput` says where it is wrong."""
        return from_json(to_json(workflow) if isinstance(workflow, Step | Chain | Group) else workflow, self._kinds)

    def submit(
        self,
        workflow: Node | Mapping[str, Any],
        *,
        on_failure: str = Policy.STOP,
        check: Callable[[Json], None] = lambda _: None,
        **options: Any,
    ) -> Task:
        """Accept a workflow as one task (see :meth:`TaskService.draft` for the options); durable when this returns.

        ``check`` raises what else the payload of any step is to be refused for.
        """
        return self._tasks.submit(WORKFLOW, self.payload(workflow, on_failure=on_failure, check=check), **options)

    def payload(
        self,
        workflow: Any,
        *,
        on_failure: str = Policy.STOP,
        check: Callable[[Json], None] = lambda _: None,
    ) -> dict[str, Any]:
        """What the task of a workflow is given, checked."""
        policy = Policy.named(on_failure)
        read = self.read(workflow)
        for payload in payloads_of(read):
            check(payload)
        return {"tree": to_stored(read, readable=True), "on_failure": policy.value}

    def state(self, task_id: str) -> WorkflowState:
        """How far it is; :class:`NotFound` (``task_not_found``, ``workflow_not_found``)."""
        task, tree = self._find(task_id)
        shown = _shown(tree, task_id)
        known = {
            found.id: found for found in self._tasks.get_many([own for parts in shown.values() for own, _ in parts])
        }
        return WorkflowState(
            task=task,
            root=_part(tree, task_id, shown, known | {task_id: task}),
            policy=_policy(task),
            steps=count_steps(tree),
            counts=self._counts(tree, task_id),
        )

    def _counts(self, tree: Node, task_id: str) -> Mapping[TaskState, int]:
        # What a step starts for itself is its own business, so not all descendants count.
        ids = list(_step_ids(tree, task_id))
        counts: Counter[TaskState] = Counter()
        for start in range(0, len(ids), _COUNTED_TOGETHER):
            counts.update(self._tasks.counts(TaskFilter(ids=ids[start : start + _COUNTED_TOGETHER])))
        return counts

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
        payload = {"tree": to_stored(again, readable=True), "on_failure": _policy(task).value}
        inherited = {"priority": task.priority, "collection": task.collection, "user_id": task.user_id}
        return self._tasks.submit(WORKFLOW, payload, **{**inherited, **options})

    def _find(self, task_id: str) -> tuple[Task, Node]:
        task = self._tasks.get(task_id)
        if task.kind != WORKFLOW:
            raise NotFound("workflow_not_found", task_id=task_id, kind=task.kind)
        return task, from_stored(task.payload["tree"])


def _policy(task: Task) -> Policy:
    return Policy.named(task.payload.get("on_failure", Policy.STOP))


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Chain(steps=parts) | Group(members=parts):
            return parts
        case _:
            return ()


def _step_ids(node: Node, task_id: str) -> Iterator[str]:
    """The ids of the tasks that do the work of ``node``, which the task ``task_id`` carries out."""
    if isinstance(node, Step):
        yield task_id
    for place, part in enumerate(_parts(node)):
        yield from _step_ids(part, part_id(task_id, place))


def _shown(tree: Node, task_id: str) -> Mapping[str, Sequence[tuple[str, Node]]]:
    """Which parts of each task are shown, with the ids of their own tasks."""
    shown: dict[str, Sequence[tuple[str, Node]]] = {}
    left = _MOST_SHOWN
    ahead = deque([(task_id, tree)])
    while ahead:
        own, node = ahead.popleft()
        listed = _parts(node)[: min(_SHOWN_PARTS, left)]
        shown[own] = [(part_id(own, place), part) for place, part in enumerate(listed)]
        ahead.extend(shown[own])
        left -= len(listed)
    return shown


def _part(node: Node, task_id: str, shown: Mapping[str, Sequence[tuple[str, Node]]], known: Mapping[str, Task]) -> Part:
    return Part(
        node=node,
        task_id=task_id,
        task=known.get(task_id),
        parts=tuple(_part(part, own, shown, known) for own, part in shown[task_id]),
        omitted=len(_parts(node)) - len(shown[task_id]),
    )
