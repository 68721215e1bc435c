"""The tables, as the statements of both stores see them.

Migrations create the tables; a test holds these definitions against what they created. Times are microseconds since
the epoch in every database, JSON is text, so that both databases keep the same values.
"""

import json
import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.types import NullType, TypeDecorator

__all__ = [
    "JsonText",
    "alert_notices",
    "alerts",
    "api_keys",
    "chunks",
    "collections",
    "controls",
    "delivery_is_pending",
    "documents",
    "duty_totals",
    "embeddings",
    "event_cursors",
    "leaders",
    "metadata",
    "schedules",
    "snapshot_documents",
    "snapshots",
    "spaces",
    "task_events",
    "task_is_ready",
    "task_is_scheduled",
    "task_items",
    "task_totals",
    "tasks",
    "tickets",
    "version_chunks",
    "versions",
    "webhook_deliveries",
    "webhooks",
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


class Embedding(TypeDecorator[bytes]):
    """Little-endian float32 numbers: bytes where the database only keeps them, ``vector`` where it compares them."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """The column's type in the database."""
        return dialect.type_descriptor(NullType() if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        """As the driver takes it."""
        if value is None or dialect.name != "postgresql":
            return value
        import numpy as np

        return np.frombuffer(value, dtype="<f4")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """As bytes again."""
        if value is None or dialect.name != "postgresql":
            return value
        import numpy as np

        return np.asarray(value.to_numpy(), dtype="<f4").tobytes()


metadata = MetaData()

tasks = Table(
    "tasks",
    metadata,
    Column("number", BigInteger, primary_key=True),
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
    Column("lease", BigInteger, nullable=False),
    Column("soft_limit_seconds", Float, nullable=False),
    Column("hard_limit_seconds", Float, nullable=False),
    Column("stage", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ready_at", BigInteger, nullable=False),
    Column("scheduled_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("waiting", Boolean(create_constraint=False), nullable=False),
    Column("halts", Boolean(create_constraint=False), nullable=False),
    Column("pinned", Boolean(create_constraint=False), nullable=False),
    Column("worker_id", Text),
    Column("slot", Integer),
    Column("engine", Text),
    Column("parent_id", Text),
    Column("collection", Text),
    Column("user_id", BigInteger),
    Column("idempotency_key", Text, unique=True),
    Column("request_hash", Text),
    Column("result", JsonText),
    Column("item_count", BigInteger, nullable=False),
    Column("items_expire_at", BigInteger),
    Column("checkpoint", JsonText),
    Column("error", JsonText),
)

# Spelled as the partial indexes spell them: a bound parameter, or the "= 1" that a Boolean gets on SQLite, would hide from
# the planner that the index applies.
task_is_scheduled: ColumnElement[bool] = literal_column("(tasks.state = 'pending' AND NOT tasks.due)")
task_is_ready: ColumnElement[bool] = literal_column("(tasks.state = 'pending' AND tasks.due)")

task_events = Table(
    "task_events",
    metadata,
    Column("seq", BigInteger, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("worker_id", Text),
    Column("detail", JsonText, nullable=False),
)

task_items = Table(
    "task_items",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
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
    Column("beat", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("beat_at", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
)

leaders = Table(
    "leaders",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("scopes", JsonText, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
)

controls = Table(
    "controls",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", JsonText, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("cron", Text),
    Column("timezone", Text),
    Column("every_seconds", BigInteger),
    Column("kind", Text, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("collection", Text),
    Column("misfire", Text, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("paused", Boolean(create_constraint=False), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("next_tick_at", BigInteger, nullable=False),
    Column("last_tick_at", BigInteger),
    Column("last_run_at", BigInteger),
    Column("last_task_id", Text),
    Column("fired", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("missed", BigInteger, nullable=False),
    Column("error", JsonText),
    Column("revision", BigInteger, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False),
    Column("chunk_size", BigInteger, nullable=False),
    Column("chunk_overlap", BigInteger, nullable=False),
    Column("active_space_id", BigInteger),
    Column("generation", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
    Column("document_count", BigInteger, nullable=False),
    Column("chunk_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
)

spaces = Table(
    "spaces",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("collection_id", BigInteger, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("dimension", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("collection_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("material", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("root", Text),
    Column("blob_id", Text),
    Column("declared_type", Text),
    Column("media_type", Text),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("current_version_id", BigInteger),
    Column("held_version_id", BigInteger),
    Column("generation", BigInteger, nullable=False),
    Column("error", JsonText),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("indexed_at", BigInteger),
    Column("deleted_at", BigInteger),
)

versions = Table(
    "versions",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("document_id", BigInteger, nullable=False),
    Column("space_id", BigInteger, nullable=False),
    Column("replaces", BigInteger),
    Column("task_id", Text, nullable=False),
    Column("number", BigInteger),
    Column("content_hash", Text, nullable=False),
    Column("settings_hash", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("title", Text),
    Column("metadata", JsonText, nullable=False),
    Column("notices", JsonText, nullable=False),
    Column("chunk_count", BigInteger, nullable=False),
    Column("embedded", BigInteger, nullable=False),
    Column("reused", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("published_at", BigInteger),
)

chunks = Table(
    "chunks",
    metadata,
    Column("no", BigInteger, primary_key=True),
    Column("document_id", BigInteger, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("headings", JsonText, nullable=False),
    Column("text", Text, nullable=False),
)

version_chunks = Table(
    "version_chunks",
    metadata,
    Column("version_id", BigInteger, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("chunk_no", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("page", BigInteger),
    Column("part", Text),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("chunk_no", BigInteger, nullable=False),
    Column("space_id", BigInteger, nullable=False),
    Column("vector", Embedding, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("collection_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("is_automatic", Boolean(create_constraint=False), nullable=False),
    Column("space_id", BigInteger, nullable=False),
    Column("chunk_size", BigInteger, nullable=False),
    Column("chunk_overlap", BigInteger, nullable=False),
    Column("document_count", BigInteger, nullable=False),
    Column("chunk_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

snapshot_documents = Table(
    "snapshot_documents",
    metadata,
    Column("snapshot_id", BigInteger, primary_key=True),
    Column("document_id", BigInteger, primary_key=True),
    Column("version_id", BigInteger),
    Column("name", Text, nullable=False),
    Column("blob_id", Text),
    Column("size", BigInteger),
    Column("mtime_ns", BigInteger),
)

task_totals = Table(
    "task_totals",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("engine", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("bound", BigInteger, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("microseconds", BigInteger, nullable=False),
)

duty_totals = Table(
    "duty_totals",
    metadata,
    Column("duty", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

event_cursors = Table(
    "event_cursors",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("fired_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
)

alert_notices = Table(
    "alert_notices",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("alert_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
)

tickets = Table(
    "tickets",
    metadata,
    Column("secret_hash", Text, primary_key=True),
    Column("key_id", Text),
    Column("expires_at", BigInteger, nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("wants", JsonText, nullable=False),
    Column("active", Boolean(create_constraint=False), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("free_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("body", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
    Column("error", JsonText),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

# Spelled as its partial index spells it, like those of tasks.
delivery_is_pending: ColumnElement[bool] = literal_column("(webhook_deliveries.state = 'pending')")
