"""Documents from the web.

Only http and https, only to hosts that are public or allowed by name, checked again at every redirect; the proxy
and credential settings of the environment are not read.
"""

import re
import ssl
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import h11
import httpcore
import httpx

from gristmill.errors import GristmillError, InvalidInput, LimitExceeded, StepFailed, Unavailable
from gristmill.steps.fetch.landing import land
from gristmill.steps.fetch.naming import name_of
from gristmill.steps.fetch.network import Deadline, GuardedNetwork, Resolve, resolve
from gristmill.steps.model import Fetched

__all__ = ["fetch_url"]

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOO_MANY_REQUESTS = 429
_REQUEST_TIMEOUT = 408
_LONGEST_URL = 4_096
_STEP = 1 << 18
_WINDOW_GZIP = zlib.MAX_WBITS | 32
_HOST = re.compile(rb"[A-Za-z0-9_.:-]+")
_PORTS = 65_536
_HEADERS = (
    (b"User-Agent", b"gristmill"),
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"gzip, deflate"),
)


def fetch_url(
    url: str,
    *,
    into: Path,
    max_bytes: int,
    timeout_seconds: float,
    allow_private: bool = False,
    allowed_hosts: Sequence[str] = (),
    ask: Resolve = resolve,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """The document at ``url``, after at most five redirects, complete within ``timeout_seconds``.

    Raises ``InvalidInput`` for a URL that cannot be one, ``Forbidden`` for a host that is not public, ``Unavailable``
    when the network or the server fails for now, ``StepFailed`` when the server refuses or sends what is no answer,
    and ``LimitExceeded`` beyond ``max_bytes`` (after unpacking) or ``timeout_seconds``. ``tls`` replaces the system's
    trust.
    """
    target = _checked(url)
    deadline = Deadline(timeout_seconds, time.monotonic)
    network = GuardedNetwork(deadline, allow_private=allow_private, allowed_hosts=allowed_hosts, ask=ask)
    first: _SpoiledError | None = None
    while True:
        try:
            return _followed(target, network, deadline, into=into, max_bytes=max_bytes, tls=tls)
        except _SpoiledError as spoiled:
            # A line breaks anywhere; what ends twice at the same byte was announced wrongly, and waiting mends nothing.
            if first is None:
                first = spoiled
            elif first.received == spoiled.received:
                raise StepFailed("url_answer_incomplete", host=spoiled.host, received=spoiled.received) from spoiled
            else:
                raise Unavailable("url_unreachable", host=spoiled.host, reason="incomplete content") from spoiled


class _SpoiledError(Exception):
    """An answer whose body ended, after ``received`` bytes, before what was announced of it."""

    def __init__(self, host: str, received: int) -> None:
        super().__init__(host, received)
        self.host = host
        self.received = received


def _followed(
    target: httpx.URL,
    network: GuardedNetwork,
    deadline: Deadline,
    *,
    into: Path,
    max_bytes: int,
    tls: ssl.SSLContext | None,
) -> Fetched:
    try:
        with httpcore.ConnectionPool(ssl_context=tls, network_backend=network, max_keepalive_connections=0) as pool:
            for _ in range(_MAX_REDIRECTS + 1):
                with _asked(pool, target, deadline) as answer:
                    if answer.status in _REDIRECTS:
                        target = _redirected(target, answer)
                        continue
                    return _landed(target, answer, deadline, into=into, max_bytes=max_bytes)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise _translated(error, target, deadline) from error
    raise StepFailed("url_redirects_too_often", host=target.host, most=_MAX_REDIRECTS)


def _asked(
    pool: httpcore.ConnectionPool, target: httpx.URL, deadline: Deadline
) -> AbstractContextManager[httpcore.Response]:
    # Handed over in parts: two parsers of one URL may disagree about its host.
    url = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
    headers = [(b"Host", target.netloc), *_HEADERS]
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), deadline.left())
    return pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts})


def _checked(url: str) -> httpx.URL:
    if len(url) > _LONGEST_URL:
        raise InvalidInput("url_invalid", field="url", reason="longer than 4096 characters")
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise InvalidInput("url_invalid", field="url", reason="not a URL") from error
    if parsed.scheme not in {"http", "https"}:
        raise InvalidInput("url_scheme_unsupported", field="url", scheme=parsed.scheme or "none")
    if parsed.userinfo:
        raise InvalidInput("url_with_credentials", field="url", host=parsed.host)
    if not _HOST.fullmatch(parsed.raw_host) or not 0 < (parsed.port or 80) < _PORTS:
        raise InvalidInput("url_invalid", field="url", reason="no usable host or port")
    return parsed.copy_with(fragment=None)


def _redirected(source: httpx.URL, answer: httpcore.Response) -> httpx.URL:
    location = _header(answer, b"location")
    if not location:
        raise StepFailed("url_refused", host=source.host, status=answer.status)
    try:
        return _checked(str(source.join(location)))
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise StepFailed("url_redirects_nowhere", host=source.host) from error
    except InvalidInput as error:
        raise StepFailed("url_redirects_nowhere", host=source.host) from error


def _landed(source: httpx.URL, answer: httpcore.Response, deadline: Deadline, *, into: Path, max_bytes: int) -> Fetched:
    if answer.status >= 500 or answer.status in {_TOO_MANY_REQUESTS, _REQUEST_TIMEOUT}:
        raise Unavailable("url_server_failed", host=source.host, status=answer.status)
    if not 200 <= answer.status < 300:
        raise StepFailed("url_refused", host=source.host, status=answer.status)
    kind = _header(answer, b"content-type")
    name = name_of(
        disposition=_header(answer, b"content-disposition"),
        path=source.raw_path.decode("ascii").partition("?")[0],
        host=source.host,
        content_type=kind,
    )
    length = _header(answer, b"content-length") or ""
    if length.isdecimal() and int(length) > max_bytes:
        raise LimitExceeded("source_too_large", name=name, max_bytes=max_bytes)
    pieces = _unpacked(answer, source.host, deadline)
    return land(pieces, into=into, name=name, max_bytes=max_bytes, declared_type=kind)


def _unpacked(answer: httpcore.Response, host: str, deadline: Deadline) -> Iterator[bytes]:
    """The body, unpacked step by step, so that a few packed bytes cannot fill the memory at once."""
    coding = (_header(answer, b"content-encoding") or "identity").strip().lower()
    if coding == "identity":
        yield from _body(answer, host, deadline)
        return
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise StepFailed("url_coding_unsupported", host=host, coding=coding[:40])
    unpacker = zlib.decompressobj(_WINDOW_GZIP)
    received = 0
    try:
        for piece in _body(answer, host, deadline):
            received += len(piece)
            waiting = piece
            while waiting:
                deadline.left()
                yield unpacker.decompress(waiting, _STEP)
                waiting = unpacker.unconsumed_tail
    except zlib.error as error:
        raise _SpoiledError(host, received) from error
    if not unpacker.eof:
        raise _SpoiledError(host, received)


def _body(answer: httpcore.Response, host: str, deadline: Deadline) -> Iterator[bytes]:
    received = 0
    try:
        for piece in answer.iter_stream():
            deadline.left()
            received += len(piece)
            yield piece
    except httpcore.RemoteProtocolError as error:
        raise _SpoiledError(host, received) from error


def _header(answer: httpcore.Response, name: bytes) -> str | None:
    for key, value in answer.headers:
        if key.lower() == name:
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                # Chinese servers write file names in their own encoding.
                return value.decode("gb18030", "replace")
    return None


def _translated(error: Exception, target: httpx.URL, deadline: Deadline) -> GristmillError:
    deadline.left()
    if isinstance(error, httpcore.TimeoutException):
        return LimitExceeded("source_too_slow", seconds=deadline.seconds)
    origin = error.__cause__ or error.__context__
    if isinstance(origin, ssl.SSLCertVerificationError):
        return StepFailed("url_certificate_invalid", host=target.host)
    if isinstance(origin, h11.RemoteProtocolError):
        # A server that only hangs up is noticed by the connection; this came from the reader of HTTP.
        return StepFailed("url_answer_malformed", host=target.host)
    return Unavailable("url_unreachable", host=target.host, reason=type(error).__name__)
