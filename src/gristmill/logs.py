"""Logs: events named by dotted past participles, with key-values, as JSON or for a terminal.

A log line is a record of the standard library, so that the lines of libraries come out in the same form; structlog
renders it, and is imported with the first line written (it costs a tenth of a second). Secrets are masked here, once.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TextIO

__all__ = ["Log", "configure_logs", "get_log", "log_context"]

_ROOT = "gristmill"
_FACTS = "gristmill_facts"
_MASK = "***"
_SECRET_KEY = re.compile(
    r"(^|_)(password|passwd|secret|token|api_?key|authorization|cookie|credentials?)$", re.IGNORECASE
)
_URL_SECRET = re.compile(r"(?<=://)([^\s:/@]*):[^\s@/]+(?=@)")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}")

_context: ContextVar[Mapping[str, object]] = ContextVar("gristmill_log_context", default=MappingProxyType({}))


class Log:
    """Writes the events of one part of the program."""

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, /, **facts: object) -> None:
        """Something only a developer wants to see."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, /, **facts: object) -> None:
        """Something that is meant to happen."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, /, **facts: object) -> None:
        """Something that went wrong and was dealt with."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, /, **facts: object) -> None:
        """Something that a person should look at."""
        self._write(logging.ERROR, event, facts)

    def exception(self, event: str, /, **facts: object) -> None:
        """An error with the traceback of the exception being handled."""
        self._write(logging.ERROR, event, facts, exc_info=True)

    def _write(self, level: int, event: str, facts: Mapping[str, object], *, exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            extra = {_FACTS: {**_context.get(), **facts}}
            self._logger.log(level, "%s", event, exc_info=exc_info, extra=extra, stacklevel=3)


def get_log(name: str) -> Log:
    """The log of the part called ``name``, normally a module's ``__name__``."""
    return Log(logging.getLogger(name))


@contextmanager
def log_context(**facts: object) -> Iterator[None]:
    """Adds ``facts``, such as ``task_id``, to every line written inside the block."""
    token = _context.set({**_context.get(), **facts})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logs(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 - the setting has this name
    *,
    stream: TextIO | None = None,
    file: Path | None = None,
) -> None:
    """Send all logs of this process to ``file``, else to ``stream``, else to standard error.

    May be called again: what was configured before is closed and replaced. A file that is moved away (by logrotate)
    is opened anew. Lines of libraries appear from ``warning`` on, or from ``level`` if that is more severe.
    """
    handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler(stream or sys.stderr)
    terminal = file is None and getattr(handler, "stream", sys.stderr).isatty()
    handler.setFormatter(_Formatter(console=format == "console" or (format == "auto" and terminal), colors=terminal))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, _Formatter)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    logging.getLogger(_ROOT).setLevel(level.upper())


class _Formatter(logging.Formatter):
    def __init__(self, *, console: bool, colors: bool) -> None:
        super().__init__()
        self._console = console
        self._colors = colors
        self._renderer: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._renderer is None:
            self._renderer = _renderer(console=self._console, colors=self._colors)
        return self._renderer.format(record)


def _renderer(*, console: bool, colors: bool) -> logging.Formatter:
    import structlog

    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_facts,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _masked,
            *last,
        ],
    )


def _with_facts(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    facts: Mapping[str, object] = getattr(line["_record"], _FACTS, {})
    for name, value in facts.items():
        line[f"{name}_" if name in line else name] = value
    return line


def _masked(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _mask(key, value) for key, value in line.items()}


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _mask(key: str, value: object) -> object:
    if _is_secret(key):
        return _MASK
    if isinstance(value, str):
        if "://" in value:
            value = _URL_SECRET.sub(rf"\1:{_MASK}", value)
        # It takes two words; most values are one, and every value of every line passes here.
        return _BEARER.sub(rf"\1 {_MASK}", value) if len(value.split(maxsplit=1)) > 1 else value
    if isinstance(value, Mapping):
        return {inner: _mask(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _mask("", str(value))
