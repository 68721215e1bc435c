"""Image datasets over HTTP: built, followed, searched by image, looked through for copies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.material.images import encoded, giant_png, photograph
from tests.support.postgres import fresh_database
from tests.support.service import Service, serving, working
from tests.support.waiting import eventually


def scene(number: int) -> Image.Image:
    """A part of a photograph that no other number shares, 100 apart turned upside down."""
    upside_down, place = divmod(number, 100)
    down, across = divmod(place, 3)
    part = photograph().crop((across * 160, down * 120, across * 160 + 160, down * 120 + 120))
    return part.transpose(Image.Transpose.ROTATE_180) if upside_down else part


class Gallery:
    """A service with two datasets that were built through it."""

    def __init__(self, service: Service, root: Path) -> None:
        self.service = service
        self.root = root
        self.mode = ""
        self.build_id = self.build("mill", "loft")["task_id"]

    def build(self, *names: str, **fields: Any) -> dict[str, Any]:
        """The build of datasets after its end."""
        answer = self.service.post("/api/build_index", json={"dataset_names": list(names), **fields})
        assert answer.status_code == 202, answer.text
        queued = self.service.data(answer)
        self.mode = queued["mode"]
        self.service.ended(queued["task_id"])
        found: dict[str, Any] = self.service.data(self.service.get(f"/api/build_index/{queued['task_id']}"))
        return found

    def search(self, file: bytes | None = None, **fields: Any) -> Any:
        """The answer to a search by upload, or by what ``fields`` name."""
        if file is None:
            return self.service.post("/api/images/search", json=fields)
        return self.service.post("/api/images/search", files={"file": ("query.jpg", file)}, data=fields)

    def hits(self, file: bytes | None = None, **fields: Any) -> list[dict[str, Any]]:
        """What a search finds."""
        found: list[dict[str, Any]] = self.service.data(self.search(file, **fields))["hits"]
        return found


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def gallery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    root = tmp_path_factory.mktemp("root")
    for dataset, numbers in (("mill", range(12)), ("loft", range(100, 104))):
        (root / dataset / "stones").mkdir(parents=True)
        for number in numbers:
            (root / dataset / "stones" / f"{number}.jpg").write_bytes(encoded(scene(number), "JPEG"))
    (root / "mill" / "copy of 3.jpg").write_bytes(encoded(scene(3).resize((120, 90)), "JPEG", quality=60))
    (root / "mill" / "also 4.jpg").write_bytes(encoded(scene(4), "JPEG"))
    (root / "mill" / "bad.png").write_bytes(b"no image")
    data = tmp_path_factory.mktemp("gallery")
    database = fresh_database() if request.param == "postgres" else None
    sections: dict[str, Any] = {"images": {"root": root, "ocr": "off"}}
    if database is not None:
        sections["database"] = {"url": database}
    variables = {"GRISTMILL_IMAGES__ROOT": str(root), "GRISTMILL_IMAGES__OCR": "off"}
    with serving(data, sections) as service, working(data, database=database, variables=variables):
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        yield Gallery(service, root)


def test_build_tells_of_each_dataset_and_of_each_image_that_failed(gallery: Gallery) -> None:
    build = gallery.service.data(gallery.service.get(f"/api/build_index/{gallery.build_id}"))

    assert (build["status"], build["progress"], build["mode"], build["reason"]) == ("completed", 100, "local", None)
    assert (build["total"], build["done"], build["failed"]) == (19, 18, 1)
    mill, loft = build["datasets"]
    assert (mill["dataset"], mill["done"], mill["failed"], mill["computed_by"]) == ("mill", 14, 1, {"local": 14})
    assert [(one["name"], one["code"]) for one in mill["failures"]] == [("bad.png", "image_unreadable")]
    assert (loft["dataset"], loft["failures"], loft["message"]) == (
        "loft",
        [],
        "loft: 4 images, 4 embedded, 0 unchanged, 0 failed.",
    )


def test_build_of_one_dataset_is_followed_by_its_own_id_and_in_chinese(gallery: Gallery) -> None:
    whole = gallery.service.data(gallery.service.get(f"/api/build_index/{gallery.build_id}"))
    own = whole["datasets"][0]["task_id"]

    answer = gallery.service.get(f"/api/build_index/{own}", headers={"Accept-Language": "zh"})

    (part,) = gallery.service.data(answer)["datasets"]
    assert part["message"] == "mill：共 15 张图片，已嵌入 14，未变化 0，失败 1。"
    assert "不是图片" in part["failures"][0]["reason"]


def test_build_again_passes_over_what_is_there(gallery: Gallery) -> None:
    build = gallery.build("loft", distributed=False)

    (loft,) = build["datasets"]
    assert (loft["skipped"], loft["done"], build["distributed"]) == (4, 0, False)
    assert gallery.mode == "local"


def test_datasets_are_listed_with_what_is_in_the_index(gallery: Gallery) -> None:
    (gallery.root / "never built").mkdir(exist_ok=True)

    datasets = gallery.service.data(gallery.service.get("/api/datasets"))["datasets"]

    assert datasets == [
        {"name": "loft", "images": 4},
        {"name": "mill", "images": 15},
        {"name": "never built", "images": None},
    ]


def test_image_is_found_by_an_altered_copy(gallery: Gallery) -> None:
    altered = encoded(scene(7).resize((100, 75)).rotate(3), "JPEG", quality=40)

    hits = gallery.hits(altered, limit=3)

    assert hits[0]["image"]["name"] == "7.jpg"
    assert hits[0]["folders"] == ["stones"]
    assert hits[0]["score"] > hits[1]["score"]
    assert (hits[0]["image"]["width"], hits[0]["image"]["height"]) == (160, 120)


def test_image_is_found_by_one_that_is_indexed_itself_left_out(gallery: Gallery) -> None:
    (three,) = [hit for hit in gallery.hits(encoded(scene(3), "JPEG"), limit=2) if hit["image"]["name"] == "3.jpg"]

    hits = gallery.hits(image_id=three["image"]["id"], limit=5)

    assert hits[0]["image"]["name"] == "copy of 3.jpg"
    assert three["image"]["id"] not in [hit["image"]["id"] for hit in hits]


def test_part_of_an_image_is_searched_alone(gallery: Gallery) -> None:
    beside = scene(9).copy()
    wide = scene(14).resize((640, 480))
    wide.paste(beside, (100, 200))

    whole = gallery.hits(encoded(wide, "JPEG"), limit=1)
    part = gallery.hits(encoded(wide, "JPEG"), limit=1, region="100,200,160,120")

    assert part[0]["image"]["name"] == "9.jpg"
    assert part[0]["score"] > whole[0]["score"]


def test_part_of_an_indexed_image_finds_itself(gallery: Gallery) -> None:
    found = gallery.hits(encoded(scene(5), "JPEG"), limit=1)[0]["image"]["id"]

    hits = gallery.hits(image_id=found, region={"x": 10, "y": 10, "width": 120, "height": 100}, limit=1)

    assert hits[0]["image"]["id"] == found


def test_search_is_narrowed_by_collection_name_score_and_page(gallery: Gallery) -> None:
    query = encoded(scene(101), "JPEG")

    everywhere = gallery.hits(query, limit=30)
    second = gallery.hits(query, limit=2, offset=2)

    assert everywhere[0]["image"]["collection"] == "loft"
    assert {hit["image"]["collection"] for hit in gallery.hits(query, collections="mill")} == {"mill"}
    assert gallery.hits(query, name="10?.jpg", limit=9)[0]["image"]["name"] == "101.jpg"
    assert {hit["image"]["name"] for hit in gallery.hits(query, name="also*")} == {"also 4.jpg"}
    assert [hit["image"]["id"] for hit in second] == [hit["image"]["id"] for hit in everywhere[2:4]]
    assert all(hit["score"] >= 0.99 for hit in gallery.hits(query, min_score="0.99"))
    assert len(gallery.hits(query, min_score="0.99")) == 1


def test_words_find_images_by_name_and_folder(gallery: Gallery) -> None:
    body = {"query": "stones 11", "collection": "mill", "kind": "image"}

    hits = gallery.service.data(gallery.service.post("/api/search", json=body))["hits"]

    assert hits[0]["document"]["name"] == "11.jpg"
    assert hits[0]["document"]["material"] == "image"


def test_meaning_of_words_is_refused_by_a_model_that_knows_images_alone(gallery: Gallery) -> None:
    body = {"query": "a cat", "collection": "mill", "mode": "vector"}

    answer = gallery.service.post("/api/search", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "embedder_reads_no_text")


def test_duplicates_are_reported_with_the_one_to_keep(gallery: Gallery) -> None:
    found = gallery.service.data(gallery.service.get("/api/images/duplicates?collection=mill&distance=15"))

    groups = [
        (group["keep"]["name"], [one["name"] for one in group["others"]], group["exact"]) for group in found["groups"]
    ]
    assert ("also 4.jpg", ["4.jpg"], True) in groups
    assert ("3.jpg", ["copy of 3.jpg"], False) in groups
    assert found["redundant"] == sum(len(others) for _, others, _ in groups)
    page = gallery.service.data(gallery.service.get("/api/images/duplicates?collection=mill&limit=1&distance=15"))
    assert (len(page["groups"]), page["next_offset"], page["total"]) == (1, 1, len(groups))


def test_thumbnail_may_be_kept_as_long_as_its_address_is_told(gallery: Gallery) -> None:
    image = gallery.hits(encoded(scene(1), "JPEG"), limit=1)[0]["image"]

    told = gallery.service.get(image["thumbnail_url"])
    plain = gallery.service.get(f"/api/images/{image['id']}/thumbnail")
    known = gallery.service.get(
        f"/api/images/{image['id']}/thumbnail", headers={"If-None-Match": plain.headers["ETag"]}
    )

    assert (told.status_code, told.headers["Content-Type"]) == (200, "image/jpeg")
    assert told.content.startswith(b"\xff\xd8")
    assert "immutable" in told.headers["Cache-Control"]
    assert plain.headers["Cache-Control"] == "private, no-cache"
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    ("fields", "file", "status", "code"),
    [
        ({}, None, 422, "image_query_missing"),
        ({"image_id": 10**9}, None, 404, "document_not_found"),
        ({"image_id": 1, "region": "1,2,3"}, None, 422, "region_unreadable"),
        ({"image_id": 1, "limit": 0}, None, 422, "field_out_of_range"),
        ({"collections": "nowhere"}, "good", 404, "collection_not_found"),
        ({"region": "150,100,100,100"}, "good", 422, "region_outside"),
        ({"colour": "red"}, "good", 422, "field_unknown"),
        ({}, "empty", 422, "image_empty"),
        ({}, "words", 422, "image_unreadable"),
        ({}, "giant", 422, "image_too_large"),
    ],
)
def test_search_that_cannot_be_made_says_why(
    gallery: Gallery, fields: dict[str, Any], file: str | None, status: int, code: str
) -> None:
    files = {"good": encoded(scene(1), "JPEG"), "empty": b"", "words": b"words", "giant": giant_png()}

    answer = gallery.search(None if file is None else files[file], **fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert str(gallery.root) not in answer.text


@pytest.mark.parametrize(
    ("names", "status", "code"),
    [
        ([], 422, "field_too_short"),
        (["nowhere"], 404, "dataset_not_found"),
        (["../mill"], 422, "dataset_name_invalid"),
        (["mill", "nowhere"], 404, "dataset_not_found"),
        ([""], 422, "dataset_name_invalid"),
    ],
)
def test_build_that_cannot_be_made_says_why_and_starts_nothing(
    gallery: Gallery, names: list[str], status: int, code: str
) -> None:
    before = gallery.service.data(gallery.service.get("/api/tasks?kind=build_index&limit=100"))["tasks"]

    answer = gallery.service.post("/api/build_index", json={"dataset_names": names})

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    after = gallery.service.data(gallery.service.get("/api/tasks?kind=build_index&limit=100"))["tasks"]
    assert len(after) == len(before)


def test_client_may_not_say_where_datasets_lie(gallery: Gallery, tmp_path: Path) -> None:
    for kind, payload in (
        ("build_index", {"dataset_names": ["mill"], "root": str(tmp_path)}),
        ("build_dataset", {"dataset": "mill", "root": str(tmp_path)}),
    ):
        answer = gallery.service.post("/api/tasks", json={"kind": kind, "payload": payload})
        assert (answer.status_code, answer.json()["code"]) == (403, "payload_path_refused")


def test_service_without_a_root_says_how_to_set_one(api: Service) -> None:
    answer = api.post("/api/build_index", json={"dataset_names": ["mill"]})

    assert (answer.status_code, answer.json()["code"]) == (422, "images_root_unset")
    assert "GRISTMILL_IMAGES__ROOT" in answer.json()["message"]
    assert api.data(api.get("/api/datasets")) == {"datasets": []}
    nothing = api.post("/api/images/search", files={"file": ("a.jpg", encoded(scene(1), "JPEG"))})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "no_images_yet")


def test_collection_of_texts_is_no_place_for_images(used: Service) -> None:
    used.register("words", collection="texts")

    answer = used.get("/api/images/duplicates?collection=texts")

    assert (answer.status_code, answer.json()["code"]) == (409, "collection_not_of_images")


def test_same_request_twice_is_one_build(gallery: Gallery) -> None:
    body, key = {"dataset_names": ["loft"]}, {"Idempotency-Key": "one build"}

    first = gallery.service.post("/api/build_index", json=body, headers=key)
    second = gallery.service.post("/api/build_index", json=body, headers=key)

    assert gallery.service.data(first)["task_id"] == gallery.service.data(second)["task_id"]
    gallery.service.ended(gallery.service.data(first)["task_id"])
