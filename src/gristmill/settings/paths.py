"""Where things are kept inside the data directory."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DataPaths"]


@dataclass(frozen=True, slots=True)
class DataPaths:
    """The places under one data directory; nothing is created by naming them."""

    data: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "gristmill.db"

    @property
    def secret_key(self) -> Path:
        """Keys for secrets at rest, one a line, the newest first."""
        return self.data / "secret.key"

    @property
    def blobs(self) -> Path:
        """Uploaded files, by content."""
        return self.data / "blobs"

    @property
    def thumbnails(self) -> Path:
        """Small copies of images, by the content of these."""
        return self.data / "thumbnails"

    @property
    def progress(self) -> Path:
        """Progress files of image datasets, where no other place is set."""
        return self.data / "progress"

    @property
    def cache(self) -> Path:
        """What may be deleted at any time and is made again."""
        return self.data / "cache"

    @property
    def temp(self) -> Path:
        """One directory per running attempt."""
        return self.data / "tmp"

    @property
    def run(self) -> Path:
        """Pid files, locks and bells of live processes."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        """Log files of background processes."""
        return self.data / "logs"
