"""What one task uses of another's result: a reference in its payload, resolved where it runs.

``{"$previous": "a.b"}`` is what a workflow says before it is known which task came before; ``{"$result": {"task": id,
"path": "a.b"}}`` is what a stored payload has. The path walks through mappings by name and through lists by number; an
empty one means the whole. ``items`` at its beginning means the result items. Of a group, the result is the list of its
members' results; of a chain, that of its last step; of what failed, null.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gristmill.errors import InvalidInput
from gristmill.tasks.model import Json, Task, TaskFilter, TaskState

__all__ = ["CHAIN", "FORM", "GROUP", "bound", "has_reference", "open_fields", "previous", "resolved"]

FORM, CHAIN, GROUP = "form", "chain", "group"
"""How the result of a composed task says what its parts are."""

_PREVIOUS, _RESULT = "$previous", "$result"
_ITEMS = "items"
_PAGE = 1000


class Results(Protocol):
    """The part of a task store that knows results."""

    def get_many(self, task_ids: Sequence[str]) -> list[Task]: ...
    def find(self, where: TaskFilter, *, limit: int, before: int | None = None) -> list[Task]: ...
    def items(self, task_id: str, *, offset: int = 0, limit: int | None = None) -> list[Json]: ...


def previous(path: str = "") -> dict[str, Any]:
    """Stands in a payload for what the step before returned, or for the part of it at ``path``."""
    return {_PREVIOUS: path}


def has_reference(payload: Any) -> bool:
    """Whether anything in ``payload`` refers to another task."""
    match payload:
        case {"$previous": str()} | {"$result": {}} if len(payload) == 1:
            return True
        case Mapping():
            return any(map(has_reference, payload.values()))
        case list():
            return any(map(has_reference, payload))
    return False


def open_fields(payload: Json) -> frozenset[str]:
    """The fields whose values are not known yet."""
    return frozenset(name for name, value in payload.items() if has_reference(value))


def bound(value: Any, task_id: str) -> Any:
    """``value`` with every ``$previous`` made a reference to ``task_id``."""
    match value:
        case {"$previous": str(path)} if len(value) == 1:
            return {_RESULT: {"task": task_id, "path": path}}
        case Mapping():
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
            return _part(task_id, path, results)
        case Mapping():
            return {name: resolved(inner, results) for name, inner in value.items()}
        case list():
            return [resolved(inner, results) for inner in value]
    return value


def _part(task_id: str, path: str, results: Results) -> Any:
    found = results.get_many([task_id])
    if not found:
        raise InvalidInput("reference_gone", task_id=task_id)
    task = found[0]
    names = path.split(".") if path else []
    if names[:1] == [_ITEMS] and FORM not in (task.result or {}):
        value: Any = results.items(task_id)
        names = names[1:]
    else:
        value = _value(task, results)
    for name in names:
        value = _step(value, name, task_id, path)
    return value


def _value(task: Task, results: Results) -> Any:
    """What a task came to."""
    if task.state is not TaskState.COMPLETED or task.result is None:
        return None
    form = task.result.get(FORM)
    if form == GROUP:
        return [_value(child, results) for child in _children(task.id, results)]
    if form == CHAIN:
        # Of what a policy let pass, the last that was reached counts.
        return _value(_children(task.id, results)[-1], results)
    return dict(task.result)


def _children(task_id: str, results: Results) -> list[Task]:
    """In the order in which they were started."""
    found: list[Task] = []
    before: int | None = None
    while page := results.find(TaskFilter(parent_id=task_id), limit=_PAGE, before=before):
        found += page
        before = page[-1].number
    return found[::-1]


def _step(value: Any, name: str, task_id: str, path: str) -> Any:
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    raise InvalidInput("reference_path_unknown", task_id=task_id, path=path)
