"""What has to be so before a process is started: a place to keep things, and no listener open to strangers."""

from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.cli.instance import is_loopback
from gristmill.cli.invocation import Invocation
from gristmill.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["check_open_to_network", "make_data_directory"]


def check_open_to_network(invocation: Invocation, settings: "Settings") -> None:
    """:class:`InvalidInput` (``host_needs_key``) if the API would be open to anybody on the network."""
    if is_loopback(settings.api.host):
        return
    with invocation.app(settings) as app:
        if not app.keys.valid():
            raise InvalidInput("host_needs_key", field="api.host", value=settings.api.host)


def make_data_directory(data: Path) -> None:
    """Make sure that ``data`` is there; :class:`Unavailable` (``data_unusable``) if it cannot be."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable("data_unusable", data=str(data), reason=error.strerror or str(error)) from error
