"""Carries out orders of webhooks as Lambda would with so many copies of the function:
`python -m tests.bench.hooks_copies COUNT`.

Each copy has clients of its own and works on one order at a time, which the queue brings; each minute one of
them looks for what is due. It ends with its standard input."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import boto3

from tests.support.handlers import Context, load

SWEEP_SECONDS = 60.0


def work(copy: Any, sqs: Any, url: str) -> None:
    while True:
        got = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=1, AttributeNames=["ApproximateReceiveCount"]
        )
        for message in got.get("Messages", ()):
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            if not copy.lambda_handler({"Records": [record]}, Context())["batchItemFailures"]:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def sweep(copy: Any) -> None:
    while True:
        time.sleep(SWEEP_SECONDS)
        copy.lambda_handler({}, Context())


def main() -> None:
    url = os.environ["HOOKS_QUEUE_URL"]
    for _ in range(int(sys.argv[1])):
        copy, sqs = load("deliver_webhooks"), boto3.session.Session().client("sqs")
        copy.deliveries()
        threading.Thread(target=work, args=(copy, sqs, url), daemon=True).start()
    threading.Thread(target=sweep, args=(load("deliver_webhooks"),), daemon=True).start()
    # What the copies log goes to standard output as well, so this stands alone on the first line.
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
