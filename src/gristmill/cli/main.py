"""The entry point: parses, runs one command, and turns how it ended into an exit code.

0 done, 1 the work failed, 2 wrong use, 3 a service is unreachable. Deliberate errors are one line, never a traceback.
"""

import json
import os
import sys
from typing import Any

import click

from gristmill import __version__
from gristmill.cli.command import VerbGroup, common_options
from gristmill.cli.invocation import Invocation
from gristmill.cli.verbs import VERBS
from gristmill.errors import GristmillError, InvalidInput, Unavailable

__all__ = ["main"]

_EXAMPLES = """\b
Examples:
  gristmill index ~/papers
  gristmill search "how are lost tasks found again"
  gristmill up"""


class _Program(VerbGroup):
    """The whole command line: calling it runs it and ends this process."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Run with the arguments of this process, unless others are given, and exit as it went."""
        sys.exit(_run(self, *args, **options))


@click.group(cls=_Program, verbs=VERBS, epilog=_EXAMPLES, no_args_is_help=True)
@click.version_option(__version__, prog_name="gristmill", message="%(prog)s %(version)s")
@common_options
def main() -> None:
    """Index documents in the background, and search them."""


def _run(program: click.Command, args: list[str] | None = None, **options: Any) -> int:
    invocation = Invocation()
    color = False if os.environ.get("NO_COLOR") else None
    try:
        code = program.main(
            args=args, prog_name="gristmill", standalone_mode=False, obj=invocation, color=color, **options
        )
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        # What is wrong may have been found before the option was.
        invocation.json = invocation.json or "--json" in (sys.argv if args is None else args)
        _report(invocation, {"type": "UsageError", "code": "usage", "message": error.format_message()})
        return error.exit_code
    except GristmillError as error:
        message = error.message(invocation.language)
        click.echo(f"{click.style('error:', fg='red')} {message}", err=True, color=color)
        _report(invocation, {"type": type(error).__name__, "code": error.code, "message": message})
        return _code_for(error)
    except (click.Abort, KeyboardInterrupt):
        click.echo(err=True)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the flush at exit must not complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


def _report(invocation: Invocation, error: dict[str, str]) -> None:
    if invocation.json:
        click.echo(json.dumps({"success": False, "error": error}, ensure_ascii=False))


def _code_for(error: GristmillError) -> int:
    match error:
        case InvalidInput():
            return 2
        case Unavailable():
            return 3
        case _:
            return 1


if __name__ == "__main__":
    main()
