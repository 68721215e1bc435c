"""What is written together: many small endings, few large ones."""

from collections.abc import Sequence

from gristmill.tasks.model import Completed, JointEffect, Outcome, Task, Waiting
from gristmill.worker.portions import portions
from tests.support.tasks import new_task

_PLAIN = Completed(result={})
_WITH_EFFECT = Completed(effect=lambda _tx: None)
_WITH_CHILDREN = Waiting(spawn=[new_task() for _ in range(500)])


def sizes(outcomes: Sequence[Outcome], task: Task | None = None) -> list[int]:
    attempts = [(task, outcome) for outcome in outcomes]
    cut = list(portions(attempts))  # type: ignore[arg-type]  # which task it is does not matter
    assert [attempt for portion in cut for attempt in portion] == attempts
    return [len(portion) for portion in cut]


def test_endings_that_change_a_row_each_are_written_by_the_dozen() -> None:
    assert sizes([_PLAIN] * 32) == [32]


def test_endings_with_an_effect_are_written_a_few_at_a_time() -> None:
    assert sizes([_WITH_EFFECT] * 20) == [7, 7, 6]


def test_endings_whose_effect_says_what_it_weighs_are_written_by_their_weight() -> None:
    light, heavy = (Completed(effect=JointEffect(None, lambda _tx, _all: [], weight=weight)) for weight in (3, 100))

    assert sizes([light] * 20 + [heavy, light]) == [16, 4, 1, 1]


def test_an_ending_with_many_children_is_written_alone() -> None:
    assert sizes([_PLAIN, _WITH_CHILDREN, _WITH_CHILDREN, _PLAIN]) == [1, 1, 1, 1]


def test_nothing_is_written_of_nothing() -> None:
    assert sizes([]) == []
