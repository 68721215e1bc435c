"""What stands in deploy/, read as those who run it read it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from gristmill.cli.main import main

__all__ = ["DEPLOY", "ROOT", "Missing", "command_of", "compose", "filled", "instructions", "seconds", "variables"]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

_PART = re.compile(r"\$\$|\$\{(\w+)(?::([-?])((?:[^{}]|\{[^{}]*\})*))?\}")
_FRAGMENT = re.compile(r"(\d+)(ms|s|m|h|)")
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Missing(Exception):
    """A variable that has to be set is not."""


def compose() -> dict[str, Any]:
    """The Compose file, its variables not filled in."""
    tree: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return tree


def variables() -> dict[str, str]:
    """What .env.example sets."""
    lines = (DEPLOY / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def filled(value: Any, given: Mapping[str, str]) -> Any:
    """``value`` with its variables filled in, as Compose does; :class:`Missing` for one that must be there."""
    if isinstance(value, dict):
        return {key: filled(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, given) for item in value]
    return _PART.sub(lambda part: _one(part, given), value) if isinstance(value, str) else value


def _one(part: re.Match[str], given: Mapping[str, str]) -> str:
    if part[0] == "$$":
        return "$"
    name, rule, rest = part.groups()
    if given.get(name):
        return given[name]
    if rule == "?":
        raise Missing(name)
    return str(filled(rest or "", given))


def seconds(text: object) -> float:
    """The seconds of a duration as Compose or systemd writes it."""
    found = _FRAGMENT.fullmatch(str(text))
    assert found is not None, text
    return int(found[1]) * _SECONDS[found[2]]


def instructions(name: str = "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: keyword and what follows it, on one line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / name).read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word.upper(), " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines) if word]


def command_of(arguments: str | list[str]) -> click.Context:
    """The command of ours that ``arguments`` call, parsed and not run; fails if there is none or it refuses them."""
    words = shlex.split(arguments) if isinstance(arguments, str) else [str(word) for word in arguments]
    context = main.make_context("gristmill", list(words), resilient_parsing=False)
    assert isinstance(main, click.Group)
    name, command, rest = main.resolve_command(context, words)
    assert command is not None
    return command.make_context(name, rest, parent=context)
