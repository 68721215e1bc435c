"""The HTTP application: middleware, error handling and routes put together over one Gristmill."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware

import gristmill
from gristmill.api.auth import Gate
from gristmill.api.beside import posting, watching
from gristmill.api.bodies import BodyLimit
from gristmill.api.edge import Edge
from gristmill.api.errors import handle_errors
from gristmill.api.openapi import COMMON_PROBLEMS, DESCRIPTION, TAGS
from gristmill.api.routes import (
    alerts,
    collections,
    documents,
    engine,
    health,
    images,
    index,
    live,
    metrics,
    monitor,
    processing,
    reference,
    schedules,
    search,
    snapshots,
    tasks,
    versions,
    webhooks,
    workflows,
)
from gristmill.api.waiting import WaitingRoom
from gristmill.api.watchers import Hub
from gristmill.app import Gristmill

__all__ = ["create_app"]

THREADS = 64
WAITING_SEATS = 16

_GUARDED = tuple(
    part.router
    for part in (
        documents,
        versions,
        index,
        search,
        images,
        collections,
        snapshots,
        tasks,
        workflows,
        schedules,
        live,
        processing,
        engine,
        monitor,
        alerts,
        webhooks,
        metrics,
    )
)
_PUBLIC = (health.router, reference.router)


def create_app(app: Gristmill) -> FastAPI:
    """The API over ``app``, ready to be served."""
    settings = app.settings
    api = FastAPI(
        title="Gristmill",
        version=gristmill.__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[
            Middleware(Edge, language=settings.language),
            Middleware(Gate, gristmill=app),
            Middleware(BodyLimit, max_upload_bytes=settings.api.max_upload_mb * 1024 * 1024),
        ],
    )
    # Put together before threads ask: two that ask at once could get one each, with caches of their own.
    _ = (
        app.documents,
        app.datasets,
        app.images,
        app.searcher,
        app.keys,
        app.tickets,
        app.metrics,
        app.alert_watch,
        app.posting,
        app.schedules,
    )
    api.state.gristmill = app
    api.state.hub = Hub(app)
    api.state.waiting_room = WaitingRoom(WAITING_SEATS)
    handle_errors(api)
    for guarded in _GUARDED:
        api.include_router(guarded, responses=COMMON_PROBLEMS)
    for public in _PUBLIC:
        api.include_router(public)
    api.state.routes = [route for router in (*_GUARDED, *_PUBLIC) for route in router.routes]
    return api


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    with watching(api.state.gristmill), posting(api.state.gristmill):
        yield
