"""Identifiers: random ones that sort by time, and ones derived from content."""

import hashlib
import os
import time
import uuid

__all__ = ["content_hash", "derived_id", "new_id"]


def new_id() -> str:
    """A UUID version 7 (RFC 9562): sorts by creation time, so that indexes stay compact."""
    millis = time.time_ns() // 1_000_000
    value = (millis << 80) | int.from_bytes(os.urandom(10))
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def derived_id(parent_id: str, name: str) -> str:
    """The UUID that ``name`` always has under ``parent_id``: makes "create it again" harmless."""
    return str(uuid.uuid5(uuid.UUID(parent_id), name))


def content_hash(*parts: str | bytes) -> str:
    """SHA-256 over ``parts`` with their lengths, as hex: no two lists of parts collide by concatenation."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
