"""Accepts what several threads hand in at the same moment in one transaction, so that they wait for the disk together."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.tasks.moves import add_tasks
from gristmill.errors import LimitExceeded, Unavailable
from gristmill.tasks.model import NewTask, Task

__all__ = ["Acceptance"]


@dataclass(slots=True, eq=False)
class _Request:
    tasks: Sequence[NewTask]
    answer: list[Task] | BaseException | None = None


class Acceptance:
    """One for each database in a process; what is handed in while a transaction is under way goes into the next."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: deque[_Request] = deque()
        self._turn = threading.Lock()

    def add(self, tasks: Sequence[NewTask]) -> list[Task]:
        """See :meth:`TaskStore.add`: all of ``tasks`` or none, durable when this returns, whoever else takes part."""
        request = _Request(tasks)
        self._waiting.append(request)
        with self._turn:
            if request.answer is None:
                self._accept(request)
        if isinstance(request.answer, BaseException):
            raise request.answer
        assert request.answer is not None
        return request.answer

    def _accept(self, mine: _Request) -> None:
        others: list[_Request] = []
        while self._waiting:
            other = self._waiting.popleft()
            if other is not mine and other.answer is None:
                others.append(other)
        requests = [mine, *others]
        try:
            answers = iter(self._write([task for request in requests for task in request.tasks]))
        except (Unavailable, LimitExceeded) as error:
            # The database cannot serve now; to try each alone would make the last wait as often as there are others.
            for request in requests:
                request.answer = error
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one request is no matter of the others
            if not others:
                mine.answer = error
                return
            for request in requests:
                self._accept_alone(request)
        else:
            for request in requests:
                request.answer = [next(answers) for _ in request.tasks]

    def _accept_alone(self, request: _Request) -> None:
        try:
            request.answer = self._write(request.tasks)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that asked
            request.answer = error

    def _write(self, tasks: Sequence[NewTask]) -> list[Task]:
        return self._database.transact(lambda tx: add_tasks(tx, tasks, self._clock.now()), durable=True)
