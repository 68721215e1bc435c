"""Model files that somebody else made: opened, looked at, and refused with a reason."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gristmill.embed.images.session import open_session
from gristmill.errors import InvalidInput

__all__ = ["existing", "named_output", "open_file", "refused", "unreadable"]


def existing(path: Path, field: str) -> Path:
    """``path`` if it is a file; else :class:`InvalidInput`."""
    if not path.is_file():
        raise InvalidInput("image_model_missing", field=field, file=path.name)
    return path


def open_file(path: Path, field: str) -> Any:
    """The model in ``path``, ready to run; :class:`InvalidInput` if it is none."""
    existing(path, field)
    try:
        return open_session(path)
    # The library has an error class for each of its error codes, and no common one but this.
    except Exception as error:
        raise unreadable(path, field, error) from error


def unreadable(path: Path, field: str, error: Exception) -> InvalidInput:
    """The error for a file that cannot be opened, or that holds no model; tells the kind of ``error`` alone."""
    return InvalidInput("image_model_unreadable", field=field, file=path.name, reason=type(error).__name__)


def refused(path: Path, field: str, found: str) -> InvalidInput:
    """The error for a model whose inputs or outputs, told in ``found``, are not those of ``field``."""
    return InvalidInput("image_model_unsuitable", field=field, file=path.name, found=found)


def named_output(session: Any, answers: Sequence[Any], preferred: Sequence[str], axes: set[int]) -> str | None:
    """Which output holds one vector for the one thing that was asked about; None if none does.

    Of the outputs with so many ``axes``: the first of the ``preferred`` names, else the first with the fewest axes.
    """
    fit = {
        output.name: answer.ndim
        for output, answer in zip(session.get_outputs(), answers, strict=True)
        if getattr(answer, "ndim", 0) in axes and len(answer) == 1 and answer.dtype.kind == "f"
    }
    for name in preferred:
        if name in fit:
            return name
    return min(fit, key=lambda name: fit[name], default=None)
