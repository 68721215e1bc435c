"""Sources to bytes: whatever comes from outside becomes a regular local file with a known hash.

Runs in a worker process. Knows nothing of documents or tasks; what may be fetched is decided by ``paths`` and
``addresses``. Import its modules one by one: only fetching from the web needs an HTTP library.
"""

__all__: list[str] = []
