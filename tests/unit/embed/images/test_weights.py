"""The reader of saved models: numbers in their places, and nothing run."""

import os
import pickle  # noqa: TID251 - the harmful ones are made here
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from gristmill.embed.images.weights import WeightsUnreadable, read_weights, tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
DICTIONARY = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values) + b"t"


def state(shape: tuple[int, ...], strides: tuple[int, ...], *, offset: int = 0, count: int = 6) -> bytes:
    """The pickle of one tensor, opcode by opcode: PyTorch is not there to write it."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("7") + text("cpu") + numbers(count)[1:-1]
    parts = storage + b"NtQ" + numbers(offset)[1:-1] + numbers(*shape) + numbers(*strides) + b"\x89" + DICTIONARY
    return (
        b"\x80\x02"
        + DICTIONARY
        + b"("
        + text("weight")
        + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + parts
        + b"tR"
        + b"u."
    )


def saved(state: bytes, count: int = 6) -> bytes:
    head = b"".join(pickle.dumps(one, 2) for one in (MAGIC, PROTOCOL, {"little_endian": True}))
    storage = count.to_bytes(8, "little") + np.arange(count, dtype="<f4").tobytes()
    return head + state + pickle.dumps(["7"], 2) + storage


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((2, 3), (3, 1), 0, [[0, 1, 2], [3, 4, 5]]),
        ((2, 3), (1, 2), 0, [[0, 2, 4], [1, 3, 5]]),
        ((2,), (2,), 3, [3, 5]),
        ((), (), 4, 4),
    ],
)
def test_weights_stand_where_their_strides_put_them(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, expected: object
) -> None:
    found = tensors(saved(state(shape, strides, offset=offset)))

    assert found["weight"].tolist() == expected


@pytest.mark.parametrize(
    ("shape", "strides", "offset"), [((2, 3), (3, 2), 0), ((2,), (1,), 5), ((2,), (-1,), 1), ((2,), (1,), -1)]
)
def test_weights_that_reach_beyond_their_numbers_are_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(WeightsUnreadable):
        tensors(saved(state(shape, strides, offset=offset)))


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_weights_that_ask_for_anything_but_tensors_are_refused_before_it_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    harmful = pickle.dumps({"weight": Harmful(trace)}, 2)
    # What is tried here does harm when it is not refused.
    pickle.loads(harmful)
    trace.rmdir()

    with pytest.raises(WeightsUnreadable, match="mkdir"):
        tensors(saved(harmful))
    with pytest.raises(WeightsUnreadable, match="mkdir"):
        tensors(harmful)

    assert not trace.exists()


@pytest.mark.parametrize(
    "name", [b"builtins\neval", b"torch\nload", b"torch._utils\n_rebuild_parameter", b"os\nsystem"]
)
def test_weights_may_name_nothing_but_what_tensors_are_made_of(name: bytes) -> None:
    with pytest.raises(WeightsUnreadable, match="no part of a tensor"):
        tensors(saved(b"\x80\x02c" + name + b"\n."))


@pytest.mark.parametrize("length", [0, 1, 20, 60, 100, 200, -1])
def test_weights_that_are_cut_are_refused(length: int) -> None:
    whole = saved(state((2, 3), (3, 1)))

    with pytest.raises(WeightsUnreadable):
        tensors(whole[:length])


def test_weights_with_a_storage_of_another_length_are_refused() -> None:
    with pytest.raises(WeightsUnreadable):
        tensors(saved(state((2,), (1,), count=6), count=5))


def test_weights_of_another_file_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(saved(state((2, 3), (3, 1))))
    digest = sha256(path.read_bytes()).hexdigest()

    assert read_weights(path, digest)["weight"].shape == (2, 3)
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(WeightsUnreadable, match="not the file"):
        read_weights(path, digest)
