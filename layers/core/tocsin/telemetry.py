"""What a function tells CloudWatch: JSON lines of few bytes, and one metric record a batch.

The log group's name and the stack say already which function it is, so no line repeats its name or ARN.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from aws_lambda_powertools import Logger, Metrics

from tocsin.metrics import WHOLE, Tally

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Answer = TypeVar("Answer")
Handler = Callable[[dict[str, Any], "LambdaContext"], Answer]


class Telemetry(Tally):
    """One function's log and metrics."""

    def __init__(self) -> None:
        super().__init__()
        # Lambda's own log levels need this form of the time.
        self.logger = Logger(location=None, use_rfc3339=True)
        layer = logging.getLogger("tocsin")
        layer.handlers = self.logger.handlers
        layer.setLevel(self.logger.log_level)
        # Lambda's runtime has a handler of its own at the root, which would tell every line once more.
        layer.propagate = "AWS_LAMBDA_FUNCTION_NAME" not in os.environ
        self._metrics = Metrics()
        self._cold = True
        self._began = time.monotonic()

    def handler(self, function: Handler[Answer]) -> Handler[Answer]:
        """Wrap a handler: every line of an invocation carries its request's id, and what was counted is told
        at its end, whatever the end. The lines of a container's first invocation say what its start took, in
        ms of the processor."""

        @wraps(function)
        def handle(event: dict[str, Any], context: LambdaContext) -> Answer:
            self._began = time.monotonic()
            self.logger.append_keys(function_request_id=context.aws_request_id)
            if self._cold:
                self.logger.append_keys(cold_start_ms=int(time.process_time() * 1000))
            try:
                return function(event, context)
            finally:
                try:
                    self.flush()
                except Exception:
                    # What was done is done: to raise here would bring the whole batch again.
                    self._metrics.clear_metrics()
                    self.logger.exception("the metrics could not be told")
                if self._cold:
                    self._cold = False
                    self.logger.remove_keys(["cold_start_ms"])

        return handle

    def bug(self, number: int = 1) -> None:
        """Count what nobody foresaw: one alarm watches it for all functions."""
        self.count("Bugs", number, WHOLE)

    @property
    def took_ms(self) -> int:
        """How long the invocation has taken so far."""
        return int((time.monotonic() - self._began) * 1000)

    def flush(self) -> None:
        """Write what was counted into the log."""
        for dimensions, metrics in self.take():
            for dimension in (("stack", os.environ.get("STACK_NAME", "local")), *dimensions):
                self._metrics.add_dimension(*dimension)
            for name, metric in metrics.items():
                for value in metric.values:
                    self._metrics.add_metric(name, metric.unit, value)
            self._metrics.flush_metrics()
