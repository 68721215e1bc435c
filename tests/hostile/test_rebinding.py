"""Names that change their minds: the worker connects to the address it checked, and to no other.

The worker runs as it does in production. Only the network below it is the test's: a resolver that answers every
question about a name differently, and a wire on which public addresses lead to servers of the test.
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.watched import Watched, hits, indexed, working
from tests.material.certificates import certified
from tests.material.web import Answer, Site, page, redirect, serve
from tests.support.service import Service, serving
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PUBLIC = "93.184.216.34"
NETWORK = Path(__file__).parent / "network"
"""Its ``sitecustomize`` is the resolver and the wire; Python imports it in every process that has it on its path."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What is left when all addresses have been fetched."""

    service: Service
    watched: Watched
    named: Mapping[str, int]
    site: Site
    secured: Site
    inner: Site
    proxy: Site
    greeted: list[str]
    """Names the secured server was asked for by SNI."""
    asked: list[tuple[str, str]]
    """Every question to the resolver and every connection, in order: (name, answer) and (``connect``, address)."""

    def codes(self, name: str) -> set[str]:
        """What is said of the document that was handed in as ``name``."""
        return self.watched.codes(self.named[name])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder, data = tmp_path_factory.mktemp("network"), tmp_path_factory.mktemp("data")
    greeted: list[str] = []
    server, authority = certified("turncoat.test", folder)

    def greet(_socket: object, name: str | None, _context: ssl.SSLContext) -> None:
        greeted.append(name or "")

    server.sni_callback = greet
    with ExitStack() as stack:
        inner = stack.enter_context(serve({"/a.txt": page(b"forbiddenword"), "/b.txt": page(b"forbiddenword")}))
        proxy = stack.enter_context(serve({}))
        pages: dict[str, Answer] = {
            "/a.txt": page(b"a quernstone on the wire"),
            "/inward": redirect(f"http://127.0.0.1:{inner.port}/a.txt"),
            "/renamed": redirect("http://inward.test/a.txt"),
            "/again": redirect("http://hopper.test/a.txt"),
        }
        site = stack.enter_context(serve(pages))
        secured = stack.enter_context(serve({"/a.txt": page(b"a sealed quernstone")}, tls=server))
        private = ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"]
        plan = {
            "names": {
                "turncoat.test": [[PUBLIC], *[[address] for address in private]],
                "hopper.test": [[PUBLIC], ["127.0.0.1"]],
                "mixed.test": [[PUBLIC, "127.0.0.1"]],
                "nat64.test": [["64:ff9b::7f00:1"]],
                "inward.test": [["127.0.0.1"]],
                "start.test": [[PUBLIC]],
            },
            "wires": {f"{PUBLIC}:80": site.port, f"{PUBLIC}:443": secured.port, "127.0.0.1:80": inner.port},
            "log": str(folder / "log"),
        }
        (folder / "plan.json").write_text(json.dumps(plan), "utf-8")
        proxies = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), proxy.url(""))
        service = stack.enter_context(serving(data))
        environment = {
            **proxies,
            "PLANNED_NETWORK": str(folder / "plan.json"),
            "SSL_CERT_FILE": str(authority),
        }
        worker = stack.enter_context(working(data, environment, first_on_path=NETWORK))
        eventually(lambda: service.get("/health/ready").ok, seconds=30)
        named = {
            name: service.data(service.post("/api/documents", json={"urls": [url]}))["documents"][0]["id"]
            for name, url in {
                "turncoat": "https://turncoat.test/a.txt",
                "mixed": "http://mixed.test/a.txt",
                "nat64": "http://nat64.test/a.txt",
                "inward": "http://start.test/inward",
                "renamed": "http://start.test/renamed",
                "hopper": "http://hopper.test/again",
            }.items()
        }
        watched = indexed(service, worker, list(named.values()), seconds=60)
        asked = [(name, answer) for name, answer in map(json.loads, (folder / "log").read_text("utf-8").splitlines())]
        yield Ground(
            service=service,
            watched=watched,
            named=named,
            site=site,
            secured=secured,
            inner=inner,
            proxy=proxy,
            greeted=greeted,
            asked=asked,
        )


def test_name_is_asked_for_once_and_the_connection_goes_to_the_answer_that_was_checked(ground: Ground) -> None:
    about = [(name, answer) for name, answer in ground.asked if name == "turncoat.test" or answer.endswith(":443")]

    assert about == [("turncoat.test", PUBLIC), ("connect", f"{PUBLIC}:443")]
    assert ground.codes("turncoat") == set()
    assert [hit["document"]["id"] for hit in hits(ground.service, "sealed quernstone")] == [ground.named["turncoat"]]


def test_server_is_addressed_by_its_name_though_the_connection_goes_to_a_number(ground: Ground) -> None:
    assert ground.greeted == ["turncoat.test"]
    assert [request["host"] for request in ground.secured.seen] == ["turncoat.test"]


@pytest.mark.parametrize("name", ["mixed", "nat64", "inward", "renamed", "hopper"])
def test_private_answer_is_refused_at_first_or_behind_a_redirect(ground: Ground, name: str) -> None:
    assert ground.codes(name) == {"address_not_public"}


def test_nothing_inside_saw_a_request(ground: Ground) -> None:
    assert ground.inner.seen == []
    assert {answer for name, answer in ground.asked if name == "connect"} == {f"{PUBLIC}:80", f"{PUBLIC}:443"}
    assert hits(ground.service, "forbiddenword") == []


def test_proxies_of_the_environment_are_not_used(ground: Ground) -> None:
    assert ground.proxy.seen == []
