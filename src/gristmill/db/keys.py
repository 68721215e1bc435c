"""API keys: made, checked and revoked. Only a hash is kept, so a stolen database opens nothing."""

import hashlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import api_keys
from gristmill.errors import InvalidInput, NotFound, Unauthorized
from gristmill.ids import new_id

__all__ = ["ApiKey", "Keys", "Scope", "ValidKeys"]

_PREFIX = "gm_"

_REMEMBERED_SECONDS = 1.0
"""How long a process may go by what it read; a key that another process made or revoked is noticed after that."""

_VALID = select(api_keys).where(api_keys.c.revoked_at.is_(None))


class Scope(StrEnum):
    """What a key may do; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def allows(self, needed: "Scope") -> bool:
        """Whether this scope includes ``needed``."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is remembered: everything but the secret."""

    id: str
    name: str
    scope: Scope
    created_at: int
    revoked_at: int | None = None


class ValidKeys:
    """The keys that opened at one moment."""

    def __init__(self, keys_by_hash: Mapping[str, ApiKey]) -> None:
        self._by_hash = keys_by_hash

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def check(self, secret: str | None) -> ApiKey:
        """The key with this secret; :class:`Unauthorized` (``key_missing``, ``key_invalid``)."""
        if not secret:
            raise Unauthorized("key_missing")
        # How long looking for a hash takes says nothing about the secret.
        key = self._by_hash.get(_hash(secret))
        if key is None:
            raise Unauthorized("key_invalid")
        return key

    def admits(self, key_id: str | None) -> bool:
        """Whether whoever came with a key, or without one, would still be let in."""
        return not self if key_id is None else any(key.id == key_id for key in self._by_hash.values())


class Keys:
    """The keys of one database; the valid ones are remembered for a second, so that few requests have to ask for them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: tuple[float, ValidKeys] | None = None
        """When it was read, and what."""
        self._changes = 0
        """How often this process changed the keys."""

    def create(self, name: str, scope: str) -> tuple[ApiKey, str]:
        """A new key and its secret, which is shown this once; :class:`InvalidInput` for an unknown scope."""
        if scope not in list(Scope):
            raise InvalidInput("scope_unknown", value=scope, known=", ".join(Scope))
        secret = _PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(id=new_id(), name=name, scope=Scope(scope), created_at=self._clock.now())
        with self._database.write(durable=True) as tx:
            tx.execute(
                insert(api_keys).values(
                    id=key.id,
                    name=name,
                    secret_hash=_hash(secret),
                    scopes=[key.scope],
                    created_at=key.created_at,
                )
            )
        self._forget()
        return key, secret

    def all(self) -> Sequence[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        with self._database.read() as tx:
            rows = tx.execute(select(api_keys).order_by(api_keys.c.created_at)).all()
        return [_key(row) for row in rows]

    def remembered(self) -> ValidKeys | None:
        """The valid keys of less than a second ago, without waiting; None if they have to be read."""
        remembered = self._remembered
        if remembered is None or self._clock.monotonic() - remembered[0] >= _REMEMBERED_SECONDS:
            return None
        return remembered[1]

    def valid(self) -> ValidKeys:
        """The valid keys, as they were less than a second ago."""
        remembered = self.remembered()
        return self._read() if remembered is None else remembered

    def _read(self) -> ValidKeys:
        began, changes = self._clock.monotonic(), self._changes
        with self._database.read() as tx:
            rows = tx.execute(_VALID).all()
        valid = ValidKeys({row.secret_hash: _key(row) for row in rows})
        with self._lock:
            # What was read while this process changed the keys may be from before.
            if changes == self._changes:
                self._remembered = began, valid
        return valid

    def _forget(self) -> None:
        with self._lock:
            self._changes += 1
            self._remembered = None

    def revoke(self, key_id: str) -> None:
        """Refuse the key: at once in this process, within a second in others; :class:`NotFound` (``key_not_found``)."""
        with self._database.write(durable=True) as tx:
            changed = tx.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
            ).rowcount
        self._forget()
        if not changed:
            raise NotFound("key_not_found", key_id=key_id)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scope=Scope(row.scopes[0]),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def _hash(secret: str) -> str:
    # A random secret of 256 bits needs no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
