"""The composition root: settings in, a working Gristmill out. The only place that knows every adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gristmill.app.alerting import AlertWatch
from gristmill.app.datasets import Datasets
from gristmill.app.documents import Documents
from gristmill.app.embedders import Embedders
from gristmill.app.engines import Engines
from gristmill.app.images import Images
from gristmill.app.metrics import Metrics
from gristmill.app.monitoring import build_alert_watch, build_metrics, build_monitor
from gristmill.app.posting import Posting
from gristmill.app.query_images import QueryImages
from gristmill.app.schedules import Schedules
from gristmill.app.tidying import tidying_duties
from gristmill.app.tracing import TracedTaskService, build_tracing
from gristmill.app.vault import KeyVault
from gristmill.app.workflows import Workflows
from gristmill.clock import Clock, SystemClock
from gristmill.db.alerts import Alerts
from gristmill.db.blobs import FileBlobStore
from gristmill.db.controls import Controls
from gristmill.db.database import Database
from gristmill.db.deliveries import Deliveries
from gristmill.db.index import SqlIndexStore
from gristmill.db.keys import Keys
from gristmill.db.notices import Notices
from gristmill.db.schedules import StoredSchedules
from gristmill.db.tasks import SqlTaskStore
from gristmill.db.tickets import Tickets
from gristmill.db.tokens import query_tokens, token_spans
from gristmill.db.totals import Totals
from gristmill.db.webhooks import Webhooks
from gristmill.engines.bell import Bell
from gristmill.engines.far_bell import FarBell
from gristmill.engines.policy import ENGINES, default_policy
from gristmill.index.model import Space
from gristmill.index.search import Searcher
from gristmill.kinds import effective_kinds
from gristmill.monitoring.monitor import Monitor
from gristmill.monitoring.tracing import NO_TRACING, Tracing
from gristmill.settings import DataPaths, Settings
from gristmill.steps.image.thumbnails import Thumbnails
from gristmill.tasks.kind import Kind
from gristmill.tasks.ports import Engine
from gristmill.tasks.service import TaskService
from gristmill.tasks.sweeper import Duty, Sweeper

__all__ = ["Gristmill", "open_gristmill"]


@dataclass(frozen=True)
class Gristmill:
    """Everything, put together. Opening it starts no process and loads no model."""

    settings: Settings
    clock: Clock
    database: Database

    @cached_property
    def paths(self) -> DataPaths:
        """Where things are kept."""
        return DataPaths(self.settings.data)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The task kinds as configured."""
        return effective_kinds(self.settings.tasks.kinds)

    @cached_property
    def bell(self) -> Bell:
        """Wakes the workers of this machine, and of all others that share a database server."""
        if self.database.dialect == "sqlite":
            return Bell(self.paths.run)
        return FarBell(self.paths.run, Notices(self.database, self.paths.run))

    @cached_property
    def engines(self) -> Engines:
        """The engines there are, and which of them gets what."""
        return Engines(self.settings, Controls(self.database, self.clock), self.bell, self.clock)

    @cached_property
    def engine(self) -> Engine:
        """What carries ids to workers."""
        return self.engines.switch

    @cached_property
    def store(self) -> SqlTaskStore:
        """The task rows."""
        return SqlTaskStore(
            self.database,
            clock=self.clock,
            result_expires_seconds=self.settings.tasks.result_expires_seconds,
            ring=self.bell.ring,
        )

    @cached_property
    def index(self) -> SqlIndexStore:
        """The index rows."""
        return SqlIndexStore(self.database, clock=self.clock)

    @cached_property
    def blobs(self) -> FileBlobStore:
        """Uploaded bytes."""
        return FileBlobStore(self.paths.blobs, clock=self.clock)

    @cached_property
    def embedders(self) -> Embedders:
        """The models of this process."""
        return Embedders(self.settings.embedding, self.settings.images, cache=self.paths.cache)

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """Small copies of images."""
        return Thumbnails(self.paths.thumbnails)

    @cached_property
    def query_images(self) -> QueryImages:
        """What decodes and embeds the images of queries, in a process of its own."""
        return QueryImages(self.settings)

    @cached_property
    def tracing(self) -> Tracing:
        """Where spans go."""
        return build_tracing(self)

    @cached_property
    def vault(self) -> KeyVault:
        """What keeps secrets in payloads."""
        return KeyVault(self.settings, self.paths.secret_key)

    @cached_property
    def tasks(self) -> TaskService:
        """Submit, watch and stop tasks."""
        parts = (self.store, self.engine, self.kinds, self.clock)
        if self.tracing is NO_TRACING:
            return TaskService(*parts, vault=self.vault)
        return TracedTaskService(self.tracing, *parts, vault=self.vault)

    @cached_property
    def workflows(self) -> Workflows:
        """Submit and look at composed work."""
        return Workflows(self.tasks, self.kinds)

    @cached_property
    def documents(self) -> Documents:
        """Hand in and index documents."""
        return Documents(self.index, self.blobs, self.tasks, self.embedders, self.settings)

    @cached_property
    def datasets(self) -> Datasets:
        """Build and follow image datasets."""
        progress = self.settings.images.progress
        return Datasets(
            self.index,
            self.store,
            self.tasks,
            self.embedders,
            self.settings,
            self.engines,
            self.clock,
            progress=self.paths.progress if progress is None else progress.expanduser(),
        )

    @cached_property
    def images(self) -> Images:
        """Find images, their duplicates and their thumbnails."""
        return Images(self.index, self.embedders, self.query_images, self.thumbnails)

    @cached_property
    def schedules(self) -> Schedules:
        """Make tasks recur."""
        return Schedules(
            StoredSchedules(self.database, self.clock),
            self.tasks,
            self.documents,
            self.kinds,
            self.settings,
            self.clock,
            vault=self.vault,
        )

    @cached_property
    def searcher(self) -> Searcher:
        """Find what was indexed."""
        return Searcher(
            self.index,
            embed_query=self._embed_query,
            reads_text=self.embedders.reads_text,
            query_terms=query_tokens,
            token_spans=token_spans,
        )

    def _embed_query(self, space: Space, text: str) -> Any:
        if self.embedders.is_of_images(space):
            return self.query_images.text(space, text)
        return self.embedders.embed_query(space, text)

    @cached_property
    def keys(self) -> Keys:
        """API keys."""
        return Keys(self.database, self.clock)

    @cached_property
    def tickets(self) -> Tickets:
        """What opens a connection in place of a key."""
        return Tickets(self.database, self.clock)

    @cached_property
    def monitor(self) -> Monitor:
        """What an operator sees and does."""
        return build_monitor(self)

    @cached_property
    def totals(self) -> Totals:
        """What happened to tasks so far, in numbers."""
        return Totals(self.database, self.clock)

    @cached_property
    def metrics(self) -> Metrics:
        """What Prometheus is told."""
        return build_metrics(self)

    @cached_property
    def alerts(self) -> Alerts:
        """What somebody should know of, and since when."""
        return Alerts(self.database, self.clock)

    @cached_property
    def alert_watch(self) -> AlertWatch:
        """This process's share in watching."""
        return build_alert_watch(self)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Who wants to be told of the ends of tasks."""
        return Webhooks(self.database, self.clock, self.vault)

    @cached_property
    def deliveries(self) -> Deliveries:
        """What each of them was told, and is still to be told."""
        return Deliveries(self.database, self.clock)

    @cached_property
    def posting(self) -> Posting:
        """This process's share in telling them."""
        return Posting(
            self.webhooks,
            self.deliveries,
            self.store,
            self.settings.webhooks,
            self.clock,
            language=self.settings.language,
            record=self.totals.add_duties,
        )

    @cached_property
    def sweeper(self) -> Sweeper:
        """The repair pass."""
        return Sweeper(
            self.store,
            self.engine,
            self.clock,
            engines=ENGINES,
            lease_seconds=self.settings.tasks.lease_seconds,
            history_seconds=self.settings.tasks.history_days * 24 * 3600,
            record=self.totals.add_duties,
            extra=(
                Duty("schedules.fired", self.schedules.fire_due),
                Duty("events.counted", self.totals.store),
                Duty("alerts.changed", self.alert_watch.check),
                Duty("deliveries.made", self.posting.tend),
                Duty("deliveries.purged", self.posting.purge),
                Duty("engine.canary", lambda: self.engines.tend_canary(self.store)),
                Duty("progress.corrected", self.datasets.tend),
                *tidying_duties(self),
            ),
        )

    def close(self) -> None:
        """Close connections and let go of models."""
        self.posting.close()
        self.engine.close()
        self.query_images.close()
        self.embedders.close()
        self.bell.close()
        self.tracing.close()
        self.database.close()


def open_gristmill(settings: Settings, *, clock: Clock | None = None) -> Gristmill:
    """A Gristmill on the data directory of ``settings``, created and brought up to date if need be."""
    # What contradicts itself is refused before anything is made.
    default_policy(settings.engine, settings.redis)
    data = settings.data.expanduser().resolve()
    settings = settings.model_copy(update={"data": data})
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = DataPaths(data)
    for place in (paths.run, paths.logs, paths.temp):
        place.mkdir(exist_ok=True, mode=0o700)
    url = settings.database.url
    location = f"sqlite:///{paths.database}" if url is None else url.get_secret_value()
    database = Database(
        location,
        busy_timeout_seconds=settings.database.busy_timeout_seconds,
        connections=settings.database.connections,
    )
    database.migrate()
    return Gristmill(settings=settings, clock=clock or SystemClock(), database=database)
