"""The wheel that `pip install .` builds: what it holds, what it declares, what building it leaves."""

from __future__ import annotations

import re
import tomllib
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest

from tests.support.templates import template
from tests.support.wheel import all_modules, build, copy_sources, distributions
from tocsin_local.paths import ROOT

PACKAGES = {"tocsin", "tocsin_console", "tocsin_local", "tocsin_whatsapp_server"}


class Built(NamedTuple):
    """`site`: the wheel, unpacked; `metadata`: what it says of itself; `left`: what the build left."""

    site: Path
    metadata: Message
    left: set[str]

    def requires(self, *extras: str) -> set[str]:
        """The names of the packages that it wants, with these extras."""
        wanted = [line.partition(";") for line in self.metadata.get_all("Requires-Dist", [])]
        chosen = [
            what for what, _, only in wanted if not only or any(f"'{extra}'" in only for extra in extras)
        ]
        return {name.group() for what in chosen if (name := re.match(r"[\w-]+", what))}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(folder / "sources")
    before = set(sources.rglob("*"))
    with ZipFile(build(sources, folder)) as wheel:
        wheel.extractall(folder / "site")
    (metadata,) = (folder / "site").glob("*.dist-info/METADATA")
    left = {str(path.relative_to(sources)) for path in set(sources.rglob("*")) - before}
    return Built(folder / "site", message_from_string(metadata.read_text(encoding="utf-8")), left)


@pytest.mark.slow
def test_building_it_leaves_nothing_in_the_checkout(built: Built) -> None:
    assert built.left == set()


@pytest.mark.slow
def test_it_holds_these_packages_and_nothing_else(built: Built) -> None:
    assert {path.name for path in built.site.iterdir() if not path.name.endswith(".dist-info")} == PACKAGES


def test_it_holds_the_files_that_the_code_reads(built: Built) -> None:
    source = ROOT / "layers" / "core"
    data = {str(path.relative_to(source)) for path in (source / "tocsin").rglob("*") if path.is_file()}
    held = {str(path.relative_to(built.site)) for path in built.site.rglob("*")}
    assert "tocsin/notify/events/ticket-event.schema.json" in data
    assert {name for name in data if not name.endswith(".pyc")} - held == set()


@pytest.mark.slow
def test_it_declares_what_the_console_imports_and_no_more(built: Built) -> None:
    modules = all_modules(built.site, "tocsin_console")
    assert built.requires() == distributions(built.site, modules)


@pytest.mark.slow
def test_its_extra_declares_what_all_the_rest_imports_and_no_more(built: Built) -> None:
    modules = [module for package in PACKAGES for module in all_modules(built.site, package)]
    assert built.requires("local") == distributions(built.site, modules)


def test_every_requirement_says_from_which_version_on(built: Built) -> None:
    assert [line for line in built.metadata.get_all("Requires-Dist", []) if ">=" not in line] == []


def test_the_template_shows_the_version_of_the_package(built: Built) -> None:
    assert template()["Outputs"]["Version"]["Value"] == built.metadata["Version"]


def test_the_pinned_requirements_hold_all_that_is_declared(built: Built) -> None:
    pinned = (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")
    assert {name for name in built.requires("local") if f"\n{name}==" not in pinned} == set()


def test_it_can_be_built_with_what_the_set_up_installs() -> None:
    """The set-up builds without isolation, so the backend must be among what is pinned."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (backend,) = settings["build-system"]["requires"]
    assert backend in (ROOT / "requirements" / "run.in").read_text(encoding="utf-8").splitlines()
