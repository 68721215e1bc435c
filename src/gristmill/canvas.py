"""Composes work from Python, the way Celery's canvas does.

::

    from gristmill.canvas import chain, chord, group, kind, previous

    index, ping = kind("index_document"), kind("ping")
    work = chain(index.s(1), group(ping.s("a"), ping.s("b")), ping.s("done"))
    work = ping.s("first") | ping.s(note=previous("note"))
    work = chord([index.s(number) for number in ids], ping.s("all indexed"))

``gristmill.open(folder).workflows.submit(work)`` or ``Client(url).workflows.submit(work)`` hands it in. A step that
lacks an argument gets what the step before returned.
"""

from collections.abc import Iterable
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
        return Step(kind=self._declared.name, payload={**dict(zip(fields, arguments, strict=False)), **named})


def kind(name: str | Kind) -> TaskKind:
    """The kind called ``name``; :class:`InvalidInput` (``kind_unknown``)."""
    if isinstance(name, Kind):
        return TaskKind(name)
    if name not in KINDS:
        raise InvalidInput("kind_unknown", kind=name, known=", ".join(sorted(KINDS)))
    return TaskKind(KINDS[name])


def chain(*steps: Node) -> Chain:
    """``steps``, one after the other."""
    return Chain(steps)


def group(*members: Node | Iterable[Node]) -> Group:
    """``members``, all at once: given one by one, or as one iterable."""
    if len(members) == 1 and not isinstance(members[0], Step | Chain | Group):
        return Group(tuple(members[0]))
    return Group(tuple(member for member in members if isinstance(member, Step | Chain | Group)))


def chord(members: Iterable[Node], body: Node) -> Chain:
    """``members`` all at once, then ``body`` with the list of what they returned."""
    return Chain((Group(tuple(members)), body))
