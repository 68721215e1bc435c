"""`gristmill images search`, `duplicates` and `list`: what is asked of the images in the index."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.integration.cli.terminal import Terminal
from tests.material.images import corners, encoded, photograph
from tests.support.postgres import fresh_database


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gallery(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bytecode: Path
) -> Iterator[Terminal]:
    """Two datasets and a collection of text, which no test changes."""
    place = tmp_path_factory.mktemp("gallery")
    terminal = Terminal(data=place / "data", home=place, bytecode=bytecode)
    terminal.extra["GRISTMILL_IMAGES__OCR"] = "off"
    if request.param == "postgres":
        terminal.extra["GRISTMILL_DATABASE__URL"] = fresh_database(migrated=False)
    mill, harbour = place / "mill", place / "harbour"
    (mill / "people").mkdir(parents=True)
    harbour.mkdir()
    portrait = encoded(photograph(), "JPEG", quality=92)
    (mill / "people" / "portrait.jpg").write_bytes(portrait)
    (mill / "people" / "portrait again.jpg").write_bytes(portrait)
    (mill / "flag.png").write_bytes(encoded(corners(), "PNG"))
    (mill / "broken.jpg").write_bytes(portrait[:9000])
    (harbour / "sea.png").write_bytes(encoded(Image.new("RGB", (80, 60), (20, 60, 120)), "PNG"))
    (place / "note.md").write_text("# A note\n")
    assert terminal.run("images", "build", mill, harbour).code == 1
    terminal.json("index", "note.md", "--collection", "notes")
    copy = photograph().crop((10, 10, 500, 590)).resize((300, 355))
    (place / "copy.jpg").write_bytes(encoded(copy, "JPEG", quality=60))
    yield terminal
    assert list(terminal.processes()) == []


def ids(gallery: Terminal) -> dict[str, int]:
    """The ids of all documents, by name."""
    found = [
        document
        for collection in ("mill", "harbour", "notes")
        for document in gallery.json("documents", "list", "--collection", collection)["documents"]
    ]
    return {document["name"]: document["doc_id"] for document in found}


def test_altered_copy_finds_its_picture_first(gallery: Terminal) -> None:
    answer = gallery.json("images", "search", "copy.jpg", "--limit", "3")
    table = gallery.run("images", "search", "copy.jpg", "--limit", "3").out.splitlines()

    first, second, third = answer["hits"]
    assert {first["name"], second["name"]} == {"portrait.jpg", "portrait again.jpg"}
    assert first["score"] > 0.8 > third["score"]
    assert (first["folders"], first["collection"], first["width"], first["height"]) == (["people"], "mill", 512, 600)
    assert (answer["collections"], answer["more"]) == (["harbour", "mill"], True)
    assert table[0].split() == ["SCORE", "ID", "NAME", "FOLDER", "SIZE", "COLLECTION"]
    assert f"{first['score']:.3f}  {first['doc_id']}" in table[1]
    assert table[1].endswith("people  512x600  mill")


def test_indexed_image_finds_others_but_not_itself(gallery: Terminal) -> None:
    own = ids(gallery)["portrait.jpg"]

    hits = gallery.json("images", "search", "--id", own, "--min-score", "0.99")["hits"]

    assert [(hit["name"], hit["score"] > 0.999) for hit in hits] == [("portrait again.jpg", True)]


def test_part_of_an_image_is_searched_for(gallery: Terminal) -> None:
    (whole,) = gallery.json("images", "search", "mill/flag.png", "--limit", "1", "-c", "harbour")["hits"]

    (part,) = gallery.json("images", "search", "mill/flag.png", "--region", "0, 0,48,32", "-c", "harbour")["hits"]
    by_id = gallery.json("images", "search", "--id", ids(gallery)["flag.png"], "--region", "0,0,48,32", "-c", "harbour")

    assert part["score"] != whole["score"]
    assert by_id["hits"][0]["score"] == pytest.approx(part["score"], abs=0.01)


def test_search_says_that_nothing_is_so_much_alike(gallery: Terminal) -> None:
    done = gallery.run("images", "search", "mill/flag.png", "-c", "harbour", "--min-score", "0.999")

    assert (done.code, done.out) == (0, "No image in harbour is that much alike.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "either"),
        (["copy.jpg", "--id", "1"], 2, "either"),
        (["nowhere.jpg"], 2, "nowhere.jpg"),
        (["mill"], 2, "not a regular file"),
        (["note.md"], 1, "is not an image"),
        (["mill/broken.jpg"], 1, "the end is missing"),
        (["copy.jpg", "--region", "1,2,3"], 2, "four whole numbers"),
        (["copy.jpg", "--region", "-1,2,3,4"], 2, "four whole numbers"),
        (["copy.jpg", "--region", "0,0,5000,10"], 2, "not inside the image"),
        (["copy.jpg", "--region", "0,0,0,10"], 2, "not inside the image"),
        (["copy.jpg", "--collection", "nowhere"], 1, "nowhere"),
        (["copy.jpg", "--collection", "notes"], 1, "holds text"),
        (["copy.jpg", "--min-score", "2"], 2, "--min-score"),
        (["--id", "999999"], 1, "999999"),
        (["--id", "0"], 2, "--id"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_search_says_what_is_wrong(gallery: Terminal, arguments: list[str], code: int, said: str) -> None:
    done = gallery.run("images", "search", *arguments)

    assert (done.code, done.out, "Traceback" in done.err) == (code, "", False)
    assert said in done.err


def test_id_of_what_is_no_image_is_refused(gallery: Terminal) -> None:
    known = ids(gallery)

    note, broken = (gallery.run("images", "search", "--id", known[name]) for name in ("note.md", "broken.jpg"))

    assert (note.code, "holds text" in note.err) == (1, True)
    assert (broken.code, "is not in the index" in broken.err) == (1, True)


def test_duplicates_are_told_with_what_they_cost(gallery: Terminal) -> None:
    answer = gallery.json("images", "duplicates", "mill")
    said = gallery.run("images", "duplicates", "mill", environment={"GRISTMILL_LANGUAGE": "zh"}).out

    (group,) = answer["groups"]
    (other,) = group["redundant"]
    size = (gallery.home / "mill" / "people" / "portrait.jpg").stat().st_size
    assert (group["exact"], answer["redundant"], answer["freed_bytes"]) == (True, 1, size)
    assert {group["keep"]["name"], other["name"]} == {"portrait.jpg", "portrait again.jpg"}
    assert Path(other["source"]).is_relative_to(gallery.home)
    assert f"1      keep       {group['keep']['doc_id']}" in said
    assert said.splitlines()[2].endswith(other["place"])
    assert f"共 1 组，其中 1 张多余图片；删除后可释放 {size:,} 字节" in said


def test_collection_without_duplicates_says_so(gallery: Terminal) -> None:
    assert gallery.run("images", "duplicates", "harbour").out == "There are no duplicates in harbour.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 1, "nowhere"),
        (["notes"], 1, "holds text"),
        (["mill", "--distance", "16"], 2, "0 to 15"),
        (["mill", "--distance", "-1"], 2, "0 to 15"),
        ([], 2, "COLLECTION"),
    ],
    ids=str,
)
def test_duplicates_say_what_is_wrong(gallery: Terminal, arguments: list[str], code: int, said: str) -> None:
    done = gallery.run("images", "duplicates", *arguments)

    assert (done.code, done.out, "Traceback" in done.err) == (code, "", False)
    assert said in done.err


def test_list_has_what_was_built_and_what_could_be(gallery: Terminal) -> None:
    (gallery.home / "root" / "unbuilt").mkdir(parents=True, exist_ok=True)
    environment = {"GRISTMILL_IMAGES__ROOT": str(gallery.home / "root")}

    listed = gallery.run("images", "list", "--json", environment=environment).json["datasets"]
    table = gallery.run("images", "list", environment=environment).out.splitlines()

    assert [(one["name"], one["images"], one["failed"]) for one in listed] == [
        ("harbour", 1, 0),
        ("mill", 4, 1),
        ("unbuilt", None, None),
    ]
    assert [line.split() for line in table] == [
        ["NAME", "IMAGES", "FAILED", "EMBEDDER"],
        ["harbour", "1", "0", "efficientnet"],
        ["mill", "4", "1", "efficientnet"],
        ["unbuilt", "-", "-", "-"],
    ]


def test_images_are_asked_for_where_there_are_none(terminal: Terminal) -> None:
    (terminal.home / "a.png").write_bytes(encoded(corners(), "PNG"))

    listed, search = terminal.run("images", "list"), terminal.run("images", "search", "a.png")

    assert (listed.code, "gristmill images build" in listed.out) == (0, True)
    assert (search.code, "gristmill images build" in search.err) == (1, True)
