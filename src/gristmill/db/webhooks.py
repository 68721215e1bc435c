"""Webhooks: addresses that are told of the ends of tasks, and which ends each wants to hear of.

An address may open a door as well as the key that signs what is posted there, so both are kept sealed; beside them
stands what may be shown of the address.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from gristmill.clock import Clock
from gristmill.db.database import Database
from gristmill.db.schema import webhooks
from gristmill.db.tasks.tail import SqlEventTail
from gristmill.errors import NotFound
from gristmill.ids import new_id
from gristmill.kinds import without_secrets
from gristmill.tasks.model import Task, TaskState
from gristmill.tasks.secrets import Vault

__all__ = ["Receiver", "StoredWebhook", "Wants", "Webhooks", "webhook_from"]

_ENDS = tuple(state for state in TaskState if state.is_final)
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """Which ends somebody wants to hear of; an empty field means any."""

    states: tuple[TaskState, ...] = _ENDS
    kinds: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    collection: str | None = None
    top_level_only: bool = True
    """Not of what tasks are made of: a batch of ten thousand documents would be told of as often."""

    def includes(self, task: Task, state: TaskState) -> bool:
        """Whether the end of ``task`` in ``state`` is one of them."""
        return (
            state in self.states
            and (not self.kinds or task.kind in self.kinds)
            and (not self.queues or task.queue in self.queues)
            and self.collection in (None, task.collection)
            and not (self.top_level_only and task.parent_id is not None)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWebhook:
    """A webhook as it is remembered."""

    id: str
    address: str
    """Where it is, as far as that may be shown."""
    url: str
    """Sealed, like ``secret``: see :meth:`Webhooks.receiver`."""
    secret: str
    wants: Wants
    active: bool
    failures: int
    """Posts in a row that did not arrive."""
    created_at: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to post to, and what to sign with."""

    url: str
    secret: str


class Webhooks:
    """The webhooks of one database."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    def add(self, url: str, wants: Wants, *, secret: str | None = None) -> tuple[StoredWebhook, str]:
        """Tell ``url`` of every end from now on; with the key that signs, made up if there is none. Durable."""
        secret = secret or secrets.token_urlsafe(32)
        row = {
            "id": new_id(),
            **self._sealed(url=url, secret=secret),
            "wants": asdict(wants),
            "active": True,
            "seq": self._end_of_events(),
            "free_at": 0,
            "failures": 0,
            "created_at": self._clock.now(),
        }
        with self._database.write(durable=True) as tx:
            tx.execute(insert(webhooks).values(row))
        return self.get(row["id"]), secret

    def get(self, webhook_id: str) -> StoredWebhook:
        """The webhook; :class:`NotFound` (``webhook_not_found``)."""
        with self._database.read() as tx:
            row = tx.execute(select(webhooks).where(webhooks.c.id == webhook_id)).first()
        if row is None:
            raise NotFound("webhook_not_found", webhook_id=webhook_id)
        return webhook_from(row)

    def all(self) -> list[StoredWebhook]:
        """All of them, oldest first."""
        with self._database.read() as tx:
            return [webhook_from(row) for row in tx.execute(select(webhooks).order_by(webhooks.c.created_at))]

    def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        secret: str | None = None,
        active: bool | None = None,
        wants: Mapping[str, Any],
    ) -> StoredWebhook:
        """Change what is given; of ``wants``, the named fields. Durable.

        One that is switched on again hears of what ends from then on, and is posted what was due before it was
        switched off. :class:`NotFound` (``webhook_not_found``).
        """
        values: dict[str, Any] = self._sealed(url=url, secret=secret)
        if active is not None:
            values["active"] = active
        fresh = {"seq": self._end_of_events(), "free_at": 0, "failures": 0} if active else {}
        mine = webhooks.c.id == webhook_id

        def write(tx: Connection) -> None:
            row = tx.execute(select(webhooks).where(mine).with_for_update()).first()
            if row is not None:
                changed = {**values, **({} if row.active else fresh), "wants": {**row.wants, **wants}}
                tx.execute(update(webhooks).where(mine).values(changed))

        self._database.transact(write, durable=True)
        return self.get(webhook_id)

    def remove(self, webhook_id: str) -> None:
        """Forget the webhook and its deliveries; :class:`NotFound` (``webhook_not_found``)."""
        with self._database.write(durable=True) as tx:
            if not tx.execute(delete(webhooks).where(webhooks.c.id == webhook_id)).rowcount:
                raise NotFound("webhook_not_found", webhook_id=webhook_id)

    def receiver(self, webhook: StoredWebhook) -> Receiver:
        """Where ``webhook`` is; :class:`InvalidInput` (``secret_unreadable``) without the key that sealed it."""
        return Receiver(self._vault.open("url", webhook.url), self._vault.open("secret", webhook.secret))

    def _sealed(self, *, url: str | None, secret: str | None) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if url is not None:
            values |= {"url": self._vault.seal(url), "address": without_secrets(url)}
        if secret is not None:
            values["secret"] = self._vault.seal(secret)
        return values

    def _end_of_events(self) -> int:
        """A place in the event log before which none will turn up any more: waits for those that are being written."""
        tail = SqlEventTail(self._database, after=None)
        while True:
            tail.read()
            if tail.position is not None:
                return tail.position
            time.sleep(_LOOK_SECONDS)


def webhook_from(row: Any) -> StoredWebhook:
    """The webhook of a row of ``webhooks``."""
    wants = row.wants
    return StoredWebhook(
        id=row.id,
        address=row.address,
        url=row.url,
        secret=row.secret,
        wants=Wants(
            states=tuple(map(TaskState, wants["states"])),
            kinds=tuple(wants["kinds"]),
            queues=tuple(wants["queues"]),
            collection=wants["collection"],
            top_level_only=wants["top_level_only"],
        ),
        active=row.active,
        failures=row.failures,
        created_at=row.created_at,
    )
