"""Gristmill: index documents, images and code in the background, and search them.

``Client`` talks to a service over HTTP, ``open`` uses a folder without one; both give the same interface.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gristmill.client import Client
    from gristmill.embedded import open_folder as open  # noqa: A004 - gristmill.open reads as what it does

__all__ = ["Client", "__version__", "open"]

__version__ = "0.1.0"

_LATER = {"Client": ("gristmill.client", "Client"), "open": ("gristmill.embedded", "open_folder")}


def __getattr__(name: str) -> Any:
    # Whoever asks for the version, as every command does, shall not wait for an HTTP client.
    if name in _LATER:
        module, found = _LATER[name]
        return getattr(import_module(module), found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
