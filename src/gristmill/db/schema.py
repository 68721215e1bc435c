"""The tables, as the statements of both stores see them.

Migrations create the tables; a test holds these definitions against what they created. Times are microseconds since
the epoch in every database, JSON is text, so that both databases keep the same values.
"""

import json
import re
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text, literal_column
from sqlalchemy.types import TypeDecorator

__all__ = [
    "JsonText",
    "api_keys",
    "chunks",
    "collections",
    "documents",
    "embeddings",
    "leaders",
    "metadata",
    "spaces",
    "task_events",
    "task_is_scheduled",
    "task_is_undispatched",
    "task_items",
    "tasks",
    "version_chunks",
    "versions",
    "workers",
]


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonText(TypeDecorator[Any]):
    """JSON kept as compact text; None stays NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """To text; refuses values that JSON has no form for."""
        del dialect
        if value is None:
            return None
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # JSON can hold half a surrogate pair, UTF-8 cannot; escaped, it survives.
        return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """From text; what is not JSON comes back as it is, because one spoiled row must not hide all others."""
        del dialect
        try:
            return None if value is None else json.loads(value)
        except (ValueError, RecursionError):
            return value


metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("due", Boolean(create_constraint=False), nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("crash_count", Integer, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("soft_limit_seconds", Float, nullable=False),
    Column("hard_limit_seconds", Float, nullable=False),
    Column("stage", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("total", Integer),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("ready_at", Integer, nullable=False),
    Column("scheduled_at", Integer),
    Column("started_at", Integer),
    Column("finished_at", Integer),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("waiting", Boolean(create_constraint=False), nullable=False),
    Column("worker_id", Text),
    Column("slot", Integer),
    Column("engine", Text),
    Column("dispatched_at", Integer),
    Column("parent_id", Text),
    Column("collection", Text),
    Column("user_id", Integer),
    Column("idempotency_key", Text, unique=True),
    Column("request_hash", Text),
    Column("result", JsonText),
    Column("item_count", Integer, nullable=False),
    Column("items_expire_at", Integer),
    Column("checkpoint", JsonText),
    Column("error", JsonText),
)

# Spelled as the partial indexes spell them: a bound parameter would hide from the planner that the index applies.
task_is_scheduled = literal_column("(tasks.state = 'pending' AND NOT tasks.due)", Boolean)
task_is_undispatched = literal_column(
    "(tasks.state = 'pending' AND tasks.due AND tasks.dispatched_at IS NULL)", Boolean
)

task_events = Table(
    "task_events",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("worker_id", Text),
    Column("detail", JsonText, nullable=False),
)

task_items = Table(
    "task_items",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("body", JsonText, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("queues", JsonText, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("started_at", Integer, nullable=False),
    Column("beat_at", Integer, nullable=False),
)

leaders = Table(
    "leaders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Integer, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("last_used_at", Integer),
    Column("revoked_at", Integer),
)

collections = Table(
    "collections",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("chunk_size", Integer, nullable=False),
    Column("chunk_overlap", Integer, nullable=False),
    Column("active_space_id", Integer),
    Column("generation", Integer, nullable=False),
    Column("forgotten", Integer, nullable=False),
    Column("document_count", Integer, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("deleted_at", Integer),
)

spaces = Table(
    "spaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection_id", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("material", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("root", Text),
    Column("blob_id", Text),
    Column("declared_type", Text),
    Column("media_type", Text),
    Column("size", Integer),
    Column("mtime_ns", Integer),
    Column("current_version_id", Integer),
    Column("generation", Integer, nullable=False),
    Column("error", JsonText),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("indexed_at", Integer),
    Column("deleted_at", Integer),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("document_id", Integer, nullable=False),
    Column("space_id", Integer, nullable=False),
    Column("replaces", Integer),
    Column("task_id", Text, nullable=False),
    Column("number", Integer),
    Column("content_hash", Text, nullable=False),
    Column("settings_hash", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", Integer),
    Column("mtime_ns", Integer),
    Column("title", Text),
    Column("metadata", JsonText, nullable=False),
    Column("notices", JsonText, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("embedded", Integer, nullable=False),
    Column("reused", Integer, nullable=False),
    Column("deleted", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("published_at", Integer),
)

chunks = Table(
    "chunks",
    metadata,
    Column("no", Integer, primary_key=True),
    Column("document_id", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("headings", JsonText, nullable=False),
    Column("text", Text, nullable=False),
)

version_chunks = Table(
    "version_chunks",
    metadata,
    Column("version_id", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("chunk_no", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("part", Text),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chunk_no", Integer, nullable=False),
    Column("space_id", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),
)
