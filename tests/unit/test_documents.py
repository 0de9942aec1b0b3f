"""What the pages at the root name exists: files, commands, packages."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.templates import template

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "UPGRADING.md", "CHANGELOG.md"]
FOLDERS = ("functions/", "infra/", "layers/", "tests/")


def links(page: str) -> set[str]:
    """The targets of the links to this project's own files, without their anchors."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)}
    return {target for target in targets if target and not target.startswith("http")}


def all_pages() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    # These are put together below infra, as one page.
    return [name for name in listed if name and name not in ("tests/cost/page.md", "tests/cost/aims.md")]


def paths(page: str) -> set[str]:
    """The paths that stand in backticks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return {word for word in re.findall(r"`([^`\s<>*]+)`", text) if word.startswith(FOLDERS)}


def commands(page: str) -> set[str]:
    return set(
        re.findall(r"\bmake ([a-z-]+)(?=`|\s+#|\s+[A-Z]+=)", (ROOT / page).read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    assert [name for name in sorted(paths(page)) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", all_pages())
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    """In the repository, where they are read as well as on the site."""
    folder = (ROOT / page).parent
    assert [name for name in sorted(links(page)) if not (folder / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert commands(page) <= {target for line in targets for target in line.split()}


def test_the_check_sees_what_the_pages_name() -> None:
    assert "layers/core/tocsin/notify/planning.py" in links("ARCHITECTURE.md")
    assert "tests/scenarios" in paths("CONTRIBUTING.md")
    assert {"check", "interop"} <= commands("CONTRIBUTING.md")


def test_every_folder_of_the_tests_is_explained() -> None:
    folders = {f"tests/{path.name}" for path in (ROOT / "tests").iterdir() if any(path.glob("**/*.py"))}
    assert {name for name in folders if (ROOT / name).is_dir()} == {
        name for name in paths("CONTRIBUTING.md") if name.count("/") == 1 and (ROOT / name).is_dir()
    }


def test_one_version_is_told_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0] == version
    assert template()["Outputs"]["Version"]["Value"] == version
    assert f"console and stack are {version};" in (ROOT / "README.md").read_text(encoding="utf-8")
