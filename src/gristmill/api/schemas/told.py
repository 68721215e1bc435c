"""Stored results as clients read them: an error or a notice within one gets its message in the client's language."""

from collections.abc import Mapping
from typing import Any

from gristmill.api.schemas.fields import Output
from gristmill.errors import error_from

__all__ = ["ErrorView", "told"]


class ErrorView(Output):
    """Why something failed, or what is to be known of it."""

    code: str
    message: str

    @classmethod
    def of(cls, stored: Mapping[str, Any], language: str) -> "ErrorView":
        """``stored`` (``code`` and ``facts``) in ``language``."""
        error = error_from(stored.get("type", ""), stored["code"], stored.get("facts") or {})
        return cls(code=error.code, message=error.message(language))


def told(item: Mapping[str, Any], language: str) -> dict[str, Any]:
    """``item`` with the ``error`` and the ``notices`` it may have in words."""
    shown = dict(item)
    if "error" in shown:
        shown["error"] = _worded(shown["error"], language)
    if isinstance(notices := shown.get("notices"), list):
        shown["notices"] = [_worded(notice, language) for notice in notices]
    return shown


def _worded(value: Any, language: str) -> Any:
    if isinstance(value, Mapping) and isinstance(value.get("code"), str):
        return ErrorView.of(value, language).model_dump()
    return value
