"""Carries out workflows: each composed task starts its parts, pauses without a slot, and goes on when they have ended.

Everything it knows is in rows: the tree in its payload, how far it is in its checkpoint, what came of the parts in
theirs. Parts have ids derived from their place, so whoever runs it again finds what there is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Protocol

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
from gristmill.tasks.references import CHAIN, FORM, GROUP
from gristmill.tasks.workflow import Chain, Group, Node, Step, bind, compensation, from_stored, to_json

__all__ = ["WORKFLOW", "Composer", "Policy", "part_id"]

WORKFLOW = "workflow"
"""The kind of composed tasks."""


class Policy(StrEnum):
    """What becomes of a workflow when a part of it fails for good, or is cancelled."""

    STOP = "stop"
    """Nothing more is started; it fails."""
    CONTINUE = "continue"
    """It goes on as if the part had returned nothing; it completes, and its result counts what failed."""
    COMPENSATE = "compensate"
    """Nothing more is started; what completed is undone, the last thing first; then it fails."""


class _Payload(Protocol):
    @property
    def tree(self) -> Mapping[str, Any]: ...
    @property
    def on_failure(self) -> str: ...


def part_id(task_id: str, place: int) -> str:
    """The id of a composed task's part, by its place."""
    return derived_id(task_id, f"part/{place}")


class Composer:
    """Handles ``workflow``."""

    def __init__(self, draft: Callable[..., NewTask]) -> None:
        self._draft = draft

    def __call__(self, context: TaskContext, payload: _Payload) -> Outcome:
        """Go on from where the checkpoint says."""
        policy = Policy(payload.on_failure)
        checkpoint = context.task.checkpoint or {}
        if "error" in checkpoint:
            # What undid something counts as a part that completed.
            progress = replace(context.task.progress, done=checkpoint["done"])
            return Failed(error=TaskError(**checkpoint["error"]), progress=progress)
        if not checkpoint and policy is Policy.COMPENSATE and any(map(_undoes, context.children())):
            # What completed counts as done, and is not any more.
            return Failed(error=TaskError(code="workflow_compensated", facts={"task_id": context.task.id}))
        match from_stored(payload.tree):
            case Group(members=members):
                return self._group(context, members, policy, has_begun=bool(checkpoint))
            case Chain(steps=steps):
                return self._chain(context, steps, policy, at=checkpoint.get("at", 0))
            case Step() as step:
                return self._chain(context, (step,), policy, at=checkpoint.get("at", 0))

    def _group(self, context: TaskContext, members: Sequence[Node], policy: Policy, *, has_begun: bool) -> Outcome:
        if not has_begun:
            parts = [self._part(context.task, place, member, policy) for place, member in enumerate(members)]
            progress = Progress(stage="group", unit="tasks", total=len(parts))
            halts = policy is not Policy.CONTINUE
            return Waiting(spawn=parts, checkpoint={"at": len(parts)}, progress=progress, halts=halts)
        failed = context.task.progress.failed
        if failed and policy is not Policy.CONTINUE:
            return self._broken(context, members, policy)
        return Completed(result={FORM: GROUP, "total": len(members), "failed": failed})

    def _chain(self, context: TaskContext, steps: Sequence[Node], policy: Policy, *, at: int) -> Outcome:
        task = context.task
        if at and task.progress.failed and policy is not Policy.CONTINUE:
            return self._broken(context, steps, policy)
        if at == len(steps):
            return Completed(result={FORM: CHAIN, "total": len(steps), "failed": task.progress.failed})
        step = bind(steps[at], part_id(task.id, at - 1)) if at else steps[at]
        counted = task.progress if at else Progress()
        progress = Progress(stage=_name(step), unit="tasks", done=counted.done, failed=counted.failed, total=len(steps))
        return Waiting(spawn=[self._part(task, at, step, policy)], checkpoint={"at": at + 1}, progress=progress)

    def _part(self, task: Task, place: int, node: Node, policy: Policy) -> NewTask:
        if isinstance(node, Step):
            return self._child(task, part_id(task.id, place), node.kind, node.payload)
        payload = {"tree": to_json(node), "on_failure": policy.value}
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

    def _broken(self, context: TaskContext, parts: Sequence[Node], policy: Policy) -> Outcome:
        """Fail, after what completed was undone if the policy asks for it."""
        task = context.task
        children = {child.id: child for child in context.children()}
        # Those that were cancelled were so because of one that failed, if there is any.
        bad = min(
            (child for child in children.values() if child.state is not TaskState.COMPLETED),
            key=lambda child: (child.state is not TaskState.FAILED, child.number),
        )
        reason = bad.error.code if bad.error is not None else bad.state.value
        facts = {"kind": bad.kind, "task_id": bad.id, "reason": reason}
        error = TaskError(code="workflow_part_failed", facts=facts)
        if policy is Policy.COMPENSATE:
            ids = [part_id(task.id, place) for place in range(len(parts))]
            done = [
                (part, own)
                for part, own in zip(parts, ids, strict=True)
                if own in children and children[own].state is TaskState.COMPLETED
            ]
            undo = [compensation(part, own, part_id) for part, own in reversed(done)]
            if found := tuple(one for one in undo if one is not None):
                payload = {"tree": to_json(Chain(found)), "on_failure": Policy.CONTINUE.value, "undoes": task.id}
                child = self._child(task, derived_id(task.id, "undo"), WORKFLOW, payload)
                kept = {"code": error.code, "facts": facts, "type": error.type}
                return Waiting(spawn=[child], checkpoint={"error": kept, "done": task.progress.done}, progress=task.progress)
        return Failed(error=error)


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
