"""The command line. Nothing heavier than click is imported before a command runs, so that help comes at once."""

__all__: list[str] = []
