"""What a client may put into a payload: of the things that only our own code may say, nothing."""

from collections.abc import Mapping
from typing import Any

from gristmill.app import Gristmill
from gristmill.app.documents import check_url, is_url
from gristmill.errors import Forbidden, InvalidInput
from gristmill.tasks.compose import Policy
from gristmill.tasks.references import WORKFLOW

__all__ = ["check_source", "checked"]


def checked(app: Gristmill, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """``payload`` of a task that a client submits; :class:`Forbidden` (``payload_path_refused``), or what is wrong."""
    if kind == WORKFLOW:
        return _checked_workflow(app, payload)
    check_source(payload)
    return payload


def _checked_workflow(app: Gristmill, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    # Only what we start ourselves undoes something.
    known = ("tree", "on_failure")
    for name in payload:
        if name not in known:
            raise InvalidInput("payload_field_unknown", kind=WORKFLOW, field=name, known=", ".join(known))
    on_failure = payload.get("on_failure", Policy.STOP)
    return app.workflows.payload(payload.get("tree"), on_failure=on_failure, check=check_source)


def check_source(payload: Mapping[str, Any]) -> None:
    """Refuse a payload that names what only our own code may name: :class:`Forbidden` (``payload_path_refused``)."""
    # Which files may be read is decided where their path is handed in; a task that names one is past that.
    source = payload.get("source")
    if payload.get("root") is not None or (isinstance(source, str) and not is_url(source)):
        raise Forbidden("payload_path_refused")
    if isinstance(source, str):
        check_url(source)
