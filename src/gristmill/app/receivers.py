"""What may be posted to, and what the log of deliveries says of a post that did not arrive."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from gristmill.errors import Forbidden, GristmillError, InvalidInput
from gristmill.steps.addresses import is_exempt, is_public
from gristmill.tasks.model import TaskError

__all__ = ["check_receiver", "is_hopeless", "reason_of"]

_GONE = 410

_CODES: Mapping[str, str] = {
    "address_not_public": "receiver_not_public",
    "source_too_slow": "receiver_too_slow",
    "webhook_refused": "receiver_refused",
    "webhook_unreachable": "receiver_unreachable",
}
"""What a post can fail by, in words that fit the log."""


def check_receiver(url: str, *, allowed_hosts: Sequence[str]) -> None:
    """Refuse a URL that could never be posted to; where a name leads is looked at with every post.

    :class:`InvalidInput` (``webhook_url_invalid``) for one that is none, or that carries a user or password;
    :class:`Forbidden` (``receiver_not_public``) for an address that is not public and not among ``allowed_hosts``.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput("webhook_url_invalid", field="url") from error
    is_plain = url.isprintable() and " " not in url and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not host or port == 0 or not is_plain:
        raise InvalidInput("webhook_url_invalid", field="url")
    reached = port or (443 if parts.scheme == "https" else 80)
    if _is_address(host) and not is_public(host) and not is_exempt(host, reached, allowed_hosts):
        raise Forbidden("receiver_not_public", host=host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_hopeless(failure: GristmillError) -> bool:
    """Whether trying again cannot help: what is not allowed now will not be allowed later either."""
    return isinstance(failure, Forbidden) or failure.code == "webhook_url_invalid" or _is_gone(failure)


def reason_of(failure: GristmillError) -> TaskError:
    """``failure`` as the log keeps it; ``receiver_gone`` where the receiver asks never to be posted to again."""
    code = "receiver_gone" if _is_gone(failure) else _CODES.get(failure.code, failure.code)
    return TaskError(code=code, facts=dict(failure.facts), type=type(failure).__name__)


def _is_gone(failure: GristmillError) -> bool:
    return failure.code == "webhook_refused" and failure.facts.get("status") == _GONE
