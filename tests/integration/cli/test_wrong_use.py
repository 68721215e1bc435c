"""Mistakes are told in one line, with a code that says whose they are."""

import pytest

from tests.integration.cli.terminal import Terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ["searchx", "x"],
        ["search"],
        ["index"],
        ["search", "x", "--mode", "magic"],
        ["up", "--port", "99999"],
        ["tasks", "list", "--state", "lost"],
        ["tasks", "cancel"],
        ["keys", "create", "me", "--scope", "king"],
        ["documents", "show", "seven"],
        ["documents", "show", "9" * 20],
        ["keys", "create", "\udcff"],
        ["tasks", "list", "--collection", "\udcff"],
        ["search", "\udcff"],
        ["webhooks", "add", "http://desk.example/", "--kind", "\udcff"],
        ["documents", "delete", "1", "0"],
        ["documents", "list", "--after", "9" * 20],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use_exits_with_2_and_creates_nothing(terminal: Terminal, arguments: list[str]) -> None:
    done = terminal.run(*arguments)

    assert done.code == 2
    assert "Traceback" not in done.err
    assert not terminal.data.exists()


def test_wrong_use_is_told_to_machines_too(terminal: Terminal) -> None:
    done = terminal.run("search", "--json")

    assert done.code == 2
    assert done.json["error"]["type"] == "UsageError"


def test_misspelt_verb_is_answered_with_the_nearest(terminal: Terminal) -> None:
    assert "'search'" in terminal.run("searchx", "x").err


def test_unknown_setting_exits_with_2_and_names_the_nearest(terminal: Terminal) -> None:
    done = terminal.run("status", environment={"GRISTMILL_WORKERS__CONCURENCY": "2"})

    assert done.code == 2
    assert done.err.startswith("error: ")
    assert "GRISTMILL_WORKERS__CONCURRENCY" in done.err


def test_missing_path_exits_with_2_and_names_it(terminal: Terminal) -> None:
    done = terminal.run("index", "nowhere.md")

    assert (done.code, done.out) == (2, "")
    assert "nowhere.md" in done.err
    assert len(done.err.splitlines()) == 1


def test_folder_without_documents_exits_with_1(terminal: Terminal) -> None:
    (terminal.home / "empty").mkdir()

    done = terminal.run("index", "empty")

    assert done.code == 1
    assert "empty" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "x", "--collection", "nothing"],
        ["tasks", "show", "nothing"],
        ["tasks", "cancel", "nothing"],
        ["tasks", "retry", "nothing"],
        ["documents", "show", "7"],
        ["documents", "delete", "7"],
        ["collections", "show", "nothing"],
        ["keys", "revoke", "nothing"],
    ],
    ids=" ".join,
)
def test_name_of_nothing_exits_with_1_and_an_error_document_when_json_is_asked_for(
    terminal: Terminal, arguments: list[str]
) -> None:
    done = terminal.run("--json", *arguments)

    assert done.code == 1
    assert done.json["success"] is False
    assert done.json["error"]["message"] == done.err.removeprefix("error: ").strip()


def test_error_is_chinese_when_the_language_is(terminal: Terminal) -> None:
    done = terminal.run("search", "x", environment={"GRISTMILL_LANGUAGE": "zh"})

    assert done.code == 1
    assert "集合" in done.err


def test_unusable_data_directory_exits_with_3(terminal: Terminal) -> None:
    (terminal.home / "file").write_text("not a folder")

    done = terminal.run("--data", "file", "tasks", "list")

    assert done.code == 3
    assert "--data" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("verb", ["up", "serve"])
def test_listener_that_others_reach_is_refused_without_a_key(terminal: Terminal, verb: str) -> None:
    done = terminal.run(verb, "--host", "0.0.0.0", "--port", "0")

    assert done.code == 2
    assert "gristmill keys create" in done.err
    assert terminal.processes() == []


def test_common_options_are_taken_before_and_after_the_verb(terminal: Terminal) -> None:
    other = terminal.home / "other"

    before = terminal.run("--data", other, "--json", "inspect", "conf").json["data"]
    after = terminal.run("inspect", "conf", "--data", other, "--json").json["data"]

    assert before == after == str(other)
