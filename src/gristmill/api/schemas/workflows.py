"""Workflows as clients write and see them."""

from typing import Any

from pydantic import Field

from gristmill.api.schemas.fields import Input, Output, Priority
from gristmill.api.schemas.tasks import TaskView
from gristmill.app.workflows import Part, WorkflowState
from gristmill.tasks.compose import Policy
from gristmill.tasks.model import TaskState
from gristmill.tasks.workflow import Group, Step

__all__ = ["NewWorkflowBody", "RerunBody", "WorkflowView"]


class NewWorkflowBody(Input):
    """Work to be composed."""

    workflow: dict[str, Any] = Field(
        description='`{"kind", "payload", "compensate"}`, `{"chain": [...]}`, `{"group": [...]}`, '
        'or `{"chord": {"group": [...], "body": ...}}`, within each other.',
        examples=[{"chain": [{"kind": "index_document", "payload": {"doc_id": 1}}, {"kind": "ping", "payload": {}}]}],
    )
    on_failure: Policy = Field(Policy.STOP, description="What becomes of it when a part fails for good.")
    priority: Priority = 5
    delay_seconds: float = Field(0.0, ge=0, le=366 * 24 * 3600, description="Not before this much time has passed.")
    collection: str | None = Field(None, max_length=100, description="Collection to file its tasks under.")
    user_id: int | None = Field(None, description="Your own number of whoever asked for it.")


class RerunBody(Input):
    """From which step on to run it again."""

    from_step: int = Field(ge=1, le=1000, description="1 is the first.", examples=[2])


class PartView(Output):
    """One place in a workflow."""

    form: str = Field(examples=["step"], description="step, chain or group.")
    kind: str | None = Field(description="Of a step.")
    task_id: str | None = Field(description="The task that carries it out; null until it is started.")
    state: TaskState | None
    parts: list["PartView"] = Field(description="The first hundred of a chain or group, a thousand in all.")
    omitted: int = Field(description="Parts beyond those listed.")

    @classmethod
    def of(cls, part: Part) -> "PartView":
        """``part`` for a client."""
        node = part.node
        return cls(
            form="step" if isinstance(node, Step) else "group" if isinstance(node, Group) else "chain",
            kind=node.kind if isinstance(node, Step) else None,
            task_id=None if part.task is None else part.task.id,
            state=None if part.task is None else part.task.state,
            parts=[cls.of(inner) for inner in part.parts],
            omitted=part.omitted,
        )


class WorkflowView(Output):
    """A workflow and how far all of it is."""

    task: TaskView
    on_failure: Policy
    steps: int = Field(description="Tasks that do the work, started or not.")
    progress: int = Field(description="0 to 100: how many of them have completed.")
    counts: dict[TaskState, int] = Field(description="Of those that were started, how many are in each state.")
    root: PartView

    @classmethod
    def of(cls, state: WorkflowState, *, language: str, now: int) -> "WorkflowView":
        """``state`` for a client."""
        done = state.counts.get(TaskState.COMPLETED, 0)
        return cls(
            task=TaskView.of(state.task, language=language, now=now),
            on_failure=state.policy,
            steps=state.steps,
            progress=min(100, done * 100 // state.steps),
            counts=dict(state.counts),
            root=PartView.of(state.root),
        )
