"""The composition root: settings in, a working Gristmill out. The only place that knows every adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gristmill.app.documents import Documents
from gristmill.app.embedders import Embedders
from gristmill.app.tidying import tidying_duties
from gristmill.clock import Clock, SystemClock
from gristmill.db.blobs import FileBlobStore
from gristmill.db.database import Database
from gristmill.db.index import SqlIndexStore
from gristmill.db.keys import Keys
from gristmill.db.tasks import SqlTaskStore
from gristmill.db.tokens import query_tokens, token_spans
from gristmill.engines.bell import Bell
from gristmill.engines.local import LocalEngine
from gristmill.index.search import Searcher
from gristmill.kinds import effective_kinds
from gristmill.settings import DataPaths, Settings
from gristmill.tasks.kind import Kind
from gristmill.tasks.service import TaskService
from gristmill.tasks.sweeper import Sweeper

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
        """Wakes the workers of this machine."""
        return Bell(self.paths.run)

    @cached_property
    def engine(self) -> LocalEngine:
        """What carries ids to workers."""
        return LocalEngine(self.bell)

    @cached_property
    def store(self) -> SqlTaskStore:
        """The task rows."""
        return SqlTaskStore(
            self.database, clock=self.clock, result_expires_seconds=self.settings.tasks.result_expires_seconds
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
        return Embedders(self.settings.embedding, cache=self.paths.cache)

    @cached_property
    def tasks(self) -> TaskService:
        """Submit, watch and stop tasks."""
        return TaskService(self.store, self.engine, self.kinds, self.clock)

    @cached_property
    def documents(self) -> Documents:
        """Hand in and index documents."""
        return Documents(self.index, self.blobs, self.tasks, self.embedders, self.settings)

    @cached_property
    def searcher(self) -> Searcher:
        """Find what was indexed."""
        return Searcher(
            self.index, embed_query=self.embedders.embed_query, query_terms=query_tokens, token_spans=token_spans
        )

    @cached_property
    def keys(self) -> Keys:
        """API keys."""
        return Keys(self.database, self.clock)

    @cached_property
    def sweeper(self) -> Sweeper:
        """The repair pass."""
        return Sweeper(
            self.store,
            self.engine,
            self.clock,
            lease_seconds=self.settings.tasks.lease_seconds,
            history_seconds=self.settings.tasks.history_days * 24 * 3600,
            extra=tidying_duties(self.store, self.index, self.blobs, self.paths.temp, self.clock),
        )

    def close(self) -> None:
        """Close connections and let go of models."""
        self.embedders.close()
        self.database.close()


def open_gristmill(settings: Settings, *, clock: Clock | None = None) -> Gristmill:
    """A Gristmill on the data directory of ``settings``, created and brought up to date if need be."""
    data = settings.data.expanduser().resolve()
    settings = settings.model_copy(update={"data": data})
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = DataPaths(data)
    for place in (paths.run, paths.logs, paths.temp):
        place.mkdir(exist_ok=True, mode=0o700)
    url = settings.database.url
    location = f"sqlite:///{paths.database}" if url is None else url.get_secret_value()
    database = Database(location, busy_timeout_seconds=settings.database.busy_timeout_seconds)
    database.migrate()
    return Gristmill(settings=settings, clock=clock or SystemClock(), database=database)
