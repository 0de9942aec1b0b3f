"""The start script of the Fargate task: the very layer version, or nothing.

Run as the task runs it, by a Python with boto3, against a stand-in for the Lambda API.
"""

import base64
import hashlib
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.templates import properties
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
    (container,) = properties("Task", "infra/connector.yaml")["ContainerDefinitions"]
    assert container["EntryPoint"] == ["/var/lang/bin/python3", "-c"]
    environment = clean_environment(
        LAYER_VERSION_ARN=ARN,
        LAYER_ROOT=str(root),
        PYTHONPATH=str(root / "python"),
        AWS_ENDPOINT_URL=url,
        AWS_DEFAULT_REGION="eu-west-1",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
    )
    command = [sys.executable, "-c", *container["Command"]]
    return subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def test_becomes_the_connector_of_that_layer_version(tmp_path: Path) -> None:
    content = layer("import os, sys; print('connector', sys.argv[1:], os.getpid() > 0); sys.exit(7)")
    with lambda_api(content, sha256(content)) as url:
        ended = start(url, tmp_path)
    assert ended.returncode == 7, ended.stderr
    assert f"starting the connector from {ARN}" in ended.stdout
    assert "connector [] True" in ended.stdout


def test_refuses_a_layer_that_is_not_the_one_and_unpacks_nothing(tmp_path: Path) -> None:
    content = layer("print('never')")
    with lambda_api(content, sha256(b"another")) as url:
        ended = start(url, tmp_path)
    assert ended.returncode == 1
    assert "not started" in ended.stderr
    assert "never" not in ended.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "variable", ["PYTHONPATH", "LAYER_VERSION_ARN", "CONNECTOR_PORT", "AWS_ACCOUNT_ID_ENDPOINT_MODE"]
)
def test_has_what_it_needs_in_its_environment(variable: str) -> None:
    (container,) = properties("Task", "infra/connector.yaml")["ContainerDefinitions"]
    assert variable in [pair.get("Name") for pair in container["Environment"]]
