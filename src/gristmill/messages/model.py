"""What one message of the catalogue is."""

from dataclasses import dataclass

__all__ = ["Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message in both languages, with the same ``{placeholders}``: the fact, then the remedy."""

    en: str
    zh: str
