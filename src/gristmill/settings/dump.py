"""Settings as plain values, secrets included, to hand them to a process of our own."""

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gristmill.settings.model import Settings

__all__ = ["dump_settings"]


def dump_settings(settings: Settings) -> dict[str, Any]:
    """JSON values from which ``Settings.model_validate`` rebuilds ``settings``. Never log or store the answer."""
    plain = _plain(settings.model_dump())
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value
