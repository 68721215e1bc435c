"""Files that other projects keep because they once broke something: out of source archives, by name, version and hash.

The archives are downloaded once, by pip, into the virtual environment. Without a network their tests are skipped at
home and fail where ``CI`` is set.
"""

import fcntl
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

__all__ = ["CLAMAV_FILES", "borrowed"]

CLAMAV_FILES = Path("/usr/share/clamav-testfiles")
"""Where Debian's package of that name puts archives and programs of every odd format."""

_LOCKS = Path(__file__).parents[2] / "requirements"
_SHELF = Path(sys.prefix) / "material"
_PINNED = re.compile(r"^(\S+)==(\S+) ", re.MULTILINE)


def borrowed(package: str, pattern: str) -> Mapping[str, bytes]:
    """The files of ``package`` whose path inside its source archive matches ``pattern``, by that path."""
    archive = _archives()[package]
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            path = member.name.partition("/")[2]
            if member.isfile() and re.search(pattern, path):
                content = packed.extractfile(member)
                assert content is not None
                found[path] = content.read()
    assert found, f"{archive.name} holds nothing like {pattern}"
    return found


@cache
def _archives() -> Mapping[str, Path]:
    """The archives by package, downloaded if this environment has them not."""
    pinned = _PINNED.findall((_LOCKS / "material.lock").read_text("utf-8"))
    archives = {name: _SHELF / f"{name.replace('-', '_')}-{version}.tar.gz" for name, version in pinned}
    with _alone():
        if not all(archive.exists() for archive in archives.values()):
            try:
                _download()
            except subprocess.CalledProcessError as error:
                reason = f"material for hostile tests cannot be downloaded: {error.stderr.strip()[-500:]}"
                if os.environ.get("CI"):
                    pytest.fail(reason)
                pytest.skip(reason)
    return archives


@contextmanager
def _alone() -> Iterator[None]:
    """One process of the test run at a time."""
    _SHELF.mkdir(exist_ok=True)
    with (_SHELF / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download() -> None:
    with tempfile.TemporaryDirectory(dir=_SHELF) as folder:
        tools, fresh = Path(folder) / "tools", Path(folder) / "fresh"
        checked = (
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--retries=1",
            "--no-deps",
            "--require-hashes",
        )
        _pip("install", *checked, "--target", str(tools), "-r", str(_LOCKS / "material-build.lock"))
        # pip asks every archive for its name, by programs of the archive's own; without isolation they find only
        # the tools that were checked.
        wanted = ("--no-binary=:all:", "--no-build-isolation", "-r", str(_LOCKS / "material.lock"))
        _pip("download", *checked, *wanted, "--dest", str(fresh), PYTHONPATH=str(tools))
        for archive in fresh.iterdir():
            archive.rename(_SHELF / archive.name)


def _pip(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment})
