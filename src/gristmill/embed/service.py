"""A service that speaks OpenAI's ``/embeddings``: hosted ones, vLLM, Ollama, llama.cpp, TEI, Jina.

Knows HTTP and nothing of retries: it says whether trying again may help, and the task runner decides.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Lock
from typing import Any

import httpx

from gristmill.embed.ports import Vectors
from gristmill.embed.prepare import unit
from gristmill.errors import InvalidInput, StepFailed, Unavailable

__all__ = ["EmbeddingService"]

_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_MAX_DETAIL = 300


class EmbeddingService:
    """One model of one service; may be called from several threads.

    :class:`InvalidInput` with the setting ``field`` if ``base_url`` is no address.
    """

    def __init__(
        self, base_url: str, field: str, *, model: str, api_key: str | None, dimension: int | None, timeout: float
    ) -> None:
        try:
            url = httpx.URL(base_url.rstrip("/") + "/embeddings")
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in {"http", "https"} or not url.host:
            raise InvalidInput("embedder_url_invalid", field=field)
        self.model = model
        """What the service is asked for."""
        self._url = url
        self._api_key = api_key
        self._dimension = dimension
        self._lock = Lock()
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=timeout, headers=headers)

    def dimension(self, probe: Any) -> int:
        """Length of every vector; unless it is known, the service is asked for the vector of ``probe``."""
        if self._dimension is None:
            self.embed([probe])
        if self._dimension is None:  # pragma: no cover - a call either sets it or raises
            raise StepFailed("embedding_answer_unreadable", host=self._url.host)
        return self._dimension

    def embed(self, inputs: Sequence[Any]) -> Vectors:
        """One unit row for each of ``inputs``, in one call."""
        body = {"model": self.model, "input": inputs, "encoding_format": "float"}
        try:
            response = self._client.post(self._url, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(
                "embedding_service_unreachable", host=self._url.host, reason=type(error).__name__
            ) from error
        self._refuse_failure(response)
        return self._vectors(response, len(inputs))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _refuse_failure(self, response: httpx.Response) -> None:
        status = response.status_code
        if response.is_success:
            return
        if status in _TRY_AGAIN or response.is_server_error:
            facts: dict[str, object] = {"host": self._url.host, "status": status}
            if (seconds := _retry_after(response.headers.get("Retry-After"))) is not None:
                facts["retry_after_seconds"] = seconds
            raise Unavailable("embedding_service_busy", **facts)
        raise StepFailed("embedding_service_refused", host=self._url.host, status=status, detail=self._detail(response))

    def _detail(self, response: httpx.Response) -> str:
        """What the service says, without the key that some services repeat."""
        try:
            answer = response.json()
            error = answer["error"]
            detail = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError):
            detail = response.reason_phrase
        if self._api_key:
            detail = detail.replace(self._api_key, "***")
        return detail[:_MAX_DETAIL]

    def _vectors(self, response: httpx.Response, count: int) -> Vectors:
        try:
            rows = _rows(response.json(), count)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise StepFailed("embedding_answer_unreadable", host=self._url.host) from error
        with self._lock:
            if self._dimension is None:
                self._dimension = rows.shape[1]
        if rows.shape[1] != self._dimension:
            raise StepFailed(
                "embedding_dimension_differs", model=self.model, expected=self._dimension, got=rows.shape[1]
            )
        return unit(rows, self.model)


def _rows(answer: Any, count: int) -> Vectors:
    """The vectors in the order of the request; raises for anything but ``count`` of equal length."""
    import numpy as np

    by_index = {int(item.get("index", place)): item["embedding"] for place, item in enumerate(answer["data"])}
    rows = np.array([by_index[index] for index in range(count)], dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0 or len(answer["data"]) != count:
        raise ValueError(rows.shape)
    return rows


def _retry_after(value: str | None) -> float | None:
    """Seconds from either form of the header; None if it is missing or unreadable."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
