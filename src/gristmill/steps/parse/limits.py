"""How far parsing one document may go.

Whoever runs the step fills this from the settings; the readers only obey it.
"""

from dataclasses import dataclass

__all__ = ["ParseLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Bounds on the text, on unpacking archives and on the time one extraction may take."""

    max_text_chars: int = 20_000_000
    max_structured_bytes: int = 25_000_000
    """Largest document of the formats whose readers take many times its size in memory."""
    max_member_bytes: int = 200_000_000
    """Bytes one member of an archive may unpack to."""
    max_archive_members: int = 2_000
    max_archive_bytes: int = 500_000_000
    """Bytes all members of one archive may unpack to, together."""
    max_member_ratio: int = 500
    """How many times its packed size a member may unpack to; small members are exempt."""
    timeout_seconds: float = 120.0
    """Time for one extraction of a binary document."""
