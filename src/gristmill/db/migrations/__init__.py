"""The schema's history: one numbered SQL file per change and database."""

__all__: list[str] = []
