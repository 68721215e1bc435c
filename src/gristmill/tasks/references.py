"""What one task uses of another's result: a reference in its payload, resolved where it runs.

``{"$previous": "a.b"}`` is what a workflow says before it is known which task came before; ``{"$result": {"task": id,
"path": "a.b"}}`` is what a stored payload has. The path walks through mappings by name and through lists by number; an
empty one means the whole. ``items`` where the result of a single task begins means its result items. Of a group, the
result is the list of its members' results; of a chain, that of its last step; of what failed, and of all that would lie
within it, null.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gristmill.errors import InvalidInput
from gristmill.ids import derived_id
from gristmill.tasks.model import Json, Task, TaskState

__all__ = [
    "CHAIN",
    "GROUP",
    "WORKFLOW",
    "bound",
    "composed",
    "has_bound",
    "has_reference",
    "open_fields",
    "part_id",
    "previous",
    "resolved",
]

WORKFLOW = "workflow"
"""The kind of composed tasks."""

CHAIN, GROUP = "chain", "group"

_PREVIOUS, _RESULT = "$previous", "$result"
_ITEMS = "items"
_LONGEST_NUMBER = 9
"""Digits of a place in a list."""


class Results(Protocol):
    """The part of a task store that knows results."""

    def get_many(self, task_ids: Sequence[str]) -> list[Task]: ...
    def items(self, task_id: str, *, offset: int = 0, limit: int | None = None) -> list[Json]: ...


def part_id(task_id: str, place: int) -> str:
    """The id of a composed task's part, by its place."""
    return derived_id(task_id, f"part/{place}")


def composed(form: str, *, total: int, failed: int) -> dict[str, Any]:
    """The result of a composed task: ``total`` parts, of which so many did not complete."""
    return {"form": form, "total": total, "failed": failed}


def previous(path: str = "") -> dict[str, Any]:
    """Stands in a payload for what the step before returned, or for the part of it at ``path``."""
    return {_PREVIOUS: path}


def has_reference(payload: Any) -> bool:
    """Whether anything in ``payload`` refers to another task."""
    return _has(payload, lambda value: _is_previous(value) or _is_bound(value))


def has_bound(payload: Any) -> bool:
    """Whether anything in ``payload`` names the task that it refers to, which only our own code may do."""
    return _has(payload, _is_bound)


def _has(value: Any, wanted: Callable[[Json], bool]) -> bool:
    match value:
        case dict():
            return wanted(value) or any(_has(inner, wanted) for inner in value.values())
        case list():
            return any(_has(inner, wanted) for inner in value)
    return False


def _is_previous(value: Json) -> bool:
    return _PREVIOUS in value and len(value) == 1 and isinstance(value[_PREVIOUS], str)


def _is_bound(value: Json) -> bool:
    return _RESULT in value and len(value) == 1 and isinstance(value[_RESULT], dict)


def open_fields(payload: Json) -> frozenset[str]:
    """The fields whose values are not known yet."""
    return frozenset(name for name, value in payload.items() if has_reference(value))


def bound(value: Any, task_id: str) -> Any:
    """``value`` with every ``$previous`` made a reference to ``task_id``."""
    match value:
        case {"$previous": str(path)} if len(value) == 1:
            return {_RESULT: {"task": task_id, "path": path}}
        case dict():
            return {name: bound(inner, task_id) for name, inner in value.items()}
        case list():
            return [bound(inner, task_id) for inner in value]
    return value


def resolved(value: Any, results: Results) -> Any:
    """``value`` with every reference replaced by what it refers to.

    :class:`InvalidInput` (``reference_gone``, ``reference_path_unknown``) where there is nothing.
    """
    match value:
        case {"$result": {"task": str(task_id), "path": str(path)}} if len(value) == 1:
            (task,) = _found([task_id], results)
            return _within(task, path.split(".") if path else [], path, results)
        case dict():
            return {name: resolved(inner, results) for name, inner in value.items()}
        case list():
            return [resolved(inner, results) for inner in value]
    return value


def _within(task: Task, names: Sequence[str], path: str, results: Results) -> Any:
    """What a task came to, or the part of it that ``names``, the rest of ``path``, lead to."""
    if task.state is not TaskState.COMPLETED or task.result is None:
        return None
    value: Any
    match task.result:
        case {"form": "chain", "total": int(total), "failed": int()} if len(task.result) == 3:
            (last,) = _found([part_id(task.id, total - 1)], results)
            return _within(last, names, path, results)
        case {"form": "group", "total": int(total), "failed": int()} if len(task.result) == 3:
            place = _place(names[0], total) if names else None
            if place is not None:
                # One of perhaps thousands: the others need not be looked at.
                (member,) = _found([part_id(task.id, place)], results)
                return _within(member, names[1:], path, results)
            members = _found([part_id(task.id, number) for number in range(total)], results)
            value = [_within(member, [], path, results) for member in members]
        case _ if names[:1] == [_ITEMS]:
            value, names = results.items(task.id), names[1:]
            if len(value) < task.item_count:
                raise InvalidInput("reference_gone", task_id=task.id)
        case _:
            value = dict(task.result)
    for name in names:
        value = _step(value, name, task.id, path)
    return value


def _found(task_ids: Sequence[str], results: Results) -> list[Task]:
    found = results.get_many(task_ids)
    if len(found) < len(task_ids):
        gone = set(task_ids) - {task.id for task in found}
        raise InvalidInput("reference_gone", task_id=min(gone))
    return found


def _step(value: Any, name: str, task_id: str, path: str) -> Any:
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, list) and (place := _place(name, len(value))) is not None:
        return value[place]
    raise InvalidInput("reference_path_unknown", task_id=task_id, path=path)


def _place(name: str, length: int) -> int | None:
    """The place in a list of ``length`` that ``name`` means, if it means one."""
    is_number = name.isdecimal() and len(name) <= _LONGEST_NUMBER
    return int(name) if is_number and int(name) < length else None
