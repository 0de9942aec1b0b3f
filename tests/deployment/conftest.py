"""An emulator for each module that deploys by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tocsin_local.emulator import Emulator, emulator, interpreter, run_folder


@pytest.fixture(scope="module")
def aws(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    if not interpreter().exists():
        pytest.skip("the emulator isn't installed: make setup")
    name = request.path.stem.removeprefix("test_").replace("_", "-")
    with run_folder(name) as folder, emulator(folder) as running:
        yield running
