"""Measures Gristmill on this machine, each figure beside a peer or a physical limit measured in the same run."""

__all__: list[str] = []
