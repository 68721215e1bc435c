"""Composes work from Python, the way Celery's canvas does.

::

    from gristmill.canvas import chain, chord, group, kind, previous

    index, ping = kind("index_document"), kind("ping")
    work = chain(index.s(1), group(ping.s("a"), ping.s("b")), ping.s("done"))
    work = ping.s("first") | ping.s(note=previous("note"))
    work = chord([index.s(number) for number in ids], ping.s("all indexed"))

``submit_workflow(work)`` of a :class:`gristmill.client.Client` hands it in. A step that lacks an argument gets what the
step before returned.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from gristmill.errors import InvalidInput
from gristmill.kinds import KINDS
from gristmill.tasks.kind import Kind, fields_of
from gristmill.tasks.references import previous
from gristmill.tasks.workflow import Chain, Group, Node, Step

__all__ = ["TaskKind", "chain", "chord", "group", "kind", "previous"]


class TaskKind:
    """A kind of task, of which steps are made."""

    def __init__(self, declared: Kind) -> None:
        self._declared = declared

    def s(self, *arguments: Any, **named: Any) -> Step:
        """A step with these arguments: those without a name are for the payload's fields in their order."""
        fields = fields_of(self._declared)
        if len(arguments) > len(fields):
            raise InvalidInput(
                "workflow_arguments_surplus", kind=self._declared.name, count=len(arguments), known=", ".join(fields)
            )
        placed = dict(zip(fields, arguments, strict=False))
        for field in placed.keys() & named.keys():
            raise InvalidInput("workflow_argument_twice", kind=self._declared.name, field=field)
        return Step(kind=self._declared.name, payload={**placed, **named})


def kind(name: str | Kind) -> TaskKind:
    """The kind called ``name``; :class:`InvalidInput` (``kind_unknown``)."""
    if isinstance(name, Kind):
        return TaskKind(name)
    if name not in KINDS:
        raise InvalidInput("kind_unknown", kind=name, known=", ".join(sorted(KINDS)))
    return TaskKind(KINDS[name])


def chain(*steps: Node | Iterable[Node]) -> Chain:
    """``steps``, one after the other: given one by one, or as one iterable."""
    return Chain(_nodes(steps, "chain"))


def group(*members: Node | Iterable[Node]) -> Group:
    """``members``, all at once: given one by one, or as one iterable."""
    return Group(_nodes(members, "group"))


def chord(members: Group | Iterable[Node], body: Node) -> Chain:
    """``members`` all at once, then ``body`` with the list of what they returned."""
    return chain(members if isinstance(members, Group) else group(members), body)


def _nodes(given: Sequence[Any], place: str) -> tuple[Node, ...]:
    values = given
    if len(given) == 1 and isinstance(given[0], Iterable):
        values = list(given[0])
    for number, value in enumerate(values):
        if not isinstance(value, Step | Chain | Group):
            raise InvalidInput("workflow_node_invalid", field=f"{place}[{number}]", value=repr(value)[:80])
    return tuple(values)
