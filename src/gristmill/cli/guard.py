"""The rule that a listener which others can reach needs an API key, for every verb that starts one."""

from typing import TYPE_CHECKING

from gristmill.cli.instance import is_loopback
from gristmill.cli.invocation import Invocation
from gristmill.errors import InvalidInput

if TYPE_CHECKING:
    from gristmill.settings import Settings

__all__ = ["check_open_to_network"]


def check_open_to_network(invocation: Invocation, settings: "Settings") -> None:
    """:class:`InvalidInput` (``host_needs_key``) if the API would be open to anybody on the network."""
    if is_loopback(settings.api.host):
        return
    with invocation.app(settings) as app:
        if not app.keys.any_valid():
            raise InvalidInput("host_needs_key", field="api.host", value=settings.api.host)
