"""The text encoder that belongs to an image model, as CLIP has one: texts among the vectors of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.embed.images.files import existing, named_output, open_file, refused
from gristmill.embed.images.local import EncodeText
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from gristmill.embed.ports import Vectors

__all__ = ["load"]

_FIELD = "images.onnx_text_model"
_TOKENIZER_FIELD = "images.onnx_tokenizer"
_OUTPUTS = ("text_embeds", "pooler_output", "embeddings")
_INTEGER = "tensor(int64)"
_IDS, _MASK = "input_ids", "attention_mask"
_MAX_TOKENS = 64
"""Where neither the tokenizer nor the model says how many: the least that models of this kind take."""


def load(model: Path, tokenizer: Path) -> EncodeText:
    """Load both; :class:`InvalidInput` if either is not what its setting says."""
    import numpy as np

    pieces = _tokenizer(tokenizer)
    session = open_file(model, _FIELD)
    inputs = {one.name: one for one in session.get_inputs()}
    if _IDS not in inputs or not inputs.keys() <= {_IDS, _MASK} or {one.type for one in inputs.values()} != {_INTEGER}:
        raise refused(model, _FIELD, ", ".join(f"{one.name} {one.type}{one.shape}" for one in inputs.values()))
    _fit(pieces, inputs[_IDS].shape[-1])

    def run(output: str | None, text: str) -> list[Any]:
        encoding = pieces.encode(text)
        fed = {_IDS: encoding.ids, _MASK: encoding.attention_mask}
        outputs = None if output is None else [output]
        try:
            found: list[Any] = session.run(outputs, {name: np.array([fed[name]], dtype=np.int64) for name in inputs})
        # A tokenizer of another model shows with some texts only: numbers beyond the table, or too many of them.
        except Exception as error:
            raise refused(model, _FIELD, type(error).__name__) from error
        return found

    answers = run(None, ".")
    output = named_output(session, answers, _OUTPUTS, {2})
    if output is None:
        raise refused(model, _FIELD, ", ".join(str(list(answer.shape)) for answer in answers))

    def encode(text: str) -> "Vectors":
        return np.asarray(run(output, text)[0], dtype=np.float32)

    return encode


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    existing(path, _TOKENIZER_FIELD)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:
        raise InvalidInput("image_tokenizer_unreadable", field=_TOKENIZER_FIELD, file=path.name) from error


def _fit(tokenizer: Any, length: object) -> None:
    """Let ``tokenizer`` give what the model takes: ``length`` tokens, or any number where that is no number."""
    if isinstance(length, int):
        tokenizer.enable_truncation(length)
        tokenizer.enable_padding(**{**(tokenizer.padding or {}), "length": length})
    elif tokenizer.truncation is None:
        tokenizer.enable_truncation(_MAX_TOKENS)
