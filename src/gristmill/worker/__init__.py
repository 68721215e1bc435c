"""The execute side: processes that claim tasks and run their handlers."""

__all__: list[str] = []
