"""Plain functions from material to material: they know documents, not tasks and not SQL."""

__all__: list[str] = []
