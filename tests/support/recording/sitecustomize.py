"""Notes each AWS call of a process whose environment asks for it: put this folder on the PYTHONPATH.

A line for each call that is new to the process: who called, the action, the resource, and what is limited.
"""

from __future__ import annotations

import json
import os

FILE, CALLER = "RECORD_AWS_CALLS", "AWS_CALLER"


def _install(file: str, caller: str) -> None:
    import botocore.session
    from calls import Call, calls

    seen: set[Call] = set()

    def note(params: object, model: object, **_: object) -> None:
        operation = model  # botocore's OperationModel
        service = operation.service_model.service_name  # type: ignore[attr-defined]
        new = set(calls(service, operation.name, params)) - seen  # type: ignore[attr-defined, arg-type]
        if new:
            seen.update(new)
            lines = "".join(json.dumps([caller, *call]) + "\n" for call in sorted(new))
            with open(file, "a", encoding="utf-8") as log:
                log.write(lines)

    begin = botocore.session.Session.__init__

    def begin_noting(self: object, *args: object, **kwargs: object) -> None:
        begin(self, *args, **kwargs)  # type: ignore[arg-type]
        self.register("provide-client-params.*.*", note)  # type: ignore[attr-defined]

    botocore.session.Session.__init__ = begin_noting  # type: ignore[assignment, method-assign]


_caller = os.environ.get(CALLER) or os.environ.get("POWERTOOLS_SERVICE_NAME")
if FILE in os.environ and _caller:
    _install(os.environ[FILE], _caller)
