"""Where rows live: two databases behind one contract. The only package that writes SQL."""

__all__: list[str] = []
