"""Composed work: steps in a chain, members of a group, and both within each other; as values and as JSON.

A step names a kind and its payload. Where a payload says ``{"$previous": "path"}``, the task gets that part of what
the step before returned; results stay where they are, and only the reference travels.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from gristmill.errors import InvalidInput
from gristmill.tasks.kind import Kind, decode_payload, first_missing
from gristmill.tasks.model import Json
from gristmill.tasks.references import WORKFLOW, bound, has_bound, has_reference, open_fields, previous
from gristmill.tasks.secrets import Vault, may_hold_secrets, sealed

__all__ = [
    "Chain",
    "Group",
    "Node",
    "Step",
    "bind",
    "compensation",
    "count_steps",
    "from_json",
    "from_stored",
    "payloads_of",
    "sealed_payload",
    "to_json",
    "to_stored",
]

_MOST_STEPS = 50_000
_DEEPEST = 20
_LONGEST_CHAIN = 1_000
_DEEPEST_PAYLOAD = 100

_READABLE_CHARS = 4_000
_PACKED = "packed"


class _Composable:
    """What something can come after: ``a | b | c`` is a chain of three."""

    __slots__ = ()

    def __or__(self, then: "Node") -> "Chain":
        if not isinstance(then, Step | Chain | Group):
            return NotImplemented
        return Chain((*_in_row(self), *_in_row(then)))


def _in_row(part: Any) -> tuple["Node", ...]:
    return part.steps if isinstance(part, Chain) else (part,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(_Composable):
    """One task of any kind."""

    kind: str
    payload: Json
    compensate: "Step | None" = None
    """What undoes it, should a later step fail under the policy ``compensate``; ``$previous`` there is its own result."""

    def compensated_by(self, undo: "Step") -> "Step":
        """The same step, which ``undo`` undoes."""
        return replace(self, compensate=undo)


@dataclass(frozen=True, slots=True)
class Chain(_Composable):
    """One after the other."""

    steps: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Group(_Composable):
    """All at once."""

    members: tuple["Node", ...]


Node: TypeAlias = Step | Chain | Group


def to_json(node: Node) -> dict[str, Any]:
    """``node`` as clients write it."""
    match node:
        case Step():
            written: dict[str, Any] = {"kind": node.kind, "payload": dict(node.payload)}
            if node.compensate is not None:
                written["compensate"] = to_json(node.compensate)
            return written
        case Chain():
            return {"chain": [to_json(step) for step in node.steps]}
        case Group():
            return {"group": [to_json(member) for member in node.members]}


def from_json(value: Any, kinds: Mapping[str, Kind]) -> Node:
    """The workflow that ``value`` describes, every payload checked as far as it is known.

    A step of a chain that lacks an argument gets, in the first that is missing, what the step before returned.
    :class:`InvalidInput` says where it is wrong: ``workflow_node_invalid``, ``workflow_empty``, ``workflow_too_deep``,
    ``workflow_too_large``, ``workflow_without_previous``, and what a payload is refused for.
    """
    node = _Reader(kinds).read(value, "workflow", depth=1, follows=False)
    if isinstance(node, Step):
        node = Chain((node,))
    if (count := count_steps(node)) > _MOST_STEPS:
        raise InvalidInput("workflow_too_large", field="workflow", count=count, maximum=_MOST_STEPS)
    return node


def to_stored(node: Node, *, readable: bool = False) -> dict[str, Any]:
    """``node`` as a row keeps it; ``readable`` where a small one shall be as clients write it.

    A packed one is opaque to whoever looks for references, and cheap to carry: the row of a group is read and written
    again and again while its members end.
    """
    tree = to_json(node)
    text = json.dumps(tree, separators=(",", ":"))
    if readable and len(text) <= _READABLE_CHARS:
        return tree
    return {_PACKED: b64encode(zlib.compress(text.encode("ascii"))).decode("ascii")}


def from_stored(value: Any) -> Node:
    """The workflow that :func:`to_stored` wrote; :class:`InvalidInput` (``workflow_node_invalid``) for anything else."""
    match value:
        case {"packed": str(packed)}:
            return from_stored(json.loads(_unpacked(packed)))
        case {"chain": [_, *_] as steps}:
            return Chain(tuple(map(from_stored, steps)))
        case {"group": [_, *_] as members}:
            return Group(tuple(map(from_stored, members)))
        case {"kind": str(kind), "payload": dict(payload)}:
            undo = value.get("compensate")
            step = from_stored(undo) if undo is not None else None
            assert step is None or isinstance(step, Step)
            return Step(kind=kind, payload=payload, compensate=step)
    raise _invalid("tree", value)


def _unpacked(packed: str) -> str:
    try:
        return zlib.decompress(b64decode(packed)).decode("ascii")
    except (ValueError, zlib.error) as error:
        raise _invalid("tree", packed) from error


def _invalid(place: str, value: Any) -> InvalidInput:
    return InvalidInput("workflow_node_invalid", field=place, value=repr(value)[:80])


class _Reader:
    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def read(self, value: Any, place: str, *, depth: int, follows: bool) -> Node:
        """What stands at ``place``; ``follows`` says whether there is a step before it."""
        if depth > _DEEPEST:
            raise InvalidInput("workflow_too_deep", field=place, maximum=_DEEPEST)
        match value:
            case {"chain": list(steps)} if len(value) == 1:
                if len(steps) > _LONGEST_CHAIN:
                    raise InvalidInput(
                        "workflow_too_large", field=f"{place}.chain", count=len(steps), maximum=_LONGEST_CHAIN
                    )
                return Chain(self._all(steps, f"{place}.chain", depth, lambda number: follows or number > 0))
            case {"group": list(members)} if len(value) == 1:
                return Group(self._all(members, f"{place}.group", depth, lambda _: follows))
            case {"chord": {"group": list(members), "body": body}} if len(value) == 1 and len(value["chord"]) == 2:
                header = Group(self._all(members, f"{place}.chord.group", depth + 1, lambda _: follows))
                return Chain((header, self.read(body, f"{place}.chord.body", depth=depth + 1, follows=True)))
        step = self._step(value, place, follows=follows)
        undo = value.get("compensate")
        if undo is None:
            return step
        return replace(step, compensate=self._step(undo, f"{place}.compensate", follows=True, is_undone=False))

    def _all(self, values: Sequence[Any], place: str, depth: int, follows: Callable[[int], bool]) -> tuple[Node, ...]:
        if not values:
            raise InvalidInput("workflow_empty", field=place)
        return tuple(
            self.read(value, f"{place}[{number}]", depth=depth + 1, follows=follows(number))
            for number, value in enumerate(values)
        )

    def _step(self, value: Any, place: str, *, follows: bool, is_undone: bool = True) -> Step:
        match value:
            case {"kind": str(name)} if value.keys() <= {"kind", "payload", "compensate" if is_undone else "kind"}:
                payload = value.get("payload")
            case _:
                raise _invalid(place, value)
        if payload is None:
            payload = {}
        elif not isinstance(payload, dict):
            raise _invalid(f"{place}.payload", payload)
        _check_depth(payload, f"{place}.payload")
        kind = self._kinds.get(name)
        if kind is None:
            raise InvalidInput("kind_unknown", field=f"{place}.kind", kind=name, known=", ".join(sorted(self._kinds)))
        if name == WORKFLOW:
            raise InvalidInput("workflow_in_step", field=place)
        if has_bound(payload):
            raise InvalidInput("workflow_reference_bound", field=f"{place}.payload")
        if follows and (missing := first_missing(kind, payload)) is not None:
            payload = {**payload, missing: previous()}
        if not follows and has_reference(payload):
            raise InvalidInput("workflow_without_previous", field=f"{place}.payload")
        try:
            decode_payload(kind, payload, unchecked=open_fields(payload))
        except InvalidInput as error:
            field = ".".join([place, "payload", *map(str, filter(None, [error.facts.get("field")]))])
            raise InvalidInput(error.code, **{**error.facts, "field": field}) from error
        return Step(kind=name, payload=payload)


def _check_depth(value: Any, place: str, left: int = _DEEPEST_PAYLOAD) -> None:
    if left < 0:
        raise InvalidInput("workflow_payload_too_deep", field=place, maximum=_DEEPEST_PAYLOAD)
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, place, left - 1)


def bind(node: Node, task_id: str) -> Node:
    """``node`` where what ``$previous`` means is the task ``task_id``."""
    if isinstance(node, Step):
        return replace(node, payload=bound(node.payload, task_id))
    if isinstance(node, Group):
        return Group(tuple(bind(member, task_id) for member in node.members))
    return Chain((bind(node.steps[0], task_id), *node.steps[1:]))


def compensation(node: Node, task_id: str, child_id: Callable[[str, int], str]) -> Node | None:
    """What undoes ``node``, which was carried out as the task ``task_id``: the last thing first.

    ``child_id`` tells the id of a task's part by its place.
    """
    if isinstance(node, Step):
        return None if node.compensate is None else bind(node.compensate, task_id)
    parts = node.members if isinstance(node, Group) else node.steps
    undone = [compensation(part, child_id(task_id, place), child_id) for place, part in enumerate(parts)]
    found = tuple(one for one in undone if one is not None)
    if not found:
        return None
    return Group(found) if isinstance(node, Group) else Chain(found[::-1])


def payloads_of(node: Node) -> Iterator[Json]:
    """Every payload in it, also of what undoes something."""
    for step in _steps(node):
        yield step.payload
        if step.compensate is not None:
            yield step.compensate.payload


def sealed_payload(kind: str, payload: Json, kinds: Mapping[str, Kind], vault: Vault) -> Json:
    """``payload`` of a task of ``kind`` as it is stored: what is secret in it is sealed, also within a workflow."""
    if kind != WORKFLOW:
        return sealed(kinds[kind], payload, vault)
    text = _text_of(payload["tree"])
    if not any(json.dumps(name) in text for name, one in kinds.items() if may_hold_secrets(one)):
        # Thousands of members are not looked at one by one.
        return payload
    tree = from_stored(payload["tree"])
    closed = _sealed(tree, kinds, vault)
    return (
        payload if closed == tree else {**payload, "tree": to_stored(closed, readable=_PACKED not in payload["tree"])}
    )


def _text_of(stored: Any) -> str:
    match stored:
        case {"packed": str(packed)}:
            return _unpacked(packed)
        case _:
            return json.dumps(stored)


def _sealed(node: Node, kinds: Mapping[str, Kind], vault: Vault) -> Node:
    match node:
        case Step(kind=kind, payload=payload, compensate=undo):
            closed = None if undo is None else _sealed(undo, kinds, vault)
            assert closed is None or isinstance(closed, Step)
            return Step(kind=kind, payload=sealed(kinds[kind], payload, vault), compensate=closed)
        case Chain(steps=parts):
            return Chain(tuple(_sealed(part, kinds, vault) for part in parts))
        case Group(members=parts):
            return Group(tuple(_sealed(part, kinds, vault) for part in parts))


def count_steps(node: Node) -> int:
    """How many tasks do the work of it."""
    return sum(1 for _ in _steps(node))


def _steps(node: Node) -> Iterator[Step]:
    match node:
        case Step():
            yield node
        case Chain(steps=parts) | Group(members=parts):
            for part in parts:
                yield from _steps(part)
