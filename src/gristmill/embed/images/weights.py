"""Reads the numbers of a saved PyTorch model without PyTorch, and without trusting the pickle they come in.

Knows the form in which PyTorch saved models before version 1.6, and nothing of what the numbers mean.
"""

import pickle  # noqa: TID251 - refuses every name but those of tensors, and reads only a file whose digest is known
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["WeightsUnreadable", "read_weights", "tensors"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class WeightsUnreadable(Exception):
    """The file is not the one that was meant, or holds anything but tensors."""


def read_weights(path: Path, digest: str) -> "Mapping[str, NDArray[Any]]":
    """The tensors of ``path`` by name, whose SHA-256 must be ``digest``; else :class:`WeightsUnreadable`."""
    content = path.read_bytes()
    if sha256(content).hexdigest() != digest:
        raise WeightsUnreadable(f"{path.name} is not the file that was meant")
    return tensors(content)


def tensors(content: bytes) -> "Mapping[str, NDArray[Any]]":
    """The tensors in a saved model by name; :class:`WeightsUnreadable` for everything else."""
    try:
        return _tensors(BytesIO(content))
    except WeightsUnreadable:
        raise
    # A damaged pickle fails in as many ways as there are opcodes.
    except Exception as error:
        raise WeightsUnreadable(f"not a saved model: {type(error).__name__}") from error


def _tensors(file: BytesIO) -> "Mapping[str, NDArray[Any]]":
    if [_Tensors(file).load() for _ in range(2)] != [_MAGIC, _PROTOCOL]:
        raise WeightsUnreadable("not a saved model")
    # How large its integers are matters to PyTorch alone.
    _Tensors(file).load()
    named = _Tensors(file)
    found = named.load()
    for key in _Tensors(file).load():
        named.storages[key].fill(file)
    return {name: tensor.array() for name, tensor in found.items()}


class _Storage:
    """A run of numbers, which stand behind all the pickles; several tensors may look at it."""

    def __init__(self, kind: str, count: int) -> None:
        self._kind = kind
        self._count = count
        self.numbers: Any = None

    def fill(self, file: BytesIO) -> None:
        """Read the numbers from where ``file`` stands."""
        import numpy as np

        dtype = np.dtype(self._kind)
        count = int.from_bytes(file.read(8), "little")
        if count != self._count:
            raise WeightsUnreadable("a run of numbers has another length than announced")
        self.numbers = np.frombuffer(file.read(count * dtype.itemsize), dtype=dtype, count=count)


class _Tensor:
    """Which numbers of a storage make up a tensor."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
    ) -> None:
        self._storage = storage
        self._offset = offset
        self._shape = shape
        self._strides = strides

    def array(self) -> Any:
        """The numbers in their shape, each in its place: many are saved permuted."""
        import numpy as np

        numbers = self._storage.numbers
        last = self._offset + sum((size - 1) * step for size, step in zip(self._shape, self._strides, strict=True))
        if min((self._offset, *self._strides)) < 0 or last >= len(numbers):
            raise WeightsUnreadable("a tensor reaches beyond its numbers")
        strides = [step * numbers.itemsize for step in self._strides]
        return np.lib.stride_tricks.as_strided(numbers[self._offset :], self._shape, strides).copy()


class _Tensors(pickle.Unpickler):
    """Makes tensors, numbers, texts and dictionaries; whatever else a pickle asks for is refused."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise WeightsUnreadable(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, count, _ = pid
        return self.storages.setdefault(key, _Storage(kind, count))
