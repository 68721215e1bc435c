"""Asks the service over HTTP: again where that is safe and may help, and errors come back as those that were raised."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from gristmill.errors import (
    Conflict,
    Forbidden,
    GristmillError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Unauthorized,
    Unavailable,
)
from gristmill.ids import new_id

__all__ = ["Connection"]

_SAFE = frozenset({"GET", "PUT", "DELETE"})
_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_CLASSES: Mapping[int, type[GristmillError]] = {
    400: InvalidInput,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: LimitExceeded,
    415: InvalidInput,
    421: Forbidden,
    422: InvalidInput,
    503: Unavailable,
    507: LimitExceeded,
}
_NOT_FACTS = frozenset({"type", "title", "status", "detail", "code", "success", "message"})


class Connection:
    """A service that can be asked; safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None,
        timeout_seconds: float,
        retries: int,
        language: str,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Accept-Language": language}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self.url = url.rstrip("/")
        self.headers = headers
        self._retries = retries
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout_seconds, transport=transport, follow_redirects=False
        )

    def ask(self, method: str, path: str, *, submits: bool = False, **options: Any) -> Any:
        """The ``data`` of an answer below ``/api``.

        Asked again if nobody answers, or the service says that it cannot at the moment: where asking twice is the same
        as asking once. What ``submits`` is made so by an Idempotency-Key. Raises what the service refused with.
        """
        if submits:
            options["headers"] = {"Idempotency-Key": new_id(), **options.get("headers", {})}
        tries = self._retries if submits or method in _SAFE else 0
        for number in range(tries + 1):
            try:
                answer = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if number == tries:
                    raise Unavailable("service_unreachable", url=self.url, reason=type(error).__name__) from error
                self._pause(number, None)
                continue
            if answer.status_code not in _AGAIN or number == tries:
                return self._data(answer)
            self._pause(number, answer.headers.get("retry-after"))
        raise AssertionError("the last try returns or raises")

    def _pause(self, number: int, asked: str | None) -> None:
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**number)
        named = float(asked) if asked is not None and asked.isdecimal() else 0.0
        self._sleep(max(min(named, _LONGEST_PAUSE_SECONDS), random.uniform(longest / 2, longest)))  # noqa: S311 - jitter

    @staticmethod
    def _data(answer: httpx.Response) -> Any:
        if answer.is_success:
            return answer.json().get("data")
        raise _error(answer)

    def bytes_of(self, path: str) -> bytes:
        """An answer that is no JSON, whole."""
        with self.stream(path) as answer:
            return answer.read()

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[httpx.Response]:
        """An answer that is read as it comes."""
        timeout = httpx.Timeout(self._http.timeout.connect, read=60.0)
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise _error(answer)
            yield answer

    def close(self) -> None:
        """Close what is open."""
        self._http.close()


def _error(answer: httpx.Response) -> GristmillError:
    try:
        problem = answer.json()
        code = str(problem["code"])
    except (ValueError, KeyError, TypeError):
        return Unavailable("service_answer_unreadable", status=answer.status_code)
    facts = {name: value for name, value in problem.items() if name not in _NOT_FACTS}
    return _CLASSES.get(answer.status_code, GristmillError)(code, **facts)
