"""One run of the command line: what the common options said, and how it speaks to person and machine.

Commands get it as their first argument. It opens Gristmill for them, and nothing before they ask.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gristmill.errors import Unavailable
from gristmill.messages import render

if TYPE_CHECKING:
    from gristmill.app import Gristmill
    from gristmill.settings import Settings

__all__ = ["Invocation"]


def _language_at_hand() -> str:
    return "zh" if os.environ.get("GRISTMILL_LANGUAGE", "").strip().lower() == "zh" else "en"


@dataclass(slots=True)
class Invocation:
    """The common options, collected from before and after the verb."""

    data: Path | None = None
    config: Path | None = None
    json: bool = False
    language: str = field(default_factory=_language_at_hand)
    """From the environment until the settings are read: their own mistakes have to be told as well."""

    def settings(self, overrides: Mapping[str, Any] | None = None) -> "Settings":
        """The settings in force, with the options of the command on top."""
        from gristmill.settings import load_settings

        settings = load_settings(config=self.config, data=self.data, overrides=overrides)
        self.language = settings.language
        return settings

    @contextmanager
    def app(self, settings: "Settings | None" = None) -> "Iterator[Gristmill]":
        """Gristmill on the data directory, closed at the end."""
        from gristmill.app import open_gristmill
        from gristmill.logs import configure_logs

        settings = settings or self.settings()
        configure_logs("error", settings.log.format)
        try:
            app = open_gristmill(settings)
        except OSError as error:
            raise Unavailable("data_unusable", data=str(settings.data), reason=error.strerror or str(error)) from error
        try:
            yield app
        finally:
            app.close()

    def text(self, code: str, **facts: object) -> str:
        """A line of the catalogue in the reader's language."""
        return render(code, facts, self.language)

    def say(self, code: str, /, **facts: object) -> None:
        """Tell a person; silent where a machine listens."""
        if not self.json:
            click.echo(self.text(code, **facts))

    def note(self, code: str, /, **facts: object) -> None:
        """Tell a person beside the answer, on standard error."""
        if not self.json:
            click.echo(self.text(code, **facts), err=True)

    def write(self, line: str = "") -> None:
        """A line of the answer for a person."""
        if not self.json:
            click.echo(line)

    def answer(self, document: Mapping[str, Any]) -> None:
        """The answer for a machine: one JSON document; silent where a person reads."""
        if self.json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))

    def answer_line(self, document: Mapping[str, Any]) -> None:
        """One of many answers for a machine, on a line of its own."""
        if self.json:
            click.echo(json.dumps(document, ensure_ascii=False))
            sys.stdout.flush()

    def flags(self, data: Path) -> list[str]:
        """The options another process of ours needs to see the same Gristmill."""
        config = [] if self.config is None else ["--config", str(self.config.expanduser().absolute())]
        return ["--data", str(data), *config]
