"""Every error Gristmill raises on purpose.

An error is a stable ``code`` plus the facts that fill its message; the words, in English and Chinese,
live in :mod:`gristmill.messages`. Adapters turn driver errors into these; the API maps classes to statuses.
"""

from collections.abc import Mapping
from typing import ClassVar

from gristmill.messages import render

__all__ = [
    "Conflict",
    "Forbidden",
    "GristmillError",
    "InvalidInput",
    "LimitExceeded",
    "NotFound",
    "StepFailed",
    "Unauthorized",
    "Unavailable",
    "error_from",
]


class GristmillError(Exception):
    """Base of all deliberate errors.

    ``code`` names a message of the catalogue; ``facts`` are its values and must be plain JSON values, because
    errors are stored with the task and rendered later in the reader's language.
    """

    transient: ClassVar[bool] = False
    """Whether trying again later may help; decides between a retry and a final failure."""

    def __init__(self, code: str, /, **facts: object) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts: Mapping[str, object] = facts

    def __str__(self) -> str:
        return self.message()

    def __reduce__(self) -> tuple[object, ...]:
        return error_from, (type(self).__name__, self.code, dict(self.facts))

    def message(self, language: str = "en") -> str:
        """The fact and its remedy, in ``language`` (``en`` or ``zh``)."""
        return render(self.code, self.facts, language)


class NotFound(GristmillError):
    """The named thing does not exist."""


class Conflict(GristmillError):
    """The thing exists in a state that forbids the request."""


class InvalidInput(GristmillError):
    """A value from outside is wrong: the message names the field, the value and the remedy."""


class Unauthorized(GristmillError):
    """No key, or not a valid one."""


class Forbidden(GristmillError):
    """The caller is known, or the resource is, and the rules say no."""


class LimitExceeded(GristmillError):
    """A size, time or rate limit was reached."""


class Unavailable(GristmillError):
    """Something this depends on does not answer; trying again later may help."""

    transient = True


class StepFailed(GristmillError):
    """A step could not process its material, and trying again would not help."""


_CLASSES: Mapping[str, type[GristmillError]] = {
    cls.__name__: cls
    for cls in (Conflict, Forbidden, GristmillError, InvalidInput, LimitExceeded, NotFound, StepFailed)
} | {"Unauthorized": Unauthorized, "Unavailable": Unavailable}


def error_from(class_name: str, code: str, facts: Mapping[str, object]) -> GristmillError:
    """Rebuild an error from its stored parts; an unknown class becomes a plain :class:`GristmillError`."""
    return _CLASSES.get(class_name, GristmillError)(code, **facts)
