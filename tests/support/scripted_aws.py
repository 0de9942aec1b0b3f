"""AWS that answers what a test has written down, held to botocore's models of requests and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.session import Session
from botocore.validate import validate_parameters


@cache
def _operations(service: str) -> dict[str, OperationModel]:
    model = Session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, "Operation")


class ScriptedAws:
    """`answers`: of `service.operation` (as botocore's methods are called), a response, an error to raise, or
    a function of the request. What isn't written down is refused."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.say(**answers)

    def say(self, **answers: Any) -> None:
        """`__` stands for the point."""
        self.answers |= {name.replace("__", "."): answer for name, answer in answers.items()}

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def answer(self, service: str, method: str, request: dict[str, Any]) -> Any:
        operation = _operations(service)[method]
        if operation.input_shape is not None:
            validate_parameters(request, operation.input_shape)
        self.asked.append(f"{service}.{method}")
        answer = self.answers.get(f"{service}.{method}", refused("AccessDenied", f"{service}.{method}"))
        if callable(answer):
            answer = answer(**request)
        if isinstance(answer, Exception):
            raise answer
        told = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        if operation.output_shape is not None and "Payload" not in told:
            validate_parameters(told, operation.output_shape)
        return answer


class _Client:
    def __init__(self, aws: ScriptedAws, service: str) -> None:
        self._aws = aws
        self._service = service

    def get_paginator(self, method: str) -> Any:
        def paginate(**request: Any) -> Iterator[Any]:
            yield self._aws.answer(self._service, method, request)

        return SimpleNamespace(paginate=paginate)

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **request: self._aws.answer(self._service, method, request)
