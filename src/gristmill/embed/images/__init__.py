"""Images to vectors: one port, several models, none loaded before its first image."""

__all__: list[str] = []
