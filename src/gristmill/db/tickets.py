"""Tickets: each opens one connection, soon, in place of a key that must not stand in an address."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, insert

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import tickets
from gristmill.errors import Unauthorized

__all__ = ["TICKET_SECONDS", "Ticket", "Tickets"]

TICKET_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who was given it; without a ``key_id``, somebody on this machine."""

    key_id: str | None


class Tickets:
    """The tickets of one database; only their hashes are kept."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def issue(self, key_id: str | None) -> str:
        """A new ticket for whoever came with the key."""
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        row = {"secret_hash": _hash(secret), "key_id": key_id, "expires_at": now + TICKET_SECONDS * 1_000_000}
        with self._database.write() as tx:
            tx.execute(delete(tickets).where(tickets.c.expires_at <= now))
            tx.execute(insert(tickets).values(row))
        return secret

    def redeem(self, secret: str) -> Ticket:
        """Take the ticket; :class:`Unauthorized` (``ticket_invalid``) if it was taken before, is too old or was none."""
        mine = (tickets.c.secret_hash == _hash(secret)) & (tickets.c.expires_at > self._clock.now())
        with self._database.write() as tx:
            row = tx.execute(delete(tickets).where(mine).returning(tickets.c.key_id)).first()
        if row is None:
            raise Unauthorized("ticket_invalid", seconds=TICKET_SECONDS)
        return Ticket(row.key_id)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
