"""Starts Python programs that see the code under test, installed or not."""

import os
from pathlib import Path

import gristmill

__all__ = ["python_environment"]


def python_environment(**extra: str) -> dict[str, str]:
    """The environment of this process, without its Gristmill settings, and with the code under test on the path."""
    source, root = Path(gristmill.__file__).parents[1], Path(__file__).parents[2]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    return {**own, "PYTHONPATH": f"{source}{os.pathsep}{root}", **extra}
