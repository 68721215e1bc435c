"""Known items: short descriptions, each of which has one document that a search for it should find.

What describes a thing in one line is the query; what describes it at length, without that line, is the document. The
standard library's docstrings are on every machine; packages and manual pages come from Debian's own mirrors, with apt,
into a directory that is gone afterwards. Nothing of them is kept with this project.
"""

import ast
import gzip
import hashlib
import re
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KnownItem", "KnownItems", "known_items"]

_APT_SECONDS = 300
_PACKAGES, _TRANSLATED, _DOCSTRINGS, _PAGES = 500, 400, 300, 250
_LEAST_CHARS = 120
_LEAST_WIDE_CHARS = 50
_NOT_PUBLIC = {"test", "tests", "idlelib", "lib2to3", "site-packages"}
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s+|$)", re.DOTALL)
_ENTRY = re.compile(r"^Description-(?:en|zh_CN): (.*)\n((?: .*\n?)+)", re.MULTILINE)
_WIDE = re.compile(r"[\u4e00-\u9fff]")
_ROFF_NAME = re.compile(r'^\.S[Hh]\s+"?(?:NAME|名称|名字|名 称)[^\n]*\n(.+?)(?=^\.S[Hh])', re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^.*?\s(?:-+|[\u2010-\u2015]+)\s+(.+)", re.DOTALL)
_ROFF_MACRO = re.compile(r"^\.\s*de\b.*?^\.\.$", re.MULTILINE | re.DOTALL)
_ROFF_ESCAPE = re.compile(r"\\f(?:\[\w*\]|\(..|.)|\\[,/&|^%:]|\\s[-+]?\d|\\\*?(?:\(..|\[\w+\])")
_ROFF_WORDS = re.compile(r"^\.(?:B|I|BR|BI|IB|IR|RB|RI|SM|SB|SH|SS|IP|TP|Sh|Ss|Nm|Nd|Op|Ar|Fl|Pa|It)\b(.*)$")


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A query and the text that it describes."""

    name: str
    query: str
    text: str

    @property
    def held_out(self) -> bool:
        """Whether it is of the half that settings are not chosen by; the same half on every machine."""
        return hashlib.sha256(f"half {self.name}".encode()).digest()[0] % 2 == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownItems:
    """Items of one kind, searched for among each other."""

    name: str
    title: str
    items: tuple[KnownItem, ...]


def known_items(share: float) -> tuple[list[KnownItems], str]:
    """All sets there are on this machine, ``share`` of each, and what is to be said of those left out."""
    sets = [_set("docstrings", "docstrings of Python", _docstrings(), int(_DOCSTRINGS * share))]
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as folder:
        try:
            english, chinese = _translations(Path(folder))
            pages = list(_manual_pages(Path(folder)))
        except (OSError, subprocess.SubprocessError) as error:
            return sets, f"Debian's packages and manual pages are left out: {_reason(error)}."
    both = (chinese[name] for name in chinese if name in english)
    packages = _set("chinese", "Debian packages, Chinese", both, int(_TRANSLATED * share))
    across = (KnownItem(item.name, english[item.name].query, item.text) for item in packages.items)
    return [
        _set("english", "Debian packages, English", english.values(), int(_PACKAGES * share)),
        packages,
        _set("across", "Debian packages, English for Chinese", across, len(packages.items)),
        _set("pages", "manual pages, Chinese", pages, int(_PAGES * share)),
        *sets,
    ], ""


def _set(name: str, title: str, candidates: Iterable[KnownItem], count: int) -> KnownItems:
    """The ``count`` items whose names hash lowest: mostly the same ones after a release has added and removed some.

    A query or a text that occurs twice would have two right answers; the first of them stays.
    """
    chosen: list[KnownItem] = []
    seen: set[str] = set()
    for item in sorted(candidates, key=lambda item: hashlib.sha256(item.name.encode()).digest()):
        if seen.isdisjoint({item.name, item.query, item.text}):
            chosen.append(item)
            seen |= {item.name, item.query, item.text}
    return KnownItems(name=name, title=title, items=tuple(chosen[:count]))


def _docstrings() -> Iterator[KnownItem]:
    """First sentences of functions and classes of the standard library, and what follows them."""
    library = Path(sysconfig.get_path("stdlib"))
    for source in sorted(library.rglob("*.py")):
        module = source.relative_to(library).with_suffix("")
        if _NOT_PUBLIC & set(module.parts) or any(part[0] == "_" for part in module.parts):
            continue
        try:
            tree = ast.parse(source.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
                continue
            described = _SENTENCE.match(ast.get_docstring(node) or "")
            if described is None:
                continue
            rest = described.string[described.end() :].strip()
            query = " ".join(described[1].split())
            if len(rest) >= _LEAST_CHARS and len(query.split()) >= 3:
                yield KnownItem(f"{'.'.join(module.parts)}.{node.name}", query, rest)


def _translations(folder: Path) -> tuple[dict[str, KnownItem], dict[str, KnownItem]]:
    """Debian's packages by name, in English and in Chinese."""
    _apt(folder, "update")
    lists = folder / "state" / "lists"
    english = _packages(lists.glob("*_Translation-en"), lambda text: len(text) >= _LEAST_CHARS)
    chinese = _packages(lists.glob("*_Translation-zh*CN"), lambda text: len(_WIDE.findall(text)) >= _LEAST_WIDE_CHARS)
    if not english or not chinese:
        raise FileNotFoundError("apt fetched no descriptions")
    return english, chinese


def _packages(files: Iterable[Path], suits: Callable[[str], bool]) -> dict[str, KnownItem]:
    found: dict[str, KnownItem] = {}
    for file in sorted(files):
        for entry in file.read_text("utf-8").split("\n\n"):
            described = _ENTRY.search(entry + "\n")
            name = entry.removeprefix("Package: ").partition("\n")[0]
            if described is None or name in found:
                continue
            text = "\n".join("" if line == " ." else line[1:] for line in described[2].splitlines())
            if suits(text) and described[1] not in text:
                found[name] = KnownItem(name, described[1], text)
    return found


def _manual_pages(folder: Path) -> Iterator[KnownItem]:
    """What stands beside the name of a manual page, and the page without that section."""
    _apt(folder, "download", "manpages-zh")
    archive = next(folder.glob("manpages-zh_*.deb"))
    subprocess.run(["dpkg-deb", "--extract", archive, folder / "pages"], check=True, timeout=_APT_SECONDS)
    for file in sorted((folder / "pages").glob("usr/share/man/zh_CN/man*/*.gz")):
        if file.is_symlink():
            continue
        source = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
        source = _ROFF_MACRO.sub("", source)
        named = _ROFF_NAME.search(source)
        if named is None:
            continue
        described = _NAMED.match(" ".join(_plain(named[1]).split()))
        if described is None:
            continue
        query = described[1]
        text = _plain(source[: named.start()] + source[named.end() :])
        if len(_WIDE.findall(query)) >= 4 and len(_WIDE.findall(text)) >= _LEAST_WIDE_CHARS:
            yield KnownItem(file.name.removesuffix(".gz"), query, text)


def _plain(roff: str) -> str:
    """The words of a manual page without what lays them out."""
    lines = []
    for line in roff.splitlines():
        request = _ROFF_WORDS.match(line)
        if request is not None:
            words = request[1].replace('"', "").strip()
        else:
            # Other requests begin a paragraph or comment on something.
            words = "" if line.startswith((".", "'")) else line
        lines.append(_ROFF_ESCAPE.sub("", words).replace("\\-", "-").replace("\\ ", " ").replace("\\e", "\\"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _apt(folder: Path, *command: str) -> None:
    """Run apt-get with the sources of this machine and everything it writes inside ``folder``; needs no rights."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise FileNotFoundError("there is no apt-get here")
    (folder / "state" / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": folder / "state",
        "Dir::State::lists": folder / "state" / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "en,zh_CN",
        "Acquire::GzipIndexes": "false",
        "APT::Sandbox::User": "root",
    }
    arguments = [f"--option={name}={value}" for name, value in options.items()]
    subprocess.run([apt, "--quiet=2", *arguments, *command], cwd=folder, check=True, timeout=_APT_SECONDS)


def _reason(error: Exception) -> str:
    return f"apt ended with {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else str(error)
