"""What a client may put into a payload: of the things that only our own code may say, nothing."""

from collections.abc import Mapping
from typing import Any

from gristmill.app import Gristmill
from gristmill.app.documents import check_url, is_url
from gristmill.errors import Forbidden, InvalidInput
from gristmill.tasks.compose import Policy
from gristmill.tasks.references import WORKFLOW
from gristmill.tasks.workflow import Node, payloads_of

__all__ = ["checked", "checked_workflow"]


def checked(app: Gristmill, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """``payload`` of a task that a client submits; :class:`Forbidden` (``payload_path_refused``), or what is wrong."""
    if kind == WORKFLOW:
        return _checked_payload(app, payload)
    _check_source(payload)
    return payload


def _checked_payload(app: Gristmill, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    # Only what we start ourselves undoes something.
    known = ("tree", "on_failure")
    for name in payload:
        if name not in known:
            raise InvalidInput("payload_field_unknown", kind=WORKFLOW, field=name, known=", ".join(known))
    tree = checked_workflow(app, payload.get("tree"))
    return app.workflows.payload(tree, on_failure=payload.get("on_failure", Policy.STOP))


def checked_workflow(app: Gristmill, workflow: Any) -> Node:
    """A workflow that a client submits; refuses what any payload in it is refused for."""
    read = app.workflows.read(workflow)
    for payload in payloads_of(read):
        _check_source(payload)
    return read


def _check_source(payload: Mapping[str, Any]) -> None:
    # Which files may be read is decided where their path is handed in; a task that names one is past that.
    source = payload.get("source")
    if payload.get("root") is not None or (isinstance(source, str) and not is_url(source)):
        raise Forbidden("payload_path_refused")
    if isinstance(source, str):
        check_url(source)
