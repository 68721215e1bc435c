"""API keys: made, checked and revoked. Only a hash is kept, so a stolen database opens nothing."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import insert, select, update

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import api_keys
from gristmill.errors import InvalidInput, NotFound, Unauthorized
from gristmill.ids import new_id

__all__ = ["ApiKey", "Keys", "Scope"]

_PREFIX = "gm_"


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


class Keys:
    """The keys of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

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
        return key, secret

    def all(self) -> Sequence[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        with self._database.read() as tx:
            rows = tx.execute(select(api_keys).order_by(api_keys.c.created_at)).all()
        return [
            ApiKey(
                id=row.id,
                name=row.name,
                scope=Scope(row.scopes[0]),
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            )
            for row in rows
        ]

    def any_valid(self) -> bool:
        """Whether some key would be accepted."""
        with self._database.read() as tx:
            return tx.execute(select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).limit(1)).first() is not None

    def check(self, secret: str | None) -> ApiKey:
        """The key with this secret; :class:`Unauthorized` (``key_missing``, ``key_invalid``)."""
        if not secret:
            raise Unauthorized("key_missing")
        digest = _hash(secret)
        with self._database.read() as tx:
            row = tx.execute(
                select(api_keys).where(api_keys.c.secret_hash == digest, api_keys.c.revoked_at.is_(None))
            ).first()
        if row is None or not hmac.compare_digest(row.secret_hash, digest):
            raise Unauthorized("key_invalid")
        return ApiKey(id=row.id, name=row.name, scope=Scope(row.scopes[0]), created_at=row.created_at)

    def revoke(self, key_id: str) -> None:
        """Refuse the key from now on; :class:`NotFound` (``key_not_found``)."""
        with self._database.write(durable=True) as tx:
            changed = tx.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
            ).rowcount
        if not changed:
            raise NotFound("key_not_found", key_id=key_id)


def _hash(secret: str) -> str:
    # A random secret of 256 bits needs no slow hash: there is nothing to guess.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
