"""Image datasets from Python: ``mill.images``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gristmill.client.connection import Connection
from gristmill.client.values import Build, DuplicateGroup, ImageHit, Task, read

__all__ = ["ImageCalls"]


class ImageCalls:
    """What one may ask of images; raises what the methods of :class:`gristmill.Client` do."""

    def __init__(self, connection: Connection, wait: Callable[..., Task]) -> None:
        self._connection = connection
        self._wait = wait

    def build(
        self,
        *datasets: str,
        distributed: bool = True,
        force: bool = False,
        priority: int = 5,
        wait: bool = True,
        on_progress: Callable[[Build], None] | None = None,
    ) -> Build:
        """Bring datasets, folders by name, up to date; ``on_progress`` is called with the build as it goes."""
        body = {"dataset_names": list(datasets), "distributed": distributed, "force": force, "priority": priority}
        queued = self._connection.ask("POST", "/api/build_index", json=body, submits=True)
        task_id = queued["task_id"]
        if wait:
            told = None if on_progress is None else lambda _: on_progress(self.followed(task_id))
            self._wait(task_id, on_progress=told)
        return self.followed(task_id)

    def followed(self, task_id: str) -> Build:
        """How far a build is."""
        return read(Build, self._connection.ask("GET", f"/api/build_index/{task_id}"))

    def search(
        self,
        image: str | Path | bytes | None = None,
        *,
        image_id: int | None = None,
        collections: Sequence[str] = (),
        region: tuple[int, int, int, int] | None = None,
        limit: int = 10,
        offset: int = 0,
        min_score: float = 0.0,
        **filters: Any,
    ) -> list[ImageHit]:
        """Images like one in a file or in bytes, or like the indexed one of that id, the most alike first.

        ``region`` is a part of it: x, y, width and height in pixels; ``filters`` are ``name``, ``media_type`` and
        ``text``.
        """
        asked: dict[str, Any] = {"limit": limit, "offset": offset, "min_score": min_score, **filters}
        if collections:
            asked["collections"] = list(collections)
        if region is not None:
            asked["region"] = ",".join(map(str, region))
        path = "/api/images/search"
        if image is None:
            found = self._connection.ask("POST", path, json={**asked, "image_id": image_id})
        else:
            data = image if isinstance(image, bytes) else Path(image).expanduser().read_bytes()
            name = "image" if isinstance(image, bytes) else Path(image).name
            fields = {field: _text(value) for field, value in asked.items()}
            found = self._connection.ask("POST", path, files={"file": (name, data)}, data=fields)
        return [read(ImageHit, hit) for hit in found["hits"]]

    def duplicates(self, collection: str, **options: Any) -> list[DuplicateGroup]:
        """Groups of copies, the largest first; ``options`` are those of ``GET /api/images/duplicates``."""
        groups: list[DuplicateGroup] = []
        offset: int | None = 0
        while offset is not None:
            asked = {"collection": collection, "offset": offset, **options}
            page = self._connection.ask("GET", "/api/images/duplicates", params=asked)
            groups += [read(DuplicateGroup, group) for group in page["groups"]]
            offset = page["next_offset"]
        return groups

    def thumbnail(self, image_id: int) -> bytes:
        """The thumbnail of an image, a JPEG."""
        return self._connection.bytes_of(f"/api/images/{image_id}/thumbnail")


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list | tuple) else str(value)
