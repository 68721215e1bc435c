"""What in a payload is nobody's business: encrypted before it is stored, readable again only where the task runs.

A payload type marks a field by the metadata that :func:`secret` makes. In a row, and in whatever shows a row, the
field holds what may be shown beside what only the vault can read.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol, TypeGuard

from gristmill.tasks.kind import Kind
from gristmill.tasks.model import Json

__all__ = ["NO_VAULT", "Vault", "masked", "may_hold_secrets", "opened", "sealed", "secret"]

_MARK = "gristmill_secret"
_SEALED = "sealed"
_SHOWN = "shown"

Shown = Callable[[str], str]
"""What may be shown of a value; the value itself if nothing in it is secret."""


class Vault(Protocol):
    """Keeps secrets."""

    def seal(self, text: str) -> str:
        """``text``, readable only with a key of this installation."""
        ...

    def open(self, field: str, token: str) -> str:
        """What :meth:`seal` made ``token`` of; :class:`InvalidInput` (``secret_unreadable``) without the key."""
        ...


class _NoVault:
    def seal(self, text: str) -> str:
        return text

    def open(self, field: str, token: str) -> str:
        del field
        return token


NO_VAULT: Vault = _NoVault()
"""Keeps nothing secret: for where nothing is stored."""


def secret(shown: Shown) -> Mapping[str, Any]:
    """Metadata of a dataclass field that may hold a secret, of which only what ``shown`` makes of it may be seen."""
    return {_MARK: shown}


@cache
def _secrets_of(payload: type) -> Mapping[str, Shown]:
    return {field.name: field.metadata[_MARK] for field in dataclasses.fields(payload) if _MARK in field.metadata}


def may_hold_secrets(kind: Kind) -> bool:
    """Whether there is anything to seal in payloads of ``kind``."""
    return bool(_secrets_of(kind.payload))


def sealed(kind: Kind, payload: Json, vault: Vault) -> Json:
    """``payload`` as it is stored."""
    found: dict[str, Any] = {}
    for name, shown in _secrets_of(kind.payload).items():
        value = payload.get(name)
        if isinstance(value, str) and (visible := shown(value)) != value:
            found[name] = {_SEALED: vault.seal(value), _SHOWN: visible}
    return {**payload, **found} if found else payload


def opened(kind: Kind, payload: Json, vault: Vault) -> Json:
    """``payload`` as it was handed in."""
    found: dict[str, Any] = {}
    for name in _secrets_of(kind.payload):
        value = payload.get(name)
        if _is_sealed(value):
            found[name] = vault.open(name, value[_SEALED])
    return {**payload, **found} if found else payload


def masked(payload: Json) -> dict[str, Any]:
    """``payload`` as it may be shown."""
    return {name: _masked(value) for name, value in payload.items()}


def _masked(value: Any) -> Any:
    if _is_sealed(value):
        return value[_SHOWN]
    if isinstance(value, Mapping):
        return masked(value)
    return [*map(_masked, value)] if isinstance(value, list) else value


def _is_sealed(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and value.keys() == {_SEALED, _SHOWN}
