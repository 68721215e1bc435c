"""Settings come from flags, the environment and a file, and a refusal names the setting as its author wrote it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

import gristmill
from gristmill.errors import InvalidInput
from gristmill.settings import Settings, load_settings
from gristmill.settings.names import LEAVES, LEGACY, Leaf


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
    return load_settings(environ=environ or {}, **options)


def refusal(environ: Mapping[str, str] | None = None, **options: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(environ, **options)
    return caught.value


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_settings_are_the_defaults_when_nothing_is_given(tmp_path: Path) -> None:
    assert load() == Settings(data=tmp_path / "gristmill-data")


@pytest.mark.parametrize(
    ("layers", "port"),
    [((), 6379), (("file",), 1), (("file", "legacy"), 2), (("file", "legacy", "ours"), 3)],
    ids=["default", "file", "legacy", "ours"],
)
def test_settings_prefer_the_stronger_source(tmp_path: Path, layers: tuple[str, ...], port: int) -> None:
    if "file" in layers:
        write(tmp_path / "gristmill.toml", "[redis]\nport = 1")
    environ = {"legacy": {"REDIS_PORT": "2"}, "ours": {"GRISTMILL_REDIS__PORT": "3"}}
    given = {name: value for layer in layers for name, value in environ.get(layer, {}).items()}

    weaker = load(given)
    flagged = load(given, overrides={"redis": {"port": 4}})

    assert weaker.redis.port == port
    assert flagged.redis.port == 4


def test_settings_merge_single_values_of_a_section_when_sources_differ(tmp_path: Path) -> None:
    write(tmp_path / "gristmill.toml", "[index]\nchunk_size = 400\nkeep_versions = 7")

    index = load({"GRISTMILL_INDEX__CHUNK_SIZE": "500"}, overrides={"index": {"sync_threshold": 2}}).index

    assert (index.chunk_size, index.keep_versions, index.sync_threshold) == (500, 7, 2)


def test_settings_ignore_a_flag_and_a_variable_when_they_are_empty() -> None:
    settings = load(
        {"GRISTMILL_API__PORT": "", "REDIS_HOST": "  ", "GRISTMILL_CONFIG": ""}, overrides={"api": {"host": None}}
    )

    assert (settings.api.port, settings.api.host, settings.redis.host) == (8000, "127.0.0.1", None)


class TestFile:
    def test_settings_file_is_found_in_order(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        write(data / "gristmill.toml", "[api]\nport = 1")
        from_data = load(data=data)
        write(tmp_path / "gristmill.toml", "[api]\nport = 2")
        from_here = load(data=data)
        named = str(write(tmp_path / "named.toml", "[api]\nport = 3"))
        from_variable = load({"GRISTMILL_CONFIG": named}, data=data)
        flag = write(tmp_path / "flag.toml", "[api]\nport = 4")
        from_flag = load({"GRISTMILL_CONFIG": named}, data=data, config=flag)

        ports = [settings.api.port for settings in (from_data, from_here, from_variable, from_flag)]
        assert ports == [1, 2, 3, 4]

    def test_settings_file_in_the_data_directory_is_found_when_a_variable_names_the_directory(
        self, tmp_path: Path
    ) -> None:
        write(tmp_path / "kept" / "gristmill.toml", "language = 'zh'")

        assert load({"GRISTMILL_DATA": "kept"}).language == "zh"

    def test_settings_file_is_refused_when_it_was_named_and_is_missing(self) -> None:
        error = refusal(config=Path("absent.toml"))

        assert error.code == "settings_file_missing"
        assert "absent.toml" in str(error)

    def test_settings_file_is_refused_with_its_line_when_it_is_no_toml(self, tmp_path: Path) -> None:
        error = refusal(config=write(tmp_path / "bad.toml", "[api]\nport == 1"))

        assert error.code == "settings_file_invalid"
        assert "bad.toml" in str(error)
        assert "line 2" in str(error)

    def test_settings_file_is_refused_when_it_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "bad.toml"
        file.write_bytes(b"\xff\xfe")

        assert refusal(config=file).code == "settings_file_unreadable"

    @pytest.mark.parametrize(
        ("text", "near"),
        [
            ("[worker]\nconcurrency = 2", "workers"),
            ("[workers]\nconcurency = 2", "workers.concurrency"),
            ("[tasks.kinds.index_document]\nmax_attempt = 2", "tasks.kinds.index_document.max_attempts"),
        ],
    )
    def test_settings_file_key_is_refused_with_the_nearest_when_it_is_unknown(
        self, tmp_path: Path, text: str, near: str
    ) -> None:
        error = refusal(config=write(tmp_path / "own.toml", text))

        assert error.code == "setting_unknown_near"
        assert error.facts["near"] == near
        assert "own.toml" in str(error)

    def test_settings_file_key_is_refused_when_a_section_is_given_a_value(self, tmp_path: Path) -> None:
        error = refusal(config=write(tmp_path / "own.toml", "redis = 'localhost'"))

        assert error.code == "setting_is_section"
        assert "[redis]" in str(error)

    def test_settings_paths_start_from_the_folder_they_are_written_in(self, tmp_path: Path) -> None:
        file = write(tmp_path / "etc" / "own.toml", "data = 'kept'\n[sources]\nroots = ['/srv', 'docs']")

        from_file = load(config=file)
        from_variables = load({"GRISTMILL_DATA": "kept", "GRISTMILL_SOURCES__ROOTS": "/srv,docs"})

        assert from_file.data == tmp_path / "etc" / "kept"
        assert from_file.sources.roots == (Path("/srv"), tmp_path / "etc" / "docs")
        assert from_variables.data == tmp_path / "kept"
        assert from_variables.sources.roots == (Path("/srv"), tmp_path / "docs")

    def test_settings_paths_understand_the_home_folder(self) -> None:
        assert load(data=Path("~/kept")).data == Path.home() / "kept"


def choices(annotation: Any) -> Iterator[str]:
    """The words that a setting may be, if it may not be any."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from choices(part)


class TestVariables:
    @pytest.mark.parametrize("text", ["a,b", " a , b ,", '["a", "b"]'])
    def test_settings_variable_is_a_list_when_written_with_commas_or_as_json(self, text: str) -> None:
        assert load({"GRISTMILL_WORKERS__QUEUES": text}).workers.queues == ("a", "b")

    def test_settings_variable_reaches_one_task_kind(self) -> None:
        kinds = load({"GRISTMILL_TASKS__KINDS__INDEX_DOCUMENT__MAX_ATTEMPTS": "2"}).tasks.kinds

        assert {name: kind.max_attempts for name, kind in kinds.items()} == {"index_document": 2}

    @pytest.mark.parametrize("leaf", LEAVES.values(), ids=lambda leaf: leaf.dotted)
    def test_settings_variable_exists_for_every_setting(self, leaf: Leaf) -> None:
        default = leaf.field.get_default()
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        if default in (None, ()):
            text = next(choices(leaf.field.annotation), "1")

        section: Any = load({leaf.variable.replace("*", "PING"): text})
        for key in leaf.keys[:-1]:
            section = section["ping"] if key == "*" else getattr(section, key)

        assert leaf.keys[-1] in section.model_fields_set

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("GRISTMILL_WORKERS_CONCURRENCY", "GRISTMILL_WORKERS__CONCURRENCY"),
            ("GRISTMILL_WORKER__CONCURRENCY", "GRISTMILL_WORKERS__CONCURRENCY"),
            ("GRISTMILL_workers__concurrency", "GRISTMILL_WORKERS__CONCURRENCY"),
            ("GRISTMILL_CONFG", "GRISTMILL_CONFIG"),
            ("GRISTMILL_TASKS__KINDS__PING__QUEU", "GRISTMILL_TASKS__KINDS__PING__QUEUE"),
        ],
    )
    def test_settings_variable_is_refused_with_the_nearest_when_it_is_unknown(self, name: str, near: str) -> None:
        error = refusal({name: "3"})

        assert error.code == "setting_unknown_near"
        assert error.facts == {"field": name, "near": near}

    def test_settings_variable_is_refused_without_a_guess_when_nothing_is_near(self) -> None:
        assert refusal({"GRISTMILL_XYZZY": "3"}).code == "setting_unknown"

    def test_settings_variable_of_another_program_is_left_alone(self) -> None:
        assert load({"GRISTMILLS": "1", "HOME": "/", "redis_host": "x"}) == load()


class TestLegacyVariables:
    def test_settings_take_the_names_people_already_have(self) -> None:
        settings = load(
            {
                "REDIS_HOST": "cache",
                "REDIS_PORT": "6380",
                "REDIS_PASSWORD": "hush",
                "REDIS_DB": "2",
                "WORKER_CONCURRENCY": "3",
                "WORKER_MAX_TASKS_PER_CHILD": "50",
                "LOG_LEVEL": "WARN",
            }
        )

        assert (settings.redis.host, settings.redis.port, settings.redis.db) == ("cache", 6380, 2)
        assert settings.redis.password is not None
        assert settings.redis.password.get_secret_value() == "hush"
        assert (settings.workers.concurrency, settings.workers.max_tasks_per_slot) == (3, 50)
        assert settings.log.level == "warning"

    @pytest.mark.parametrize("name", sorted(LEGACY))
    def test_settings_accept_every_old_name(self, name: str) -> None:
        changed = load({name: {"LOG_LEVEL": "DEBUG", "REDIS_URL": "redis://h"}.get(name, "5")}) != load()

        # A broker that is not Redis has no place here, so "5" changes nothing.
        assert changed is (LEGACY[name] is not None and name != "CELERY_BROKER_URL")

    @pytest.mark.parametrize(
        ("environ", "url"),
        [
            ({"REDIS_URL": "redis://a", "CELERY_BROKER_URL": "redis://b"}, "redis://a"),
            ({"CELERY_BROKER_URL": "rediss://b"}, "rediss://b"),
            ({"CELERY_BROKER_URL": "amqp://c"}, None),
        ],
    )
    def test_settings_take_the_broker_from_celery_when_it_is_redis_and_nothing_else_names_it(
        self, environ: Mapping[str, str], url: str | None
    ) -> None:
        found = load(environ).redis.url

        assert (found and found.get_secret_value()) == url

    def test_settings_prefer_slots_per_worker_when_both_old_names_are_set(self) -> None:
        assert load({"WORKER_COUNT": "2", "WORKER_CONCURRENCY": "6"}).workers.concurrency == 6

    def test_settings_drop_a_weaker_url_when_a_stronger_source_names_the_host(self) -> None:
        redis = load({"REDIS_URL": "redis://old", "GRISTMILL_REDIS__HOST": "new"}).redis

        assert (redis.url, redis.host) == (None, "new")

    def test_settings_read_the_port_when_kubernetes_wrote_the_variable(self) -> None:
        assert load({"REDIS_PORT": "tcp://10.0.0.1:6390"}).redis.port == 6390


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "value", "code", "rule"),
        [
            ("WORKER_COUNT", "many", "setting_not_whole_number", "≥ 1, ≤ 256"),
            ("GRISTMILL_API__PORT", "80.5", "setting_not_whole_number", "≥ 0, ≤ 65535"),
            ("GRISTMILL_API__PORT", "70000", "setting_out_of_range", "≥ 0, ≤ 65535"),
            ("GRISTMILL_TASKS__LEASE_SECONDS", "soon", "setting_not_number", "≥ 1, ≤ 3600"),
            ("GRISTMILL_TASKS__HISTORY_DAYS", "inf", "setting_not_number", "> 0"),
            ("GRISTMILL_TASKS__HISTORY_DAYS", "0", "setting_out_of_range", "> 0"),
            ("GRISTMILL_LANGUAGE", "fr", "setting_not_a_choice", "en, zh"),
            ("LOG_LEVEL", "loud", "setting_not_a_choice", "debug, info, warning, error"),
            ("GRISTMILL_WORKERS__QUEUES", "[1", "setting_not_list", "commas"),
            ("GRISTMILL_WORKERS__QUEUES", "[1]", "setting_not_text", "text"),
            ("GRISTMILL_TASKS__KINDS__PING__MAX_ATTEMPTS", "0", "setting_out_of_range", "≥ 1, ≤ 100"),
        ],
    )
    def test_settings_refusal_names_the_variable_the_value_and_the_rule(
        self, name: str, value: str, code: str, rule: str
    ) -> None:
        error = refusal({name: value})

        assert error.code == code
        assert error.facts["field"] == name
        assert str(error.facts["value"]).strip("[]") in value
        assert rule in str(error)
        assert name in error.message("zh")

    def test_settings_refusal_names_key_and_file_when_the_value_stands_in_a_file(self, tmp_path: Path) -> None:
        write(tmp_path / "gristmill.toml", "[api]\nport = true")

        assert str(refusal()).startswith("api.port (gristmill.toml) is 'true', which is not a whole number")

    def test_settings_refusal_hides_the_value_when_it_is_a_secret(self, tmp_path: Path) -> None:
        write(tmp_path / "gristmill.toml", "[redis]\npassword = 90210")

        error = refusal()

        assert error.code == "setting_not_text"
        assert "90210" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__

    def test_settings_refusal_names_both_when_two_settings_disagree(self) -> None:
        error = refusal({"GRISTMILL_INDEX__CHUNK_OVERLAP": "800"})

        assert error.code == "setting_overlap_too_large"
        assert str(error).startswith("GRISTMILL_INDEX__CHUNK_OVERLAP is 800, more than half of index.chunk_size")

    @pytest.mark.parametrize(
        ("text", "code", "told"),
        [
            ("0.1,0.2", "setting_wrong_length", "Give 3"),
            ("0.1,0.2,0.3,0.4", "setting_wrong_length", "Give 3"),
            ("0.1,0.2,3", "setting_out_of_range", "≥ 0, ≤ 1"),
            ("0.1,0.2,blue", "setting_not_number", "≥ 0, ≤ 1"),
        ],
    )
    def test_settings_refusal_of_several_numbers_says_how_many_and_within_what(
        self, text: str, code: str, told: str
    ) -> None:
        error = refusal({"GRISTMILL_IMAGES__ONNX_MEAN": text})

        assert error.code == code
        assert told in str(error)

    def test_settings_numbers_all_have_a_range_to_name(self) -> None:
        numbers = [leaf for leaf in LEAVES.values() if leaf.holds(int) or leaf.holds(float)]

        assert numbers
        # Lists of numbers have a range for each.
        single = [leaf for leaf in numbers if not leaf.many]
        assert [leaf.dotted for leaf in single if not leaf.field.metadata] == []


def test_settings_import_stays_light() -> None:
    heavy = ("numpy", "sqlalchemy", "fastapi", "structlog", "rich", "httpx", "kreuzberg")
    program = f"import sys, gristmill.settings, gristmill.logs; print([m for m in {heavy} if m in sys.modules])"
    environ = {**os.environ, "PYTHONPATH": str(Path(gristmill.__file__).parents[1])}

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ)

    assert loaded.stdout.strip() == "[]"
