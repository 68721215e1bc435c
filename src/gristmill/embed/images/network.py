"""EfficientNet-Lite0 as an ONNX graph: from pixels to what the network has seen before it names a class."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INPUT", "SIDE", "WIDTH", "is_whole", "serialised"]

SIDE = 224
"""Width and height of its images, in pixels."""
WIDTH = 1280
"""Numbers in its answer for an image."""
INPUT = "pixels"
"""Bytes of shape (images, SIDE, SIDE, 3): red, green and blue."""

_SEEN = "seen"
_MEAN, _SCALE = 127.0, 1 / 128
"""What brings a byte to about -1 to 1, as in training."""
_EPSILON = 1e-3
"""Of the batch normalisation in training."""
_SEAL = "sha256"


class _Stage(NamedTuple):
    """Blocks of one shape, of which the first takes ``stride``."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM = 32


def serialised(weights: "Mapping[str, NDArray[Any]]") -> bytes:
    """The network with ``weights`` as the content of an ONNX file, sealed with its own digest."""
    from onnx import ModelProto, helper

    body: bytes = _Graph(weights).model().SerializeToString(deterministic=True)
    seal = ModelProto()
    helper.set_model_props(seal, {_SEAL: sha256(body).hexdigest()})
    # One message behind another is one message: the seal becomes a property of the model.
    whole: bytes = body + seal.SerializeToString()
    return whole


def is_whole(content: bytes) -> bool:
    """Whether ``content`` is what :func:`serialised` once gave, to the last bit."""
    digest = 64
    seal = digest + len(_SEAL) + 6
    return sha256(content[:-seal]).hexdigest().encode() == content[-digest:]


class _Graph:
    """The network while it is put together, node by node."""

    def __init__(self, weights: "Mapping[str, NDArray[Any]]") -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._side = SIDE

    def model(self) -> Any:
        """The whole network."""
        from onnx import TensorProto, helper

        seen = self._pool(self._head(self._blocks(self._stem(self._planes(INPUT)))))
        self._node("Flatten", [seen], "features")
        # Roots keep a few strong features from drowning the rest: altered copies are found more often.
        self._node("Sqrt", ["features"], _SEEN)
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["images", SIDE, SIDE, 3])],
            [helper.make_tensor_value_info(_SEEN, TensorProto.FLOAT, ["images", WIDTH])],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _planes(self, pixels: str) -> str:
        """Bytes of each pixel to one plane of numbers for each colour."""
        from onnx import TensorProto

        self._node("Transpose", [pixels], "planes", perm=[0, 3, 1, 2])
        self._node("Cast", ["planes"], "bytes", to=TensorProto.FLOAT)
        return self._node("Sub", ["bytes", self._constant("mean", _MEAN)], "centred")

    def _stem(self, planes: str) -> str:
        return self._convolution(planes, "_conv_stem", "_bn0", kernel=3, stride=2, scale=_SCALE)

    def _blocks(self, seen: str) -> str:
        for block, stage, stride, channels in _blocks():
            name, before = f"_blocks.{block}.", seen
            if stage.expansion > 1:
                seen = self._convolution(seen, f"{name}_expand_conv", f"{name}_bn0")
            groups = channels * stage.expansion
            seen = self._convolution(
                seen, f"{name}_depthwise_conv", f"{name}_bn1", kernel=stage.kernel, stride=stride, groups=groups
            )
            seen = self._convolution(seen, f"{name}_project_conv", f"{name}_bn2", clipped=False)
            if stride == 1 and channels == stage.channels:
                seen = self._node("Add", [seen, before], f"{name}sum")
        return seen

    def _head(self, seen: str) -> str:
        return self._convolution(seen, "_conv_head", "_bn1")

    def _pool(self, seen: str) -> str:
        return self._node("GlobalAveragePool", [seen], "pooled")

    def _convolution(
        self,
        seen: str,
        name: str,
        norm: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        scale: float = 1.0,
        clipped: bool = True,
    ) -> str:
        """A convolution with the normalisation behind it worked into its numbers."""
        import numpy as np

        gain, bias, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain /= np.sqrt(variance + _EPSILON)
        folded = self._weights[f"{name}.weight"] * (gain * scale)[:, None, None, None]
        inputs = [seen, self._constant(f"{name}.weight", folded), self._constant(f"{name}.bias", bias - mean * gain)]
        after = -(-self._side // stride)
        # As in TensorFlow, where it was trained: an odd row of padding stands behind, not before.
        padding = max((after - 1) * stride + kernel - self._side, 0)
        before, behind = padding // 2, padding - padding // 2
        self._side = after
        pads = [before, before, behind, behind]
        found = self._node("Conv", inputs, name, group=groups, strides=[stride] * 2, pads=pads)
        if not clipped:
            return found
        limits = [self._constant("zero", 0.0), self._constant("six", 6.0)]
        return self._node("Clip", [found, *limits], f"{name}.clipped")

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, value: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        if all(constant.name != name for constant in self._constants):
            self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
        return name


def _blocks() -> Iterator[tuple[int, _Stage, int, int]]:
    """Each block's number, shape, stride and the channels that come in."""
    number, channels = 0, _STEM
    for stage in _STAGES:
        for place in range(stage.blocks):
            yield number, stage, stage.stride if place == 0 else 1, channels
            number, channels = number + 1, stage.channels
