"""Counts what AWS would bill, inside each process of a function and of the connector.

Python imports a module of this name at its start. The measurement puts this folder on PYTHONPATH of the
deployed functions; nothing of it is in the layer. Each invocation becomes one line of the file that COST_LOG
names. The counting itself takes time: that is measured and taken off.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import time
from typing import Any

CHUNK = 65536
"""SQS and EventBridge bill a request for each begun 64 KB."""


def named(service: str, operation: str, params: dict[str, Any]) -> str:
    """Under which name a call is counted. A FIFO queue, whose URL says so, has a price of its own."""
    fifo = ".fifo" if str(params.get("QueueUrl", "")).endswith(".fifo") else ""
    return f"{service}:{operation}{fifo}"


class Counter:
    """What happened since the last line. Threads of one process share it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()
        self._inside = threading.local()
        self.function = os.environ.get("POWERTOOLS_SERVICE_NAME", "?")
        self.clear()

    def clear(self) -> None:
        self.calls: dict[str, int] = {}
        self.read_units = self.write_units = 0.0
        self.looking_wall = self.looking_cpu = 0.0
        self.sent: list[int] = []
        self.events: list[int] = []
        self.log: list[str] = []
        self.units_of: dict[str, float] = {}
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def line(self, **more: Any) -> None:
        wall = time.monotonic() - self.wall - self.looking_wall
        cpu = time.process_time() - self.cpu - self.looking_cpu
        value = {
            "function": self.function,
            "wall_ms": max(wall, 0) * 1000,
            "cpu_ms": max(cpu, 0) * 1000,
            "calls": self.calls,
            "read_units": self.read_units,
            "write_units": self.write_units,
            "units_of": self.units_of,
            "sqs_bytes": self.sent,
            "event_bytes": self.events,
            "log": "".join(self.log),
            "at": time.time(),
        }
        os.write(self._file, (json.dumps(value | more) + "\n").encode())
        self.clear()

    def call(self, plain: Any, client: Any, operation: str, params: dict[str, Any]) -> Any:
        """Carry out one call of boto3 and count it."""
        if getattr(self._inside, "looking", False):
            return plain(client, operation, params)
        service = client.meta.service_model.service_name
        before = self._looked(client, operation, params) if service == "dynamodb" else {}
        answer: dict[str, Any] = {}
        try:
            answer = plain(client, operation, params)
            return answer
        finally:
            with self._lock:
                name = named(service, operation, params)
                self.calls[name] = self.calls.get(name, 0) + 1
                if service == "sqs":
                    self._count_messages(operation, params)
                if service == "events":
                    self.events += [len(json.dumps(entry)) for entry in params.get("Entries", ())]
            if service == "dynamodb":
                self._count_units(client, operation, params, answer, before)

    def _count_messages(self, operation: str, params: dict[str, Any]) -> None:
        if operation == "SendMessage":
            self.sent.append(len(params["MessageBody"].encode()))
        elif operation == "SendMessageBatch":
            self.sent += [len(entry["MessageBody"].encode()) for entry in params["Entries"]]

    def _looked(self, client: Any, operation: str, params: dict[str, Any]) -> dict[Any, Any]:
        from tests.bench.capacity import written

        # The time of this thread alone: others may work meanwhile.
        wall, cpu, self._inside.looking = time.monotonic(), time.thread_time(), True
        try:
            found = {}
            for table, pk, sk in written(operation, params):
                key = {"pk": {"S": pk}, "sk": {"S": sk}}
                answer = client.get_item(TableName=table, Key=key, ConsistentRead=True)
                found[table, pk, sk] = answer.get("Item", {})
            return found
        finally:
            self._inside.looking = False
            with self._lock:
                self.looking_wall += time.monotonic() - wall
                self.looking_cpu += time.thread_time() - cpu

    def _count_units(
        self, client: Any, operation: str, params: dict[str, Any], answer: Any, before: dict[Any, Any]
    ) -> None:
        from tests.bench.capacity import READS, read_units, write_units

        if operation in READS:
            with self._lock:
                self.read_units += read_units(operation, params, answer)
            return
        after = self._looked(client, operation, params)
        factor = 2 if operation == "TransactWriteItems" else 1
        with self._lock:
            for key, image in before.items():
                units = write_units(image, after[key], factor)
                self.write_units += units
                kind = key[1].partition("#")[0] + "/" + key[2].partition("#")[0][:16] + f" ×{factor}"
                self.units_of[kind] = self.units_of.get(kind, 0) + units


class Tee:
    """The stream that the functions log to."""

    def __init__(self, stream: Any, counter: Counter) -> None:
        self._stream = stream
        self._counter = counter

    def write(self, text: str) -> int:
        self._counter.log.append(text)
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Answers:
    """The pipe on which a worker says that it is ready, or that an invocation is over."""

    def __init__(self, stream: Any, counter: Counter) -> None:
        self._stream = stream
        self._counter = counter

    def write(self, text: str) -> int:
        if text.startswith('{"status"'):
            self._counter.line(ready='"cold"' in text, records=getattr(self._counter, "records", 0))
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Questions:
    """The pipe on which a worker is told what to do."""

    def __init__(self, stream: Any, counter: Counter) -> None:
        self._stream = stream
        self._counter = counter

    def readline(self, *arguments: Any) -> str:
        line = str(self._stream.readline(*arguments))
        if line.startswith('{"event"'):
            event = json.loads(line)["event"]
            self._counter.records = len(event["Records"]) if "Records" in event else 1  # type: ignore[attr-defined]
        log = self._counter.log
        self._counter.clear()
        self._counter.log = log
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Puts the counter below boto3 as soon as it is loaded."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "botocore.client":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        self._loader = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        counter, plain = self._counter, module.BaseClient._make_api_call

        def _make_api_call(client: Any, operation_name: str, api_params: Any) -> Any:
            return counter.call(plain, client, operation_name, api_params)

        module.BaseClient._make_api_call = _make_api_call


def install(path: str) -> None:
    counter = Counter(path)
    sys.meta_path.insert(0, Hook(counter))
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        sys.stderr = Tee(sys.stderr, counter)
        sys.stdin = Questions(sys.stdin, counter)
        sys.stdout = Answers(sys.stdout, counter)
        return

    def each_ten_seconds() -> None:
        while True:
            time.sleep(10)
            with counter._lock:
                counter.line(ready=False, records=0)

    threading.Thread(target=each_ten_seconds, daemon=True).start()


if "COST_LOG" in os.environ:
    install(os.environ["COST_LOG"])
