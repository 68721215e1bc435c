"""Which outcomes are written in one transaction: many that change a row each, few that change many.

While a worker writes, whoever submits a task waits.
"""

from collections.abc import Iterator, Sequence

from gristmill.tasks.model import Completed, Failed, JointEffect, Outcome, Task, Waiting

__all__ = ["portions"]

_HEAVIEST = 64
_EFFECT = 8
"""What an effect weighs that does not say so itself, beside the row of its task."""
_ITEMS_A_ROW = 4
"""Result items are written in one go and have no index; so many weigh as much as a row."""


def portions(attempts: Sequence[tuple[Task, Outcome]]) -> Iterator[list[tuple[Task, Outcome]]]:
    """``attempts`` in their order, cut where a transaction would become long."""
    portion: list[tuple[Task, Outcome]] = []
    weight = 0
    for attempt in attempts:
        more = _weight(attempt[1])
        if portion and weight + more > _HEAVIEST:
            yield portion
            portion, weight = [], 0
        portion.append(attempt)
        weight += more
    if portion:
        yield portion


def _weight(outcome: Outcome) -> int:
    weight = 1
    if isinstance(outcome, Completed | Failed):
        weight += len(outcome.items) // _ITEMS_A_ROW
        if outcome.effect is not None:
            weight += outcome.effect.weight if isinstance(outcome.effect, JointEffect) else _EFFECT
    if isinstance(outcome, Completed | Waiting):
        weight += len(outcome.spawn)
    return weight
