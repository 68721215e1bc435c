"""Webhooks and their deliveries as clients see and name them."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from gristmill.api.schemas.fields import Input, Output, as_list
from gristmill.api.schemas.tasks import TaskIdText, TaskNames
from gristmill.api.schemas.told import ErrorView
from gristmill.clock import to_rfc3339
from gristmill.db.deliveries import Delivery
from gristmill.db.webhooks import StoredWebhook, Wants
from gristmill.tasks.model import TaskState

__all__ = [
    "DeletedWebhook",
    "DeliveryPage",
    "DeliveryQuery",
    "DeliveryView",
    "NewWebhookView",
    "PingView",
    "WebhookBody",
    "WebhookChange",
    "WebhookList",
    "WebhookView",
]

_EndState = Literal["completed", "failed", "cancelled"]
_EndStates = Annotated[list[_EndState], BeforeValidator(as_list), Field(min_length=1, max_length=3)]
_Url = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://desk.example/hooks/mill"])]
_Secret = Annotated[str, Field(min_length=16, max_length=200)]
_CollectionText = Annotated[str, Field(max_length=100)]
_DeliveryState = Literal["pending", "delivered", "failed"]
_EVERY: list[_EndState] = ["completed", "failed", "cancelled"]


class WebhookBody(Input):
    """Where to post to, and of which ends of tasks; of any, where a field is empty."""

    url: _Url = Field(description="An http or https address without user and password.")
    secret: _Secret | None = Field(None, description="Key that posts are signed with; made up if there is none.")
    states: _EndStates = Field(_EVERY, description="How a task ended.")
    kinds: TaskNames = Field([], description="Kinds.", examples=[["batch_index"]])
    queues: TaskNames = Field([], description="Queues.", examples=[["documents"]])
    collection: _CollectionText | None = Field(None, description="Collection the task is about.")
    top_level_only: bool = Field(True, description="Not of sub-tasks, such as the documents of a batch.")

    def to_wants(self) -> Wants:
        """The same for the database."""
        return Wants(
            states=tuple(map(TaskState, self.states)),
            kinds=tuple(self.kinds),
            queues=tuple(self.queues),
            collection=self.collection,
            top_level_only=self.top_level_only,
        )


class WebhookChange(Input):
    """What is to be different; what is absent or null stays, but `collection`, where null means any."""

    url: _Url | None = Field(None, description="Where to post to from now on, also what is waiting.")
    secret: _Secret | None = Field(None, description="Key to sign with from now on.")
    active: bool | None = Field(None, description="False: nothing is posted, and of what ends nothing is kept.")
    states: _EndStates | None = None
    kinds: TaskNames | None = None
    queues: TaskNames | None = None
    collection: _CollectionText | None = None
    top_level_only: bool | None = None

    def changed_wants(self) -> dict[str, Any]:
        """What of its wants is to be different."""
        named = ("states", "kinds", "queues", "top_level_only")
        given = {name: value for name in named if (value := getattr(self, name)) is not None}
        return given | ({"collection": self.collection} if "collection" in self.model_fields_set else {})


class WebhookView(Output):
    """One webhook."""

    id: str
    url: str = Field(description="Without its query, which may be signed.")
    states: list[_EndState]
    kinds: list[str]
    queues: list[str]
    collection: str | None
    top_level_only: bool
    active: bool
    failures: int = Field(description="Posts in a row that did not arrive.")
    created_at: str

    @classmethod
    def of(cls, webhook: StoredWebhook, **more: Any) -> Self:
        """``webhook`` for a client, with what ``more`` a kind of view shows."""
        wants = webhook.wants
        return cls(
            id=webhook.id,
            url=webhook.address,
            states=[state.value for state in wants.states],
            kinds=list(wants.kinds),
            queues=list(wants.queues),
            collection=wants.collection,
            top_level_only=wants.top_level_only,
            active=webhook.active,
            failures=webhook.failures,
            created_at=to_rfc3339(webhook.created_at) or "",
            **more,
        )


class NewWebhookView(WebhookView):
    """A webhook that was just made."""

    secret: str = Field(description="Key that posts are signed with; not shown again.")


class WebhookList(Output):
    """All webhooks, oldest first."""

    webhooks: list[WebhookView]


class DeletedWebhook(Output):
    """A webhook that is gone."""

    id: str


class PingView(Output):
    """What came of a test post."""

    delivered: bool
    error: ErrorView | None = Field(description="Why it did not arrive.")


class DeliveryView(Output):
    """One end of a task that a webhook is told of."""

    id: str = Field(description="The same as `X-Gristmill-Delivery`.")
    seq: int = Field(description="Number of the event.")
    task_id: TaskIdText
    event: str = Field(examples=["task.completed"])
    state: _DeliveryState
    tries: int
    next_try_at: str | None = Field(description="Null once it was delivered or has failed.")
    error: ErrorView | None = Field(description="Why the last try did not arrive.")
    created_at: str
    ended_at: str | None

    @classmethod
    def of(cls, delivery: Delivery, language: str) -> "DeliveryView":
        """``delivery`` for a client."""
        return cls(
            id=delivery.id,
            seq=delivery.seq,
            task_id=delivery.task_id,
            event=delivery.event,
            state=delivery.state,
            tries=delivery.tries,
            next_try_at=to_rfc3339(delivery.next_try_at) if delivery.state == "pending" else None,
            error=None if delivery.error is None else ErrorView.of(delivery.error, language),
            created_at=to_rfc3339(delivery.created_at) or "",
            ended_at=to_rfc3339(delivery.ended_at),
        )


class DeliveryPage(Output):
    """A page of deliveries, the latest end at the front."""

    deliveries: list[DeliveryView]
    next_cursor: str | None = Field(description="Null on the last page.")


class DeliveryQuery(Input):
    """Which page of which deliveries."""

    state: Annotated[list[_DeliveryState], BeforeValidator(as_list), Field(max_length=3)] = Field(
        [], description="States, separated by commas or repeated.", examples=[["failed"]]
    )
    limit: int = Field(50, ge=1, le=500, description="Deliveries per page.")
    cursor: str | None = Field(None, max_length=40, description="`next_cursor` of the page before.")
