"""What the reference says of an endpoint beyond its types: how it can be refused, and what bodies it takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.openapi.utils import get_openapi

from gristmill.api.errors import PROBLEM_TYPE
from gristmill.api.schemas.problem import Problem
from gristmill.messages import CATALOGUE

__all__ = ["COMMON_PROBLEMS", "DESCRIPTION", "TAGS", "answers", "form_or_json", "get_openapi", "problems"]

DESCRIPTION = """\
Hand in documents, index them in the background, search them, and watch the tasks that do it.

Answers below `/api` are `{"success": true, "message": "...", "data": {...}}`. Refusals are problems (RFC 9457) with a
stable `code`, a `message` that names the remedy, and the facts of that message. Messages are English, or Chinese with
`Accept-Language: zh`. Times are RFC 3339, UTC.

A service without API keys answers this machine alone. With keys, send one as `Authorization: Bearer KEY` or
`X-API-Key: KEY`; its scope (read, write, admin) must include that of the endpoint.
"""

TAGS = [
    {"name": "documents", "description": "Hand documents in, look at them, remove them."},
    {"name": "index", "description": "Index registered documents."},
    {"name": "search", "description": "Find what was indexed."},
    {"name": "images", "description": "Build datasets of images, and find images by image."},
    {"name": "collections", "description": "Named sets that are searched as a whole."},
    {"name": "versions", "description": "What documents and collections were before, and the way back."},
    {"name": "tasks", "description": "Every tracked unit of work."},
    {"name": "schedules", "description": "Tasks that recur."},
    {"name": "webhooks", "description": "Be told of the ends of tasks."},
    {"name": "workflows", "description": "Tasks composed into chains and groups."},
    {"name": "processing", "description": "Parse and split one document without indexing it."},
    {"name": "operation", "description": "For probes and monitors."},
]


def problems(codes: Mapping[int, str | Iterable[str]]) -> dict[int | str, dict[str, Any]]:
    """The refusals an endpoint adds to the common ones: codes by status."""
    return {
        status: _documented(status, [listed] if isinstance(listed, str) else list(listed))
        for status, listed in codes.items()
    }


def _documented(status: int, codes: list[str]) -> dict[str, Any]:
    return {
        "model": Problem,
        "description": "Refused: " + ", ".join(f"`{code}`" for code in codes),
        "content": {
            PROBLEM_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: {"value": _example(status, code)} for code in codes},
            }
        },
    }


def _example(status: int, code: str) -> dict[str, Any]:
    message = CATALOGUE[code].en
    return {
        "type": f"urn:gristmill:problem:{code}",
        "title": "",
        "status": status,
        "detail": message,
        "code": code,
        "success": False,
        "message": message,
    }


COMMON_PROBLEMS = problems(
    {
        401: ("key_missing", "key_invalid"),
        403: ("scope_missing", "origin_not_allowed"),
        422: ("field_missing", "field_unknown", "field_out_of_range"),
        500: "internal_error",
        503: "database_busy",
    }
)
"""How every endpoint that needs a key can refuse."""


def answers(example: Any, *, status: int = 200, description: str = "Done") -> dict[int | str, dict[str, Any]]:
    """The answer of an endpoint, with an example."""
    return {status: {"description": description, "content": {"application/json": {"example": example}}}}


def form_or_json(*, form: Mapping[str, Any] | None, json: Mapping[str, Any] | None) -> dict[str, Any]:
    """The description of a body that FastAPI does not read itself: a schema per form it may come in."""
    content: dict[str, Any] = {}
    if form is not None:
        content["multipart/form-data"] = {"schema": dict(form)}
    if json is not None:
        content["application/json"] = {"schema": dict(json)}
    return {"requestBody": {"required": True, "content": content}}
