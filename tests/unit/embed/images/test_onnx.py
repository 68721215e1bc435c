"""Models in files: whatever their form, and with the setting named when they cannot be used."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from gristmill.embed.images.ports import ImageEmbedder
from gristmill.embed.images.registry import describe, open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.errors import InvalidInput
from tests.unit.embed.images.models import (
    DIMENSION,
    SIDE,
    save,
    save_image_model,
    save_pair,
    save_text_model,
)
from tests.unit.embed.images.pictures import picture

PICTURES = [picture(seed) for seed in range(9)]


def opened(settings: ImageEmbedSettings) -> ImageEmbedder:
    return open_image_embedder("image-onnx", settings)


def test_onnx_takes_planes_and_pixels_and_batches_of_one(tmp_path: Path) -> None:
    models = [
        save_image_model(tmp_path / "planes.onnx"),
        save_image_model(tmp_path / "pixels.onnx", planes=False),
        save_image_model(tmp_path / "single.onnx", batch=1),
        save_image_model(tmp_path / "named.onnx", output="something"),
    ]

    embedders = [opened(ImageEmbedSettings(onnx_model=model)) for model in models]
    vectors = [embedder.embed_images(PICTURES) for embedder in embedders]

    assert all(np.allclose(one, vectors[0], atol=1e-5) for one in vectors)
    assert {(embedder.side, embedder.dimension) for embedder in embedders} == {(SIDE, DIMENSION)}


@pytest.mark.parametrize("planes", [True, False])
def test_onnx_pools_what_the_model_leaves_to_others(tmp_path: Path, *, planes: bool) -> None:
    model = save_image_model(tmp_path / "model.onnx", planes=planes, pooled=False)
    embedder = opened(ImageEmbedSettings(onnx_model=model, onnx_mean=(0, 0, 0), onnx_std=(1, 1, 1)))

    (vector,) = embedder.embed_images([Image.new("RGB", (50, 40), (60, 120, 240))])

    assert np.allclose(vector, np.array([1, 2, 4]) / np.sqrt(21), atol=1e-4)


def test_onnx_shows_images_of_224_to_a_model_that_takes_any(tmp_path: Path) -> None:
    embedder = opened(ImageEmbedSettings(onnx_model=save_image_model(tmp_path / "model.onnx", side="side")))

    assert (embedder.side, embedder.dimension) == (224, 3 * 28 * 28)


def test_onnx_prefers_the_output_that_is_named_for_the_purpose(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalMaxPool", ["pixels"], ["highest"]),
        helper.make_node("Flatten", ["highest"], ["first"]),
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Concat", ["mean", "mean"], ["twice"], axis=1),
        helper.make_node("Flatten", ["twice"], ["pooler_output"]),
    ]
    shape = ("batch", 3, SIDE, SIDE)
    settings = ImageEmbedSettings(
        onnx_model=save(tmp_path / "model.onnx", {"pixels": (TensorProto.FLOAT, shape)}, nodes)
    )

    assert opened(settings).dimension == 6


def test_onnx_shows_the_middle_of_an_image_in_proportion_and_in_the_colours_it_was_trained_on(tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste((51, 102, 204), (100, 0, 200, 100))
    model = save_image_model(tmp_path / "model.onnx", pooled=False)
    settings = ImageEmbedSettings(onnx_model=model, onnx_mean=(0.1, 0.1, 0.1), onnx_std=(0.5, 0.25, 0.5))

    (vector,) = opened(settings).embed_images([wide])

    expected = np.array([0.1 / 0.5, 0.3 / 0.25, 0.7 / 0.5])
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=0.01)


def test_onnx_is_another_model_when_its_images_become_other_vectors(tmp_path: Path) -> None:
    model = save_image_model(tmp_path / "eyes.onnx")
    settings = ImageEmbedSettings(onnx_model=model)
    known = describe("image-onnx", settings).model_id

    copied = tmp_path / "copy" / "eyes.onnx"
    copied.parent.mkdir()
    copied.write_bytes(model.read_bytes())
    same = [replace(settings, onnx_model=copied), replace(save_pair(tmp_path), onnx_model=model)]
    other_colours = replace(settings, onnx_mean=(0.5, 0.5, 0.5))
    assert known.startswith("eyes-")
    assert {describe("image-onnx", one).model_id for one in same} == {known}
    assert describe("image-onnx", other_colours).model_id != known

    (tmp_path / "eyes.onnx.data").write_bytes(b"weights")
    beside = describe("image-onnx", settings).model_id
    save_image_model(model, output="other")
    assert len({known, beside, describe("image-onnx", settings).model_id}) == 3


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("length", ["length", 16])
def test_onnx_reads_a_text_longer_than_its_model_takes(tmp_path: Path, *, mask: bool, length: str | int) -> None:
    settings = replace(
        save_pair(tmp_path), onnx_text_model=save_text_model(tmp_path / "text.onnx", mask=mask, length=length)
    )

    cat, dog = (opened(settings).embed_text(text) for text in ("a cat", "the dog " * 100))

    assert cat.shape == dog.shape == (DIMENSION,)
    assert cat @ dog < 0.99


def test_onnx_fills_short_texts_up_where_the_model_wants_so_many_tokens(tmp_path: Path) -> None:
    settings = save_pair(tmp_path)
    fixed = replace(settings, onnx_text_model=save_text_model(tmp_path / "fixed.onnx", length=16))

    # The mask hides what was filled up.
    assert np.allclose(opened(settings).embed_text("a cat"), opened(fixed).embed_text("a cat"), atol=1e-5)


def test_onnx_refuses_a_text_encoder_of_another_length(tmp_path: Path) -> None:
    settings = replace(save_pair(tmp_path), onnx_text_model=save_text_model(tmp_path / "text.onnx", dimension=20))

    with pytest.raises(InvalidInput) as caught:
        opened(settings).embed_text("a cat")

    assert caught.value.code == "image_text_model_differs"
    assert (caught.value.facts["expected"], caught.value.facts["got"]) == (DIMENSION, 20)


@pytest.mark.parametrize("field", ["onnx_model", "onnx_text_model", "onnx_tokenizer"])
def test_onnx_names_the_file_that_is_missing_and_not_where_it_was_looked_for(tmp_path: Path, field: str) -> None:
    gone: dict[str, Any] = {field: tmp_path / "secret" / "gone.onnx"}
    settings = replace(save_pair(tmp_path), **gone)

    with pytest.raises(InvalidInput) as caught:
        opened(settings)

    assert caught.value.code == "image_model_missing"
    assert (caught.value.facts["field"], caught.value.facts["file"]) == (f"images.{field}", "gone.onnx")
    assert "secret" not in repr(caught.value.facts)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("onnx_model", "image_model_unreadable"),
        ("onnx_text_model", "image_model_unreadable"),
        ("onnx_tokenizer", "image_tokenizer_unreadable"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"no model at all", b"{}"])
def test_onnx_refuses_a_file_of_another_kind(tmp_path: Path, field: str, code: str, content: bytes) -> None:
    other = tmp_path / "secret.bin"
    other.write_bytes(content)
    changed: dict[str, Any] = {field: other}
    embedder = opened(replace(save_pair(tmp_path), **changed))

    with pytest.raises(InvalidInput) as caught:
        embedder.embed_text("a cat")

    assert caught.value.code == code
    assert caught.value.facts["field"] == f"images.{field}"
    assert str(tmp_path) not in repr(caught.value.facts)


@pytest.mark.parametrize("kind", ["text", "many", "flat", "bytes", "batch", "sequence"])
def test_onnx_refuses_a_model_that_is_none_of_images(tmp_path: Path, kind: str) -> None:
    path, square = tmp_path / "model.onnx", ("batch", 3, SIDE, SIDE)
    flatten = helper.make_node("Flatten", ["pixels"], ["out"])
    if kind == "text":
        save_text_model(path)
    elif kind == "many":
        both = {"pixels": (TensorProto.FLOAT, square), "more": (TensorProto.FLOAT, square)}
        save(path, both, [helper.make_node("Add", ["pixels", "more"], ["out"])])
    elif kind == "flat":
        save(path, {"pixels": (TensorProto.FLOAT, ("batch", 3))}, [flatten])
    elif kind == "bytes":
        cast = helper.make_node("Cast", ["pixels"], ["out"], to=TensorProto.FLOAT)
        save(path, {"pixels": (TensorProto.UINT8, square)}, [cast])
    elif kind == "batch":
        save_image_model(path, batch=3)
    else:
        reshape = helper.make_node("Reshape", ["pixels", "shape"], ["out"])
        save(path, {"pixels": (TensorProto.FLOAT, square)}, [reshape], shape=np.array([0, 3, -1]))

    with pytest.raises(InvalidInput) as caught:
        opened(ImageEmbedSettings(onnx_model=path)).embed_images(PICTURES[:1])

    assert (caught.value.code, caught.value.facts["field"]) == ("image_model_unsuitable", "images.onnx_model")


def test_onnx_refuses_an_image_model_in_place_of_a_text_encoder(tmp_path: Path) -> None:
    settings = replace(save_pair(tmp_path), onnx_text_model=save_image_model(tmp_path / "other.onnx"))

    with pytest.raises(InvalidInput) as caught:
        opened(settings).embed_text("a cat")

    assert (caught.value.code, caught.value.facts["field"]) == ("image_model_unsuitable", "images.onnx_text_model")


def test_onnx_refuses_a_tokenizer_with_words_that_the_model_does_not_know(tmp_path: Path) -> None:
    settings = save_pair(tmp_path)
    tokenizer = Path(settings.onnx_tokenizer or "")
    tokenizer.write_text(
        tokenizer.read_text("utf-8").replace('"sky":6', '"sky":6000').replace('"sky": 6', '"sky": 6000')
    )
    embedder = opened(settings)

    assert embedder.embed_text("a cat").shape == (DIMENSION,)
    with pytest.raises(InvalidInput) as caught:
        embedder.embed_text("the sky")

    assert (caught.value.code, caught.value.facts["field"]) == ("image_model_unsuitable", "images.onnx_text_model")


def test_onnx_holds_no_text_encoder_before_the_first_text(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model at all")
    embedder = opened(replace(save_pair(tmp_path), onnx_text_model=broken))

    assert embedder.embed_images(PICTURES).shape == (len(PICTURES), DIMENSION)


def test_onnx_pieces_come_from_the_tokenizer(tmp_path: Path) -> None:
    embedder = opened(save_pair(tmp_path))

    unknown = embedder.embed_text("xyzzy")

    assert np.allclose(unknown, embedder.embed_text("plugh"), atol=1e-5)
    assert unknown @ embedder.embed_text("cat") < 0.99
