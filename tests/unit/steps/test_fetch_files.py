"""Files are read only inside the allowed folders, and what is hashed is what was copied."""

import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest

from gristmill.errors import Forbidden, GristmillError, InvalidInput, LimitExceeded, StepFailed, Unavailable
from gristmill.steps.fetch.files import fetch_file
from gristmill.steps.paths import check_path
from tests.material.words import CHINESE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "报告.txt").write_text(CHINESE, encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def test_check_path_gives_the_real_path_and_its_root(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)

    found = check_path(f"{link}/../root/./报告.txt", ["/nowhere", str(link)])

    assert found == (str(root / "报告.txt"), str(root))


def test_check_path_follows_a_link_that_stays_inside(root: Path) -> None:
    (root / "alias.txt").symlink_to(root / "报告.txt")

    assert check_path(str(root / "alias.txt"), [str(root)]) == (str(root / "报告.txt"), str(root))


def test_check_path_takes_the_whole_machine_as_root(root: Path) -> None:
    assert check_path(str(root / "报告.txt"), ["/"]) == (str(root / "报告.txt"), "/")


@pytest.mark.parametrize(
    "outside", ["../secret.txt", "../no-such-file", "../root-2/a.txt", "link/secret.txt", "../root"]
)
def test_check_path_refuses_what_is_outside_and_does_not_say_whether_it_exists(root: Path, outside: str) -> None:
    (root / "link").symlink_to(root.parent)
    (root.parent / "root-2").mkdir()

    with pytest.raises(Forbidden) as caught:
        check_path(str(root / outside), [str(root)])

    assert caught.value.code == "path_outside_roots"
    assert "GRISTMILL_SOURCES__ROOTS" in caught.value.message()
    assert str(root.parent) not in caught.value.message()


def test_check_path_refuses_everything_without_roots(root: Path) -> None:
    with pytest.raises(Forbidden):
        check_path(str(root / "报告.txt"), [])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("{root}/none.txt", "path_not_found"),
        ("{root}/报告.txt/below", "path_not_found"),
        ("{root}/folder", "path_not_regular"),
        ("{root}/pipe", "path_not_regular"),
        ("{root}/loop", "path_not_readable"),
        ("{root}/" + "x" * 300, "path_not_readable"),
        ("{root}/odd\udcff.txt", "path_not_text"),
        ("{root}/nul\0.txt", "path_not_absolute"),
        ("报告.txt", "path_not_absolute"),
        ("", "path_not_absolute"),
    ],
)
def test_check_path_refuses(root: Path, path: str, code: str) -> None:
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(root / "loop")
    (root / "odd\udcff.txt").touch()

    with pytest.raises(InvalidInput) as caught:
        check_path(path.format(root=root), [str(root)])

    assert caught.value.code == code


def test_fetch_file_keeps_a_small_file_in_memory_with_its_hash_and_name(root: Path, tmp_path: Path) -> None:
    fetched = fetch_file(str(root / "报告.txt"), root=str(root), into=lambda: tmp_path / "into", max_bytes=1000)

    assert fetched.name == "报告.txt"
    assert (fetched.path, fetched.data.decode()) == (None, CHINESE)
    assert fetched.size == len(CHINESE.encode())
    assert fetched.content_hash == hashlib.sha256(CHINESE.encode()).hexdigest()
    assert not (tmp_path / "into").exists()


def test_fetch_file_copies_a_large_file_to_a_folder(root: Path, tmp_path: Path) -> None:
    content = b"large" * 300_000
    (root / "large.txt").write_bytes(content)

    fetched = fetch_file(str(root / "large.txt"), root=str(root), into=lambda: tmp_path / "into", max_bytes=2_000_000)

    assert fetched.path is not None
    assert fetched.path.parent == tmp_path / "into"
    assert (fetched.path.read_bytes(), fetched.data) == (content, b"")
    assert (fetched.size, fetched.content_hash) == (len(content), hashlib.sha256(content).hexdigest())


def test_fetch_file_refuses_a_file_over_the_limit_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded) as caught:
        fetch_file(str(root / "报告.txt"), root=str(root), into=lambda: tmp_path / "into", max_bytes=10)

    assert caught.value.facts == {"name": "报告.txt", "max_bytes": 10}
    assert list((tmp_path / "into").glob("*")) == []


def test_fetch_file_refuses_a_file_that_became_a_link_to_the_outside(root: Path, tmp_path: Path) -> None:
    path = root / "报告.txt"
    path.unlink()
    path.symlink_to(tmp_path / "secret.txt")

    with pytest.raises(Forbidden):
        fetch_file(str(path), root=str(root), into=lambda: tmp_path / "into", max_bytes=1000)


def test_fetch_file_refuses_when_a_folder_is_swapped_between_check_and_open(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = root / "inner"
    inner.mkdir()
    (inner / "secret.txt").write_text("harmless")

    def check_then_swap(path: str, roots: list[str]) -> tuple[str, str]:
        answer = check_path(path, roots)
        inner.rename(root / "moved")
        inner.symlink_to(tmp_path)
        return answer

    monkeypatch.setattr("gristmill.steps.fetch.files.check_path", check_then_swap)

    with pytest.raises(Forbidden):
        fetch_file(str(inner / "secret.txt"), root=str(root), into=lambda: tmp_path / "into", max_bytes=1000)
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("kind", ["none", "folder", "pipe", "socket"])
def test_fetch_file_fails_for_good_without_a_regular_file(root: Path, tmp_path: Path, kind: str) -> None:
    path = root / "thing"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server, pytest.MonkeyPatch.context() as patch:
            # The path of a socket may not be longer than about a hundred bytes.
            patch.chdir(root)
            server.bind("thing")

    with pytest.raises(StepFailed) as caught:
        fetch_file(str(path), root=str(root), into=lambda: tmp_path / "into", max_bytes=1000)

    assert caught.value.code == ("path_not_found" if kind == "none" else "path_not_regular")


@pytest.mark.parametrize("size", [1_000, 1_500_000], ids=["small", "large"])
@pytest.mark.parametrize("difference", [-1, 0, 1], ids=["shorter", "rewritten", "longer"])
def test_fetch_file_tries_again_later_when_the_file_changes_while_it_is_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, difference: int
) -> None:
    path = root / "changing.txt"
    path.write_bytes(b"a" * size)
    os.utime(path, (1, 1))
    read = os.read

    def read_while_it_changes(descriptor: int, count: int) -> bytes:
        piece = read(descriptor, count)
        path.write_bytes(b"b" * (size + difference))
        return piece

    monkeypatch.setattr("gristmill.steps.fetch.files.os.read", read_while_it_changes)

    with pytest.raises(Unavailable) as caught:
        fetch_file(str(path), root=str(root), into=lambda: tmp_path / "into", max_bytes=2_000_000)

    assert caught.value.code == "file_changing"
    assert list((tmp_path / "into").glob("*")) == []


def test_fetch_file_never_reads_outside_while_a_file_is_swapped_all_the_time(root: Path, tmp_path: Path) -> None:
    path, outside, stop = root / "报告.txt", tmp_path / "secret.txt", threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            other = root / f"swap-{turn}"
            if turn % 2:
                other.symlink_to(outside)
            else:
                other.write_text(CHINESE, encoding="utf-8")
            other.replace(path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    contents: set[str] = set()
    try:
        for _ in range(200):
            try:
                fetched = fetch_file(str(path), root=str(root), into=lambda: tmp_path / "into", max_bytes=1000)
            except GristmillError:
                continue
            contents.add(fetched.data.decode())
    finally:
        stop.set()
        swapper.join()

    assert contents <= {CHINESE}
