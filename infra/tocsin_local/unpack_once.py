"""MiniStack, with archives that are unpacked once. Its own interpreter runs this, which has nothing of ours.

For each process of a function MiniStack checks and unpacks the whole layer anew: three thousand files, half a
second of a processor, and a storm of kills starts hundreds of processes. Here each archive is unpacked once,
and whoever unpacks it again gets links to what lies there already. A function can't write into its layer, on
AWS neither.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
import threading
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar
from zipfile import BadZipFile, LargeZipFile, ZipFile


class UnpackedOnce(ZipFile):
    """A file's content, unpacked at its first `extractall` in this process and linked to at each other."""

    _folders: ClassVar[dict[str, Path]] = {}
    _unpacking: ClassVar[threading.Lock] = threading.Lock()

    def namelist(self) -> list[str]:
        """What lies at the top. Asked for to see whether a member leaves the folder: `ZipFile` lets none."""
        return sorted({name.partition("/")[0] for name in super().namelist()})

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        for entry in self._unpacked().iterdir():
            Path(path or os.curdir, entry.name).symlink_to(entry)

    def _unpacked(self) -> Path:
        content = Path(str(self.filename)).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        with self._unpacking:
            if digest not in self._folders:
                folder = Path(tempfile.mkdtemp(prefix="unpacked-"))
                super().extractall(folder, super().namelist())
                self._folders[digest] = folder
            return self._folders[digest]


def main() -> None:
    """Run MiniStack until it is ended."""
    runtime = importlib.import_module("ministack.core.lambda_runtime")
    vars(runtime)["zipfile"] = SimpleNamespace(
        ZipFile=UnpackedOnce, BadZipFile=BadZipFile, LargeFileError=LargeZipFile
    )
    # CloudFormation gives numbers of parameters as texts. MiniStack compares this one as it is.
    functions = vars(importlib.import_module("ministack.services.lambda_svc"))
    concurrency = functions["_sqs_esm_concurrency"]
    functions["_sqs_esm_concurrency"] = lambda *given: int(concurrency(*given))
    _beside("ordered_index").install(vars(importlib.import_module("ministack.services.dynamodb")))
    importlib.import_module("ministack.app").main()


def _beside(name: str) -> Any:
    """A module of this folder, which isn't on the path here."""
    loader = SourceFileLoader(name, str(Path(__file__).with_name(f"{name}.py")))
    module = ModuleType(name)
    loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
