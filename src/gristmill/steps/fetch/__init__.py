"""Sources to bytes: whatever comes from outside becomes a regular local file with a known hash.

Runs in a worker process. Knows nothing of documents or tasks; what may be fetched is decided by ``paths`` and
``addresses``.
"""

from gristmill.steps.fetch.files import fetch_file
from gristmill.steps.fetch.urls import fetch_url

__all__ = ["fetch_file", "fetch_url"]
