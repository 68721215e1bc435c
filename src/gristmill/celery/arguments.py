"""What somebody wrote in a call of a Celery task, as a task of ours that is not accepted yet."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gristmill.errors import InvalidInput
from gristmill.tasks.kind import Kind
from gristmill.tasks.model import NewTask

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["draft_from"]

_WITHOUT_EFFECT = frozenset(
    {
        # How a message travels; ours carries no more than an id.
        *("add_to_parent", "compression", "connection", "ignore_result", "producer", "publisher", "retry"),
        *("retry_policy", "router", "routing_key", "exchange", "serializer", "delivery_mode", "result_cls"),
        # Where a call stands in a group; each member is a task like any other.
        *("group_id", "group_index", "parent_id", "root_id", "reply_to", "route_name", "shadow", "task_type"),
    }
)
_MIDDLE_PRIORITY = 5
_TASK_ID = re.compile(r"[\w.:@-]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of a call that mean something here."""

    task_id: str | None
    queue: str | None
    priority: int
    delay_seconds: float
    soft_limit_seconds: float | None
    hard_limit_seconds: float | None


def draft_from(
    app: "Gristmill",
    kind: str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> NewTask:
    """The task that ``apply_async(args, kwargs, **options)`` means; :class:`InvalidInput` for what we cannot keep."""
    chosen = _options(options)
    payload = _payload(app.kinds[kind], args, kwargs)
    draft = app.tasks.draft(
        kind,
        payload,
        task_id=chosen.task_id,
        priority=chosen.priority,
        delay_seconds=chosen.delay_seconds,
        user_id=payload.get("user_id"),
    )
    hard = chosen.hard_limit_seconds or draft.hard_limit_seconds
    return replace(
        draft,
        queue=chosen.queue or draft.queue,
        soft_limit_seconds=min(chosen.soft_limit_seconds or draft.soft_limit_seconds, hard),
        hard_limit_seconds=hard,
    )


def _payload(kind: Kind, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The payload that these arguments make, in the order in which the kind declares its fields."""
    fields = [field.name for field in dataclasses.fields(kind.payload)]
    args, kwargs = list(args or ()), dict(kwargs or {})
    if len(args) > len(fields):
        raise InvalidInput("celery_arguments_too_many", kind=kind.name, count=len(args), known=", ".join(fields))
    positional = dict(zip(fields, args, strict=False))
    if twice := [name for name in positional if name in kwargs]:
        raise InvalidInput("celery_argument_twice", kind=kind.name, field=twice[0])
    # Through JSON it would become a list anyway.
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in {**positional, **kwargs}.items()
    }


def _options(given: Mapping[str, Any]) -> _Options:
    options = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT and value is not None}
    known = _Options(
        task_id=_task_id(options.pop("task_id", None)),
        queue=_queue(options.pop("queue", None)),
        priority=_priority(options.pop("priority", _MIDDLE_PRIORITY)),
        delay_seconds=_delay(options.pop("countdown", None), options.pop("eta", None)),
        soft_limit_seconds=_seconds("soft_time_limit", options.pop("soft_time_limit", None)),
        hard_limit_seconds=_seconds("time_limit", options.pop("time_limit", None)),
    )
    # Celery itself gives some of these with nothing in them.
    if left := [name for name, value in options.items() if value not in ([], {}, (), 0, False)]:
        raise InvalidInput("celery_option_unsupported", option=left[0])
    return known


def _priority(given: object) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise InvalidInput("priority_out_of_range", value=str(given)[:80])


def _task_id(given: object) -> str | None:
    if given is None or (isinstance(given, str) and _TASK_ID.fullmatch(given)):
        return given
    raise InvalidInput("celery_task_id_invalid", value=str(given)[:80])


def _queue(given: object) -> str | None:
    # Celery's router makes an object of it.
    name: object = getattr(given, "name", given)
    if name is None or isinstance(name, str):
        return name
    raise InvalidInput("celery_option_invalid", option="queue", value=str(given)[:80])


def _seconds(option: str, given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < math.inf:
        return float(given)
    raise InvalidInput("celery_option_invalid", option=option, value=str(given)[:80])


def _delay(countdown: object, eta: object) -> float:
    if isinstance(countdown, int | float) and not isinstance(countdown, bool) and math.isfinite(countdown):
        return float(countdown)
    if countdown is not None:
        raise InvalidInput("celery_option_invalid", option="countdown", value=str(countdown)[:80])
    if eta is None:
        return 0.0
    try:
        at = eta if isinstance(eta, datetime) else datetime.fromisoformat(str(eta))
    except ValueError as error:
        raise InvalidInput("celery_option_invalid", option="eta", value=str(eta)[:80]) from error
    # Without a zone it is UTC, as in Celery's own messages.
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
