"""Models small enough to be made for a test: an image model, a text encoder and its tokenizer, in files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from gristmill.embed.images.settings import ImageEmbedSettings

__all__ = ["DIMENSION", "SIDE", "save", "save_image_model", "save_pair", "save_text_model", "save_tokenizer"]

SIDE = 32
DIMENSION = 48
WORDS = {"[UNK]": 0, "[PAD]": 1, "a": 2, "cat": 3, "dog": 4, "red": 5, "sky": 6, "on": 7, "the": 8}
Shape = tuple[str | int, ...]


def save(path: Path, inputs: Mapping[str, tuple[int, Shape]], nodes: list[Any], **constants: Any) -> Path:
    outputs = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in _last(nodes)}
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        list(outputs.values()),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _last(nodes: list[Any]) -> list[str]:
    """What no other node takes up."""
    taken = {name for node in nodes for name in getattr(node, "input", [])}
    return [name for node in nodes for name in getattr(node, "output", []) if name not in taken]


def save_image_model(
    path: Path,
    *,
    planes: bool = True,
    side: str | int = SIDE,
    batch: str | int = "batch",
    pooled: bool = True,
    output: str = "image_embeds",
) -> Path:
    """Sees 16 places in each colour, or each colour alone where others are to pool."""
    shape: Shape = (batch, 3, side, side) if planes else (batch, side, side, 3)
    turn = helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2])
    seen = "pixels" if planes else "planes"
    average = helper.make_node("AveragePool", [seen], ["places"], kernel_shape=[8, 8], strides=[8, 8])
    nodes: list[Any] = [average] if planes else [turn, average]
    if pooled:
        nodes.append(helper.make_node("Flatten", ["places"], [output]))
    elif not planes:
        nodes.append(helper.make_node("Transpose", ["places"], [output], perm=[0, 2, 3, 1]))
    return save(path, {"pixels": (TensorProto.FLOAT, shape)}, nodes)


def save_text_model(
    path: Path,
    *,
    dimension: int = DIMENSION,
    length: str | int = "length",
    mask: bool = True,
    most: int = 64,
    colours: Mapping[str, tuple[int, int, int]] | None = None,
) -> Path:
    """The mean of its words; fails for more than ``most`` of them, as a model with numbered places does.

    Words mean nothing, but for those in ``colours``: how much red, green and blue, from -1 to 1.
    """
    table = np.random.default_rng(5).standard_normal((len(WORDS), dimension)).astype(np.float32)
    for word, colour in (colours or {}).items():
        table[WORDS[word]] = np.repeat(np.array(colour, dtype=np.float32), dimension // 3)
    nodes: list[Any] = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Shape", ["input_ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "second"], ["count"]),
        # A place beyond the last is an error when the model runs.
        helper.make_node("Sub", ["count", "second"], ["end"]),
        helper.make_node("Gather", ["places", "end"], ["one"]),
    ]
    inputs: dict[str, tuple[int, Shape]] = {"input_ids": (TensorProto.INT64, ("batch", length))}
    seen = "words"
    if mask:
        inputs["attention_mask"] = (TensorProto.INT64, ("batch", length))
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["share"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["share", "last"], ["shares"]),
            helper.make_node("Mul", ["words", "shares"], ["meant"]),
        ]
        seen = "meant"
    nodes += [
        helper.make_node("ReduceSum", [seen, "axis"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "one"], ["text_embeds"]),
    ]
    constants: dict[str, Any] = {
        "table": table,
        "second": np.int64(1),
        "places": np.ones(most, dtype=np.float32),
        "axis": np.array([1]),
        **({"last": np.array([-1])} if mask else {}),
    }
    return save(path, inputs, nodes, **constants)


def save_tokenizer(path: Path) -> Path:
    tokenizer = Tokenizer(WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(path))
    return path


def save_pair(folder: Path) -> ImageEmbedSettings:
    return ImageEmbedSettings(
        onnx_model=save_image_model(folder / "eyes.onnx"),
        onnx_text_model=save_text_model(folder / "words.onnx"),
        onnx_tokenizer=save_tokenizer(folder / "tokenizer.json"),
    )
