"""Search."""

from fastapi import APIRouter

from gristmill.api.auth import needs
from gristmill.api.bodies import StrictRoute
from gristmill.api.envelope import Envelope, Reply
from gristmill.api.gristmill import Service
from gristmill.api.openapi import answers, problems
from gristmill.api.schemas.search import Found, SearchBody
from gristmill.db.keys import Scope

__all__ = ["router"]

router = APIRouter(prefix="/api/search", tags=["search"], route_class=StrictRoute)

_FOUND = {
    "success": True,
    "message": "Found 1 hits",
    "data": {
        "query": "who oils the sluice gate",
        "collection": "default",
        "mode": "hybrid",
        "hits": [
            {
                "score": 0.83,
                "document": {
                    "id": 1,
                    "name": "Flood plan.pdf",
                    "source": "upload:Flood plan.pdf",
                    "title": "Flood plan",
                    "media_type": "application/pdf",
                    "material": "text",
                },
                "version": 1,
                "chunk": {"no": 17, "position": 4, "text": "The warden oils the sluice gate every Monday."},
                "highlights": [{"text": "The warden oils the sluice gate every Monday.", "ranges": [[11, 15]]}],
                "location": {"page": 2, "start": 3120, "end": 3165, "headings": ["Duties"], "part": None},
                "vector_score": 0.71,
                "keyword_score": 9.4,
            }
        ],
        "total": 1,
        "limit": 10,
        "offset": 0,
        "more": False,
    },
}


@router.post(
    "",
    summary="Search",
    dependencies=[needs(Scope.READ)],
    responses=answers(_FOUND)
    | problems(
        {
            404: "collection_not_found",
            415: "content_type_unsupported",
            422: ("query_empty", "query_too_long", "field_unknown", "field_not_a_choice"),
        }
    ),
)
def search(app: Service, reply: Reply, body: SearchBody) -> Envelope[Found]:
    """Find chunks by meaning, by words, or by both (`hybrid`), best first.

    The first search by meaning loads the model and takes about a second longer.
    """
    page = app.searcher.search(
        body.query,
        collection=body.collection,
        mode=body.mode,
        material=body.kind,
        where=body.to_filter(),
        limit=body.limit,
        offset=body.offset,
    )
    return reply(Found.of(page, body), "hits_found", count=len(page.hits))
