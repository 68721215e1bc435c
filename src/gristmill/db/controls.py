"""What is changed while the service runs and every process follows, by name."""

from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import controls
from gristmill.errors import Conflict
from gristmill.tasks.model import Json

__all__ = ["Control", "Controls"]


@dataclass(frozen=True, slots=True)
class Control:
    """One of them as it was read; ``version`` 0 means that nobody has set it yet."""

    body: Json
    version: int = 0


class Controls:
    """The controls of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def read(self, name: str) -> Control:
        """The control ``name`` as it is."""
        with self._database.read() as tx:
            row = tx.execute(select(controls).where(controls.c.name == name)).first()
        return Control({}) if row is None else Control(row.body, row.version)

    def write(self, name: str, body: Json, *, version: int) -> Control:
        """Replace the one that was read as ``version``; :class:`Conflict` if another has done so since. Durable."""
        values = {"body": dict(body), "version": version + 1, "changed_at": self._clock.now()}

        def change(tx: Connection) -> int:
            statement = update(controls).where(controls.c.name == name, controls.c.version == version)
            changed: int = tx.execute(statement.values(values)).rowcount
            return changed

        def add(tx: Connection) -> int:
            known = tx.execute(select(controls.c.name).where(controls.c.name == name)).first()
            if known is not None:
                return 0
            tx.execute(insert(controls).values(name=name, **values))
            return 1

        if not self._database.transact(change if version else add, durable=True):
            raise Conflict("control_changed", name=name)
        return Control(body, version + 1)
