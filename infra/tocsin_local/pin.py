"""Pin the requirements anew: every `.in` file becomes a `.txt` with versions and hashes.

Each `.txt` is good for every Python from 3.11 on and every platform. The files that share an environment are
pinned in order, each holding to what the one before chose, so layer, demo and tests run the same versions.
"""

from __future__ import annotations

import subprocess
import sys

from tocsin_local.bootstrap import quiet_environment
from tocsin_local.paths import REQUIREMENTS, ROOT, TOOLS

LAYER = ROOT / "layers" / "core" / "requirements.in"

# A file, and the one whose choices it holds to.
FILES = (
    (LAYER, None),
    (REQUIREMENTS / "run.in", LAYER),
    (REQUIREMENTS / "dev.in", REQUIREMENTS / "run.in"),
    (REQUIREMENTS / "bench.in", REQUIREMENTS / "dev.in"),
    (REQUIREMENTS / "sam.in", None),
    (REQUIREMENTS / "emulator.in", None),
    (REQUIREMENTS / "node.in", None),
    (REQUIREMENTS / "docs.in", None),
    (REQUIREMENTS / "whatsmeow.in", None),
    (REQUIREMENTS / "pin.in", None),
)

OPTIONS = (
    "--quiet",
    "--upgrade",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-annotate",
    "--no-emit-index-url",
    "--custom-compile-command=make requirements",
)


def main() -> None:
    """Write every `.txt`. What fails says so itself."""
    environment = TOOLS / "pin"
    python = environment / "bin" / "python"
    requirements = str(REQUIREMENTS / "pin.txt")
    run(sys.executable, "-m", "venv", "--clear", str(environment))
    run(str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements)
    for file, held in FILES:
        print(f"pinning {file.relative_to(ROOT)}", flush=True)
        holding = ["--constraint", str(held.with_suffix(".txt").relative_to(ROOT))] if held else []
        source, target = (str(path.relative_to(ROOT)) for path in (file, file.with_suffix(".txt")))
        run(str(python), "-m", "uv", "pip", "compile", *OPTIONS, *holding, source, "--output-file", target)


def run(*command: str) -> None:
    """Run one command in the project's folder. Raises `CalledProcessError`."""
    subprocess.run(command, cwd=ROOT, env=quiet_environment(), check=True)


if __name__ == "__main__":
    main()
