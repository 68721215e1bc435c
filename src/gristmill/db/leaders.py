"""Who does what only one shall do: a place for a while, for whoever asks first."""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database

__all__ = ["Leaders"]

_TAKE = text(
    """
    INSERT INTO leaders (name, holder, until) VALUES (:name, :holder, :until)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leaders.until <= :now OR leaders.until > :latest
    """
)
_LOOK = text("SELECT 1 FROM leaders WHERE name = :name AND until > :now AND until <= :latest")


class Leaders:
    """The places of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def take(self, name: str, holder: str, *, seconds: float) -> bool:
        """Whether ``holder`` gets the place ``name``, which then is nobody else's, nor its own again, for ``seconds``.

        A place taken for longer than anyone may is free: a clock was wrong when it was taken.
        """
        now = self._clock.now()
        until = now + int(seconds * 1_000_000)
        values = {"name": name, "holder": holder, "until": until, "now": now, "latest": until}
        # Most who ask are told no, and must not hold up writers for it.
        with self._database.read() as tx:
            if tx.execute(_LOOK, {"name": name, "now": now, "latest": until}).first() is not None:
                return False

        def claim(tx: Connection) -> bool:
            return tx.execute(_TAKE, values).rowcount == 1

        return self._database.transact(claim)
