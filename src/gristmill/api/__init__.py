"""The HTTP side: turns requests into calls of the services and their answers into JSON. It decides nothing itself."""

__all__: list[str] = []
