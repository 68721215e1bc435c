"""Help comes at once, is complete, and shows how to use each command."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from gristmill.cli.main import main
from gristmill.cli.verbs import VERBS
from tests.integration.cli.terminal import SOURCE, Terminal


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*above, name), found
        if isinstance(found, click.Group):
            yield from commands(found, *above, name)


ALL = dict(commands(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_shows_an_example_and_the_common_options_for_every_command(path: tuple[str, ...]) -> None:
    found = ALL[path]

    text = found.get_help(click.Context(found, info_name=" ".join(path)))

    examples = text.partition("Examples:")[2]
    assert " ".join(("gristmill", *path)) in examples.replace("--data /srv/gristmill ", "")
    assert all(option in text for option in ("--json", "--data", "--config", "--help"))


@pytest.mark.parametrize("name", VERBS)
def test_verb_says_of_itself_what_the_table_says_of_it(name: str) -> None:
    own = (ALL[name,].help or "").split("\n", 1)[0]

    assert own.startswith(VERBS[name].summary.rstrip("."))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nonsense"]], ids=str)
def test_program_imports_nothing_heavy_when_no_command_runs(arguments: list[str]) -> None:
    heavy = ("pydantic", "sqlalchemy", "rich", "numpy", "fastapi", "psutil", "structlog", "gristmill.settings")
    script = (
        "import sys\n"
        "from gristmill.cli.main import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or None)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_command_modules_import_nothing_heavy_either() -> None:
    modules = [f"gristmill.cli.{path.stem}" for path in sorted((SOURCE / "gristmill" / "cli").glob("*.py"))]
    heavy = ("pydantic", "sqlalchemy", "rich", "numpy", "fastapi", "psutil", "structlog", "gristmill.app")
    script = (
        "import importlib, sys\n"
        f"for name in {modules}: importlib.import_module(name)\n"
        f"sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or None)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_version_is_told(terminal: Terminal) -> None:
    assert terminal.run("--version").out.startswith("gristmill ")
