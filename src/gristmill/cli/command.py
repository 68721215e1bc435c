"""What all commands share: the common options, before or after the verb, and help with an example."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from gristmill.cli.invocation import Invocation
from gristmill.cli.verbs import Verb

__all__ = ["ROW_ID", "VerbGroup", "command", "common_options", "family"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)

ROW_ID = click.IntRange(1, 2**63 - 1)
"""What a document, a version or a snapshot may be numbered."""


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    invocation = context.ensure_object(Invocation)
    if value and parameter.name:
        setattr(invocation, parameter.name, value)
    return value


def common_options(function: F) -> F:
    """Adds ``--data``, ``--config`` and ``--json``; what comes last wins."""
    for option in (
        click.option("--json", is_flag=True, expose_value=False, callback=_remember, help="Answer in JSON."),
        click.option(
            "--config",
            metavar="FILE",
            type=_PATH,
            expose_value=False,
            callback=_remember,
            help="Settings file to read.",
        ),
        click.option(
            "--data",
            metavar="DIR",
            type=_PATH,
            expose_value=False,
            callback=_remember,
            help="Directory for everything Gristmill keeps  [default: gristmill-data].",
        ),
    ):
        function = option(function)
    return function


class _TextCommand(click.Command):
    """Takes no bytes that are not text, but for names of files, which may be any."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            given = ctx.params.get(parameter.name or "")
            if "PATH" in (parameter.metavar or ""):
                continue
            for value in given if isinstance(given, tuple) else (given,):
                if isinstance(value, str) and not _is_text(value):
                    raise click.BadParameter(f"{value!a} is not UTF-8.", ctx=ctx, param=parameter)
        return rest


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def command(
    *, examples: str, name: str | None = None, parent: click.Group | None = None
) -> Callable[[Callable[Concatenate[Invocation, P], R]], click.Command]:
    """A command with the common options, whose help ends in ``examples``, one a line.

    The function is called with the :class:`Invocation` first.
    """

    def decorate(function: Callable[Concatenate[Invocation, P], R]) -> click.Command:
        made = click.command(name=name, cls=_TextCommand, epilog=_epilog(examples))(
            common_options(click.make_pass_decorator(Invocation, ensure=True)(function))
        )
        if parent is not None:
            parent.add_command(made)
        return made

    return decorate


def family(name: str, *, examples: str, summary: str) -> click.Group:
    """A group of commands, such as ``tasks list`` and ``tasks show``."""

    @click.group(name=name, help=summary, epilog=_epilog(examples), no_args_is_help=True)
    @common_options
    def group() -> None:
        pass

    return group


def _epilog(examples: str) -> str:
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return f"\b\nExamples:\n{lines}"


class VerbGroup(click.Group):
    """Knows its commands by a table and imports the one that is called."""

    def __init__(self, verbs: Mapping[str, Verb], **options: Any) -> None:
        super().__init__(**options)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        del ctx
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        if cmd_name not in self._verbs:
            return None
        found = getattr(import_module(f"gristmill.cli.{self._verbs[cmd_name].module}"), cmd_name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest verb in the refusal."""
        near = get_close_matches(args[0], self._verbs, n=1) if args and args[0] not in self._verbs else []
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in self._verbs.items()])
