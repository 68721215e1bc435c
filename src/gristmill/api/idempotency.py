"""The ``Idempotency-Key`` header: the same request sent twice is one task."""

from typing import Annotated

from fastapi import Depends, Header, Request

from gristmill.api.auth import caller_of
from gristmill.errors import InvalidInput

__all__ = ["IdempotencyKey"]

_NAME = "Idempotency-Key"
_MOST_CHARS = 200


async def _idempotency_key(
    request: Request,
    key: Annotated[
        str | None,
        Header(
            alias=_NAME,
            description="Repeating a request with the same key answers with the same task; another request under it "
            "is refused with `idempotency_key_reused`.",
        ),
    ] = None,
) -> str | None:
    if key is None:
        return None
    if not 1 <= len(key) <= _MOST_CHARS or not (key.isascii() and key.isprintable()):
        raise InvalidInput("idempotency_key_invalid", field=_NAME)
    # Two callers who happen to choose the same key must not see each other's tasks.
    owner = caller_of(request).key_id
    return key if owner is None else f"{owner}/{key}"


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
"""Asked for by endpoints that submit a task."""
