"""The settings: nested sections, each handed to the part it concerns.

Every field has its unit in its name or type and a description that the reference is generated from. Nothing here
reads the environment; :mod:`gristmill.settings.load` does.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

__all__ = [
    "AlertSettings",
    "ApiSettings",
    "DatabaseSettings",
    "EmbeddingSettings",
    "EngineSettings",
    "FlowerSettings",
    "ImageSettings",
    "IndexSettings",
    "KindSettings",
    "LogSettings",
    "RedisSettings",
    "ScheduleSettings",
    "Settings",
    "SourceSettings",
    "TaskSettings",
    "TracingSettings",
    "WebhookSettings",
    "WorkerSettings",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


_Mean = Annotated[float, Field(ge=0, le=1)]
_Deviation = Annotated[float, Field(gt=0, le=10)]


class DatabaseSettings(_Section):
    """Where the rows live."""

    url: SecretStr | None = Field(None, description="Database URL; without one, a SQLite file in the data directory.")
    busy_timeout_seconds: float = Field(30.0, gt=0, le=600, description="How long a write waits for another writer.")
    connections: int = Field(20, ge=4, le=1000, description="Most connections each process opens to a Postgres server.")


class RedisSettings(_Section):
    """The broker for the engines that need one."""

    url: SecretStr | None = Field(None, description="Redis URL; wins over host, port, password and database number.")
    host: str | None = Field(None, description="Redis host.")
    port: int = Field(6379, ge=1, le=65535, description="Redis port.")
    password: SecretStr | None = Field(None, description="Redis password.")
    db: int = Field(0, ge=0, description="Redis database number.")


class EngineSettings(_Section):
    """How ids reach workers."""

    name: Literal["local", "celery", "rq"] | None = Field(
        None,
        description="Engine that carries task ids to workers; by default `celery` where Redis is set up, else `local`.",
    )
    ratio: float | None = Field(
        None, ge=0, le=1, description="Share of the tasks that `celery` gets; the rest goes to `rq`, or stays `local`."
    )
    fallback: bool = Field(True, description="Whether tasks are run as `local` ones while the broker is away.")


class WorkerSettings(_Section):
    """The processes that run tasks."""

    concurrency: int | None = Field(None, ge=1, le=256, description="Slots per worker; by default one per CPU core.")
    queues: tuple[str, ...] = Field(
        ("default", "documents", "metadata", "images", "analysis"), description="Queues a worker listens to."
    )
    max_tasks_per_slot: int = Field(
        10_000, ge=1, description="A slot's process is replaced after this many tasks, so that leaks cannot add up."
    )
    memory_limit_mb: int = Field(
        3072, ge=256, description="Memory one slot's process may use; beyond it the task fails, alone."
    )
    nice: int = Field(10, ge=0, le=19, description="CPU niceness of slots, so that the API stays fast beside them.")
    cancel_grace_seconds: float = Field(
        5.0, ge=0, le=300, description="Time a task has to stop by itself after a cancel before it is killed."
    )
    drain_seconds: float = Field(
        10.0, ge=0, le=3600, description="Time running tasks have to end at shutdown before they are given back."
    )


class KindSettings(_Section):
    """Overrides for one task kind; what is not set keeps the kind's own value."""

    queue: str | None = Field(None, description="Queue the kind is routed to.")
    soft_limit_seconds: float | None = Field(None, gt=0, description="Time after which the task is asked to stop.")
    hard_limit_seconds: float | None = Field(None, gt=0, description="Time after which its process is killed.")
    max_attempts: int | None = Field(None, ge=1, le=100, description="Tries in all, the first one included.")
    retry_base_seconds: float | None = Field(None, ge=0, description="First bound of the retry delay; doubles.")
    retry_cap_seconds: float | None = Field(None, ge=0, description="Largest retry delay.")


class TaskSettings(_Section):
    """The task lifecycle."""

    lease_seconds: float = Field(
        30.0, ge=1, le=3600, description="A worker whose heartbeat stands still this long has lost its tasks."
    )
    sweep_seconds: float = Field(5.0, ge=0.2, le=600, description="How often the sweeper looks.")
    aging_seconds: float = Field(
        60.0, ge=0, description="A task that waited this long gets every eighth claim, whatever its priority."
    )
    result_expires_seconds: int = Field(3600, ge=1, description="How long bulky results are kept.")
    history_days: float = Field(30.0, gt=0, description="How long ended tasks are kept as history.")
    kinds: dict[str, KindSettings] = Field(default_factory=dict, description="Overrides per task kind.")


class ScheduleSettings(_Section):
    """Recurring tasks."""

    timezone: str = Field("UTC", description="Time zone of cron rules that name none, such as `Europe/Berlin`.")
    grace_seconds: float = Field(
        60.0, gt=0, le=24 * 3600, description="A tick that nobody looked at for longer than this was missed."
    )


class SourceSettings(_Section):
    """What may be read, and how much of it."""

    roots: tuple[Path, ...] = Field(
        (), description="Folders whose files API clients may name by path; none by default."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts (`host` or `host:port`) that may be fetched although their address is private."
    )
    max_file_mb: int = Field(200, ge=1, description="Largest file, upload or download.")
    max_files_per_request: int = Field(1000, ge=1, description="Most files one request may register.")
    max_archive_members: int = Field(10_000, ge=1, description="Most files read from one archive.")
    max_archive_mb: int = Field(1024, ge=1, description="Most bytes read from one archive, after decompression.")
    max_structured_mb: int = Field(
        25, ge=1, description="Largest mail, notebook or (unpacked) office file; e-books half, RTF a quarter."
    )
    max_text_chars: int = Field(
        50_000_000, ge=1000, description="Text beyond this many characters is cut, with a notice."
    )
    parse_timeout_seconds: float = Field(300.0, gt=0, description="Time for parsing one file.")
    fetch_timeout_seconds: float = Field(60.0, gt=0, description="Time for one download, redirects included.")


class EmbeddingSettings(_Section):
    """What turns text into vectors."""

    name: str = Field(
        "multilingual", description="Embedder of new collections: `multilingual`, `fast`, `quality` or `http`."
    )
    http_base_url: str | None = Field(None, description="Base URL of an OpenAI-compatible service, for `http`.")
    http_api_key: SecretStr | None = Field(None, description="Key for that service.")
    http_model: str | None = Field(None, description="Model to ask that service for.")
    http_dimension: int | None = Field(None, ge=1, le=16384, description="Length of its vectors; asked once if unset.")
    http_timeout_seconds: float = Field(60.0, gt=0, description="Time for one call.")
    http_batch_size: int = Field(64, ge=1, le=2048, description="Texts per call.")


class ImageSettings(_Section):
    """Image datasets: where they are, and what turns their images into vectors."""

    root: Path | None = Field(None, description="Folder that holds the image datasets, a folder each.")
    embedder: Literal["efficientnet", "image-onnx", "image-http"] = Field(
        "efficientnet", description="What turns the images of new collections into vectors."
    )
    onnx_model: Path | None = Field(None, description="Model for `image-onnx`: images in, one vector each out.")
    onnx_text_model: Path | None = Field(
        None, description="The text encoder that belongs to it, if images are to be found by words."
    )
    onnx_tokenizer: Path | None = Field(None, description="The `tokenizer.json` of the text encoder.")
    onnx_mean: tuple[_Mean, _Mean, _Mean] = Field(
        (0.48145466, 0.4578275, 0.40821073), description="Subtracted from red, green and blue, of 0 to 1."
    )
    onnx_std: tuple[_Deviation, _Deviation, _Deviation] = Field(
        (0.26862954, 0.26130258, 0.27577711), description="What red, green and blue are then divided by."
    )
    http_base_url: str | None = Field(None, description="Base URL of a service that embeds images, for `image-http`.")
    http_api_key: SecretStr | None = Field(None, description="Key for that service.")
    http_model: str | None = Field(None, description="Model to ask that service for.")
    http_dimension: int | None = Field(None, ge=1, le=16384, description="Length of its vectors; asked once if unset.")
    http_timeout_seconds: float = Field(60.0, gt=0, description="Time for one call.")
    http_batch_size: int = Field(16, ge=1, le=1024, description="Images per call.")
    max_pixels: int = Field(100_000_000, ge=1_000_000, description="An image of more pixels is refused.")
    thumbnail_pixels: int = Field(320, ge=16, le=2048, description="Longer side of a thumbnail.")
    batch_size: int = Field(32, ge=1, le=1000, description="Images that one task embeds, and publishes together.")
    ocr: Literal["auto", "off"] = Field(
        "auto", description="Whether text in images and scanned pages is read, where `gristmill[ocr]` is installed."
    )
    progress: Path | None = Field(
        None, description="Folder for the progress files of datasets; by default `progress` in the data directory."
    )


class IndexSettings(_Section):
    """How documents become chunks and how they are searched."""

    chunk_size: int = Field(1000, ge=50, le=20_000, description="Longest chunk, in characters.")
    chunk_overlap: int = Field(100, ge=0, description="Characters a chunk may share with the one before it.")
    keep_versions: int = Field(3, ge=1, le=1000, description="Versions kept per document, the current one included.")
    sync_threshold: int = Field(5, ge=1, description="From this many documents on, indexing answers before it is done.")
    sync_wait_seconds: float = Field(30.0, ge=0, le=600, description="Longest wait for an answer that waits.")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> "IndexSettings":
        if self.chunk_overlap * 2 > self.chunk_size:
            raise PydanticCustomError(
                "setting_overlap_too_large",
                "chunk_overlap must be at most half of chunk_size",
                {"chunk_overlap": self.chunk_overlap, "chunk_size": self.chunk_size},
            )
        return self


class ApiSettings(_Section):
    """The HTTP side."""

    host: str = Field("127.0.0.1", description="Address to listen on; any but loopback needs an API key.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    allowed_hosts: tuple[str, ...] = Field((), description="Names clients may call this service by, besides loopback.")
    max_upload_mb: int = Field(
        1024, ge=1, description="Largest upload request, all its files together; a file also obeys sources.max_file_mb."
    )
    max_watchers: int = Field(1000, ge=0, description="How many connections may follow tasks at a time.")


class FlowerSettings(_Section):
    """Flower, which shows the tasks of the engine `celery`."""

    host: str = Field("127.0.0.1", description="Address that Flower listens on.")
    port: int = Field(5555, ge=0, le=65535, description="Port that Flower listens on.")
    basic_auth: SecretStr | None = Field(
        None,
        description="Who may use Flower: `user:password`, several with commas between them; made up if unset.",
    )


class LogSettings(_Section):
    """What is written down."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level written.")
    format: Literal["auto", "console", "json"] = Field("auto", description="`auto`: console on a terminal, else JSON.")


class AlertSettings(_Section):
    """When somebody has to be told, and how."""

    check_seconds: float = Field(30.0, ge=1, le=3600, description="How often the rules are looked at.")
    off: tuple[Literal["no_worker", "queue_long", "error_rate", "task_slow", "memory_high"], ...] = Field(
        (), description="Rules that are not looked at."
    )
    queue_length: int = Field(1000, ge=1, description="More ready tasks than this in a queue are too many.")
    error_percent: float = Field(
        5.0, ge=0, le=100, description="A greater share of failures among the tasks that ended of late is too much."
    )
    error_window_seconds: float = Field(300.0, gt=0, description="What counts as of late.")
    error_least_tasks: int = Field(20, ge=1, description="With fewer ended tasks than this, no share is worked out.")
    task_seconds: float = Field(600.0, gt=0, description="A task that runs longer than this is slow.")
    memory_percent: float = Field(
        80.0, gt=0, le=100, description="More of a machine's memory than this in use is too much."
    )
    webhook_url: SecretStr | None = Field(None, description="Where alerts are posted to, as JSON.")
    webhook_secret: SecretStr | None = Field(None, description="Key that posts are signed with, by HMAC-SHA256.")
    webhook_allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts (`host` or `host:port`) that may be posted to although their address is private."
    )
    webhook_timeout_seconds: float = Field(10.0, gt=0, le=60, description="Time for one post.")


class WebhookSettings(_Section):
    """Telling receivers of the ends of tasks."""

    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts (`host` or `host:port`) that may be posted to although their address is private."
    )
    timeout_seconds: float = Field(10.0, gt=0, le=60, description="Time for one post.")
    keep_days: float = Field(7.0, ge=1, description="How long the log of deliveries is kept.")


class TracingSettings(_Section):
    """Spans for OpenTelemetry; needs `gristmill[otel]`."""

    otlp_url: str | None = Field(
        None,
        description="Where spans go, by OTLP over HTTP, such as `http://localhost:4318/v1/traces`; none by default.",
    )
    service_name: str = Field("gristmill", min_length=1, description="Name that the spans come under.")


class Settings(_Section):
    """All settings."""

    data: Path = Field(Path("gristmill-data"), description="Directory for everything Gristmill keeps.")
    language: Literal["en", "zh"] = Field("en", description="Language of messages where the client names none.")
    secret_key: SecretStr | None = Field(
        None, description="Fernet key for secrets at rest; without one, that of `secret.key` in the data directory."
    )
    old_secret_keys: tuple[SecretStr, ...] = Field(
        (), description="Keys used before, so that what they encrypted can still be read."
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    tasks: TaskSettings = Field(default_factory=TaskSettings)
    schedules: ScheduleSettings = Field(default_factory=ScheduleSettings)
    sources: SourceSettings = Field(default_factory=SourceSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    images: ImageSettings = Field(default_factory=ImageSettings)
    index: IndexSettings = Field(default_factory=IndexSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    flower: FlowerSettings = Field(default_factory=FlowerSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
