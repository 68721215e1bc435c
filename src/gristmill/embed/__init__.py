"""Text to vectors: one port, several models, none loaded before its first text."""

__all__: list[str] = []
