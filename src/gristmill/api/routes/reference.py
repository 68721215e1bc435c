"""The reference at ``/docs``: a page that draws ``/openapi.json``, with nothing loaded from elsewhere."""

from functools import cache
from importlib import resources

from fastapi import APIRouter, Response

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def page() -> Response:
    """The page."""
    return _file("reference.html", "text/html")


@router.get("/docs/page.js")
def script() -> Response:
    """What draws it."""
    return _file("reference.js", "text/javascript")


@router.get("/docs/page.css")
def style() -> Response:
    """What it looks like."""
    return _file("reference.css", "text/css")


def _file(name: str, media_type: str) -> Response:
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    return Response(_read(name), headers=headers, media_type=media_type)


@cache
def _read(name: str) -> bytes:
    return resources.files("gristmill.api").joinpath("pages", name).read_bytes()
