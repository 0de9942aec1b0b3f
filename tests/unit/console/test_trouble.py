"""Every error of AWS becomes one sentence that says what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import Contention, OutcomeUnknown
from tocsin_console.trouble import sentence


def answer(code: str, message: str = "No.") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (exceptions.NoCredentialsError(), "log in"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), "log in"),
        (exceptions.SSOTokenLoadError(error_msg="expired"), "aws sso login"),
        (exceptions.ProfileNotFound(profile="ops"), "aws configure list-profiles"),
        (exceptions.InvalidRegionError(region_name="x y"), "--region"),
        (exceptions.EndpointConnectionError(endpoint_url="https://sqs.nowhere"), "--endpoint-url"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://sqs.nowhere"), "check network"),
        (exceptions.ReadTimeoutError(endpoint_url="https://sqs.nowhere"), "check network"),
        (exceptions.SSLError(endpoint_url="https://sqs", error="self-signed"), "AWS_CA_BUNDLE"),
        (
            answer("AccessDenied", "User: u is not authorized to perform: sqs:X"),
            "sqs:X. Your AWS permissions",
        ),
        (answer("ExpiredToken"), "log in"),
        (answer("UnrecognizedClientException"), "is the region enabled?"),
        (answer("ThrottlingException"), "wait a minute"),
        (answer("AWS.SimpleQueueService.NonExistentQueue"), "deleted by hand"),
        (answer("ResourceNotFoundException"), "another --region?"),
        (
            answer("InternalFailure", "Try later"),
            "DescribeStacks failed in eu-west-1: InternalFailure: Try later",
        ),
    ],
)
def test_the_sentence_says_what_to_do(error: BotoCoreError | ClientError, advice: str) -> None:
    said = sentence(error, where="eu-west-1")
    assert advice in said
    assert "\n" not in said
    assert not said.endswith(".")


def test_an_answer_without_a_code_is_no_surprise() -> None:
    assert "unknown" in sentence(ClientError({}, "Receive"), where="here")


def test_what_a_table_says_is_told_by_its_cause() -> None:
    lost = OutcomeUnknown("lost")
    lost.__cause__ = exceptions.ReadTimeoutError(endpoint_url="https://dynamodb.nowhere")
    assert "check network" in sentence(lost, where="here")


def test_a_busy_table_is_asked_again_later() -> None:
    said = sentence(Contention("3 keys stayed unread"), where="here")
    assert "3 keys stayed unread" in said
    assert "wait a minute" in said
