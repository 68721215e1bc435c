"""Carries out workflows: each composed task starts its parts, pauses without a slot, and goes on when they have ended.

Everything it knows is in rows: the tree in its payload, how far it is in its checkpoint, what came of the parts in
theirs. Parts have ids derived from their place, so whoever runs it again finds what there is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

from gristmill.errors import InvalidInput
from gristmill.ids import derived_id
from gristmill.tasks.model import (
    Completed,
    Failed,
    NewTask,
    Outcome,
    Progress,
    Task,
    TaskError,
    TaskState,
    Waiting,
)
from gristmill.tasks.ports import TaskContext
from gristmill.tasks.references import CHAIN, GROUP, WORKFLOW, composed, part_id
from gristmill.tasks.workflow import Chain, Group, Node, Step, bind, compensation, from_stored, to_stored

__all__ = ["Composer", "Policy"]


class Policy(StrEnum):
    """What becomes of a workflow when a part of it fails for good, or is cancelled."""

    STOP = "stop"
    """Nothing more is started; it fails."""
    CONTINUE = "continue"
    """It goes on as if the part had returned nothing; it completes, and its result counts what failed."""
    COMPENSATE = "compensate"
    """Nothing more is started; what completed is undone, the last thing first; then it fails."""

    @classmethod
    def named(cls, name: str) -> "Policy":
        """The policy of that name; :class:`InvalidInput` (``field_not_a_choice``)."""
        if name not in list(cls):
            raise InvalidInput("field_not_a_choice", field="on_failure", value=name, choices=", ".join(cls))
        return cls(name)


class _Payload(Protocol):
    @property
    def tree(self) -> Mapping[str, Any]: ...
    @property
    def on_failure(self) -> str: ...


class Composer:
    """Handles ``workflow``."""

    def __init__(self, draft: Callable[..., NewTask]) -> None:
        self._draft = draft

    def __call__(self, context: TaskContext, payload: _Payload) -> Outcome:
        """Go on from where the checkpoint says."""
        return self.carry_on(context, from_stored(payload.tree), Policy.named(payload.on_failure))

    def carry_on(self, context: TaskContext, node: Node, policy: Policy) -> Outcome:
        """One pass of a task that carries out ``node``: the same node every time."""
        checkpoint = context.task.checkpoint or {}
        if "error" in checkpoint:
            # What undid something counts as a part that completed.
            progress = replace(context.task.progress, done=checkpoint["done"])
            return Failed(error=TaskError(**checkpoint["error"]), progress=progress)
        if not checkpoint and policy is Policy.COMPENSATE and any(map(_undoes, context.children())):
            # What completed counts as done, and is not any more.
            return Failed(error=TaskError(code="workflow_compensated", facts={"task_id": context.task.id}))
        match node:
            case Group(members=members):
                return self._group(context, members, policy, has_begun=bool(checkpoint))
            case Chain(steps=steps):
                return self._chain(context, steps, policy, at=checkpoint.get("at", 0))
            case Step() as step:
                return self._chain(context, (step,), policy, at=checkpoint.get("at", 0))

    def _group(self, context: TaskContext, members: Sequence[Node], policy: Policy, *, has_begun: bool) -> Outcome:
        if not has_begun:
            parts = [self._part(context.task, place, member, policy) for place, member in enumerate(members)]
            progress = Progress(stage=GROUP, unit="tasks", total=len(parts))
            return Waiting(spawn=parts, checkpoint={"at": len(parts)}, progress=progress, halts=_halts(policy))
        failed = _failed(context)
        if failed and (ends := self._ends(context, failed, members, policy)) is not None:
            return ends
        return Completed(
            result=composed(GROUP, total=len(members), failed=len(failed)),
            progress=_counted(context.task.progress, len(members), failed),
        )

    def _chain(self, context: TaskContext, steps: Sequence[Node], policy: Policy, *, at: int) -> Outcome:
        task = context.task
        failed = _failed(context) if at else ()
        if failed and (ends := self._ends(context, failed, steps, policy)) is not None:
            return ends
        counted = _counted(task.progress, at, failed)
        if at == len(steps):
            return Completed(result=composed(CHAIN, total=len(steps), failed=len(failed)), progress=counted)
        step = bind(steps[at], part_id(task.id, at - 1)) if at else steps[at]
        progress = replace(counted, stage=_name(step), unit="tasks", total=len(steps))
        return Waiting(spawn=[self._part(task, at, step, policy)], checkpoint={"at": at + 1}, progress=progress)

    def _part(self, task: Task, place: int, node: Node, policy: Policy) -> NewTask:
        if isinstance(node, Step):
            return self._child(task, part_id(task.id, place), node.kind, node.payload)
        payload = {"tree": to_stored(node), "on_failure": policy.value}
        return self._child(task, part_id(task.id, place), WORKFLOW, payload)

    def _child(self, task: Task, task_id: str, kind: str, payload: Mapping[str, Any]) -> NewTask:
        return self._draft(
            kind,
            payload,
            task_id=task_id,
            priority=task.priority,
            parent_id=task.id,
            collection=task.collection,
            user_id=task.user_id,
        )

    def _ends(
        self, context: TaskContext, failed: Sequence[Task], parts: Sequence[Node], policy: Policy
    ) -> Outcome | None:
        """What comes of it as some of its parts have not completed; None if it goes on all the same."""
        task = context.task
        if any(not child.state.is_final for child in failed):
            # Somebody runs it again.
            return Waiting(spawn=[], checkpoint=task.checkpoint or {}, progress=task.progress, halts=_halts(policy))
        if policy is Policy.CONTINUE:
            return None
        # Those that were cancelled were so because of one that failed, if there is any.
        bad = min(failed, key=lambda child: (child.state is not TaskState.FAILED, child.number))
        reason = bad.error.code if bad.error is not None else bad.state.value
        error = TaskError(code="workflow_part_failed", facts={"kind": bad.kind, "task_id": bad.id, "reason": reason})
        undo = self._undo(context, parts) if policy is Policy.COMPENSATE else None
        if undo is None:
            return Failed(error=error)
        kept = {"code": error.code, "facts": dict(error.facts), "type": error.type}
        checkpoint = {"error": kept, "done": task.progress.done}
        return Waiting(spawn=[undo], checkpoint=checkpoint, progress=task.progress)

    def _undo(self, context: TaskContext, parts: Sequence[Node]) -> NewTask | None:
        """The task that undoes what completed, if there is anything to undo."""
        task = context.task
        completed = {child.id for child in context.children() if child.state is TaskState.COMPLETED}
        done = [(part, own) for place, part in enumerate(parts) if (own := part_id(task.id, place)) in completed]
        undone = [compensation(part, own, part_id) for part, own in reversed(done)]
        found = tuple(one for one in undone if one is not None)
        if not found:
            return None
        payload = {"tree": to_stored(Chain(found)), "on_failure": Policy.CONTINUE.value, "undoes": task.id}
        return self._child(task, derived_id(task.id, "undo"), WORKFLOW, payload)


def _halts(policy: Policy) -> bool:
    return policy is not Policy.CONTINUE


def _failed(context: TaskContext) -> Sequence[Task]:
    """Parts that were started and have not completed."""
    # The count is exact unless somebody has retried one since: then only the parts themselves know.
    if not context.task.progress.failed:
        return ()
    return [child for child in context.children() if child.state is not TaskState.COMPLETED]


def _counted(progress: Progress, ended: int, failed: Sequence[Task]) -> Progress:
    return replace(progress, done=ended - len(failed), failed=len(failed))


def _undoes(child: Task) -> bool:
    return child.payload.get("undoes") is not None


def _name(node: Node) -> str:
    match node:
        case Step(kind=kind):
            return kind
        case Chain():
            return CHAIN
        case Group():
            return GROUP
