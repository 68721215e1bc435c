"""``gristmill backup``: the database and the uploads, as of one moment, in one archive.

The database is copied first: every upload it names was stored before, and uploads never change.
"""

import os
import tarfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gristmill.cli.command import command
from gristmill.cli.invocation import Invocation
from gristmill.errors import Conflict, GristmillError, InvalidInput

if TYPE_CHECKING:
    from gristmill.app import Gristmill

__all__ = ["backup"]


@command(
    examples="""
    gristmill backup ~/gristmill-2026-11-22.tar
    gristmill backup ~/gristmill.tar.gz --force
    mkdir restored && tar -xf ~/gristmill-2026-11-22.tar -C restored && gristmill --data restored doctor
    """
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(invocation: Invocation, file: Path, *, force: bool) -> None:
    """Write everything into one file while it is in use.

    FILE becomes a tar archive (compressed if its name ends in .gz) of the database and all uploads, as of one moment.
    Files that were indexed where they lie are not in it. To restore, unpack it into an empty directory and use that
    as the data directory; it holds no settings, and no secrets but the hashes of API keys.
    """
    target = file.expanduser().absolute()
    if target.exists() and not force:
        raise Conflict("backup_exists", file=str(target))
    if not target.parent.is_dir():
        raise InvalidInput("backup_folder_missing", field="FILE", folder=str(target.parent))
    with invocation.app() as app:
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        copy = app.paths.temp / f"backup-{os.getpid()}.db"
        try:
            _copy_database(app, copy)
            count = _pack(app, copy, part, compressed=target.suffix == ".gz")
            part.replace(target)
        except OSError as error:
            raise GristmillError("backup_failed", file=str(target), reason=error.strerror or str(error)) from error
        finally:
            part.unlink(missing_ok=True)
            copy.unlink(missing_ok=True)
    size = target.stat().st_size
    invocation.say("cli_backed_up", file=str(target), megabytes=f"{size / 1_000_000:.1f}", uploads=count)
    invocation.answer({"file": str(target), "size": size, "uploads": count})


def _copy_database(app: "Gristmill", copy: Path) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    if app.database.dialect != "sqlite":
        _copy_to_sqlite(app, copy)
        return
    from gristmill.db.sqlite import sqlite_module

    sqlite = sqlite_module()
    with closing(sqlite.connect(app.database.path)) as source, closing(sqlite.connect(copy)) as target:
        source.backup(target)
        # A copy that carries its write-ahead log in the header would want a second file beside it.
        target.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise GristmillError("backup_damaged", reason=str(verdict))


def _copy_to_sqlite(app: "Gristmill", copy: Path) -> None:
    """Whatever the server is, the archive is a data directory that works without one."""
    from gristmill.db.database import Database
    from gristmill.db.moving import copy_rows

    target = Database(f"sqlite:///{copy}")
    try:
        copy_rows(app.database, target)
    finally:
        target.close()


def _pack(app: "Gristmill", database: Path, part: Path, *, compressed: bool) -> int:
    count = 0
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz" if compressed else "w") as archive:
            archive.add(database, arcname=app.paths.database.name)
            for kept in (*_uploads(app), *sorted(app.paths.thumbnails.glob("[0-9a-f]/*.jpg"))):
                try:
                    archive.add(kept, arcname=str(kept.relative_to(app.paths.data)))
                except FileNotFoundError:
                    continue  # Cleaned up since: nothing referred to it any more.
                count += kept.is_relative_to(app.paths.blobs)
        file.flush()
        os.fsync(file.fileno())
    return count


def _uploads(app: "Gristmill") -> list[Path]:
    return sorted(app.paths.blobs.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"))
