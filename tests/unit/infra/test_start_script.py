"""The first container of the Fargate task: it fetches the very layer version, or nothing.

Run as the task runs it, by a Python with boto3, against a stand-in for the Lambda API.
"""

import base64
import hashlib
import io
import json
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.templates import container
from tocsin_local.processes import clean_environment

ARN = "arn:aws:lambda:eu-west-1:123456789012:layer:CoreLayer:7"


def layer(module: str) -> bytes:
    """A layer whose connector is `module`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("python/tocsin/__init__.py", "")
        content.writestr("python/tocsin/connector/__init__.py", "")
        content.writestr("python/tocsin/connector/__main__.py", module)
    return archive.getvalue()


def sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@contextmanager
def lambda_api(content: bytes, digest: str) -> Iterator[str]:
    """Answers GetLayerVersionByArn with a link to `content` and with `digest`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = content
            if "find=LayerVersion" in self.path:
                answer = {"Content": {"Location": f"{url}/layer.zip", "CodeSha256": digest}, "Version": 7}
                found = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()


def start(url: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run the task's command with the layer unpacked to `root` instead of /opt."""
    assert container("layer")["EntryPoint"] == ["/var/lang/bin/python3", "-c"]
    scratch = root.parent / "scratch"
    scratch.mkdir()
    environment = clean_environment(
        LAYER_VERSION_ARN=ARN,
        LAYER_ROOT=str(root),
        SCRATCH=str(scratch),
        AWS_ENDPOINT_URL=url,
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    )
    command = [sys.executable, "-c", *container("layer")["Command"]]
    return subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def test_fetches_that_layer_version_for_the_connector_to_run(tmp_path: Path) -> None:
    root, content = tmp_path / "opt", layer("import sys; print('connector'); sys.exit(7)")
    root.mkdir()
    with lambda_api(content, sha256(content)) as url:
        fetched = start(url, root)
    assert fetched.returncode == 0, fetched.stderr
    assert f"fetched {ARN}" in fetched.stdout
    assert container("connector")["EntryPoint"] == ["/var/lang/bin/python3", "-m"]
    command = [sys.executable, "-m", *container("connector")["Command"]]
    environment = clean_environment(PYTHONPATH=str(root / "python"))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (7, "connector\n")


def test_the_connector_may_write_where_it_makes_its_certificate(tmp_path: Path) -> None:
    root, content = tmp_path / "opt", layer("")
    root.mkdir()
    with lambda_api(content, sha256(content)) as url:
        start(url, root)
    assert stat.S_IMODE((tmp_path / "scratch").stat().st_mode) == 0o1777


def test_refuses_a_layer_that_is_not_the_one_and_unpacks_nothing(tmp_path: Path) -> None:
    root, content = tmp_path / "opt", layer("print('never')")
    root.mkdir()
    with lambda_api(content, sha256(b"another")) as url:
        ended = start(url, root)
    assert ended.returncode == 1
    assert "not started" in ended.stderr
    assert "never" not in ended.stdout
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("layer", "LAYER_VERSION_ARN"),
        ("connector", "PYTHONPATH"),
        ("connector", "CONNECTOR_PORT"),
        ("connector", "AWS_ACCOUNT_ID_ENDPOINT_MODE"),
    ],
)
def test_has_what_it_needs_in_its_environment(name: str, variable: str) -> None:
    assert variable in [pair.get("Name") for pair in container(name)["Environment"]]
