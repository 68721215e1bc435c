"""An API that accepts the test kinds beside those of the product: ``python -m tests.support.server``."""

import sys

import pytest

from gristmill.api import server
from gristmill.api.__main__ import main as serve
from tests.support.handlers import open_with_test_kinds

__all__ = ["main"]


def main() -> int:
    """Serve until told to stop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "open_gristmill", open_with_test_kinds)
        return serve()


if __name__ == "__main__":
    sys.exit(main())
