"""Celery's Redis transport, except that it survives what is no message, and a server that vanishes with messages in hand.

What is no message is handed to whoever parks it. Left to itself, a worker ends at the first such entry of a queue, and
the entry is gone; and it ends when it loses the connection between taking a message and acknowledging it.
"""

from collections.abc import Callable
from typing import Any

from kombu import Connection
from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

__all__ = ["TolerantTransport", "tolerate"]

_UNREADABLE = "gristmill_unreadable"


def tolerate(connection: Connection, unreadable: Callable[[str, bytes], None]) -> None:
    """Have ``unreadable`` called with queue and content of each entry that is no message of Celery's."""
    connection.transport_cls = f"{__name__}:{TolerantTransport.__name__}"
    setattr(connection, _UNREADABLE, unreadable)


class _QoS(redis.QoS):  # type: ignore[misc]  # Published without types.
    def restore_unacked(self, client: Any = None) -> Any:
        """Put back what was not worked off; of a connection that is gone there is no way back."""
        if self.channel.connection.client is None:
            # Kombu would look for the server's address there, and Celery end the worker. The rows are found without.
            self._delivered.clear()
            return None
        return super().restore_unacked(client)


class _Channel(redis.Channel):  # type: ignore[misc]  # As above.
    QoS = _QoS

    def _get_client(self) -> Any:
        channel, client = self, super()._get_client()

        class Client(client):  # type: ignore[misc, valid-type]  # As above.
            def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
                answer = super().parse_response(connection, command_name, **options)
                if command_name != "BRPOP" or not answer or channel.is_message(answer[1]):
                    return answer
                getattr(channel.connection.client, _UNREADABLE)(bytes_to_str(answer[0]), answer[1])
                # As if nothing had come.
                return None

        return Client

    def is_message(self, content: bytes) -> bool:
        """Whether Celery will be able to take this for a message."""
        try:
            delivery: dict[str, Any] = self.Message(loads(bytes_to_str(content)), channel=self).delivery_info
            return {"exchange", "routing_key"} <= delivery.keys()
        except Exception:  # noqa: BLE001 - anybody may have put anything there
            return False


class TolerantTransport(redis.Transport):  # type: ignore[misc]  # As above.
    """For connections that :func:`tolerate` was called with."""

    Channel = _Channel
