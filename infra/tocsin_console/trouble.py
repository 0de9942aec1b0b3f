"""What AWS's errors mean to an operator: one sentence each, with what to do. Nothing here raises."""

from __future__ import annotations

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

from tocsin.dynamo.errors import TableError

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})

_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "OptInRequired",
    }
)

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "SlowDown",
    }
)

_GONE = frozenset(
    {
        "ResourceNotFoundException",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    }
)

_LOGIN = "log in (aws sso login, or aws configure), or choose other credentials with --profile"

_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.SSOError,
    exceptions.TokenRetrievalError,
    exceptions.RefreshWithMFAUnsupportedError,
)

_UNREACHABLE = (
    exceptions.EndpointConnectionError,
    exceptions.ConnectTimeoutError,
    exceptions.ReadTimeoutError,
    exceptions.ConnectionClosedError,
    exceptions.HTTPClientError,
)


def sentence(error: BotoCoreError | ClientError | TableError, *, where: str) -> str:
    """What went wrong and what to do. `where`: region and endpoint, as far as they are known."""
    if isinstance(error, TableError):
        return _of_table(error, where)
    if isinstance(error, ClientError):
        return _of_answer(error, where)
    if isinstance(error, exceptions.ProfileNotFound):
        return f"{_plain(error)}: 'aws configure list-profiles' lists the profiles"
    if isinstance(error, _NO_CREDENTIALS):
        return f"no usable AWS credentials ({_plain(error)}): {_LOGIN}"
    if isinstance(error, exceptions.InvalidRegionError | exceptions.NoRegionError):
        return f"{_plain(error)}: pass --region, such as ap-southeast-1"
    if isinstance(error, exceptions.SSLError):
        return f"no trusted connection to AWS ({where}): {_plain(error)}; behind a proxy, set AWS_CA_BUNDLE"
    if isinstance(error, _UNREACHABLE):
        return f"AWS doesn't answer ({where}): {_plain(error)}; check network, --region and --endpoint-url"
    return f"{_plain(error)} ({where})"


def _of_table(error: TableError, where: str) -> str:
    if isinstance(error.__cause__, BotoCoreError | ClientError):
        return sentence(error.__cause__, where=where)
    return (
        f"DynamoDB is busy ({type(error).__name__}: {error}), after several tries: wait a minute and repeat"
    )


def _of_answer(error: ClientError, where: str) -> str:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    message = str(error.response.get("Error", {}).get("Message", "")).rstrip(". \n")
    if code in DENIED:
        return f"AWS refused it: {message}. Your AWS permissions must allow what this command does"
    if code in _BAD_CREDENTIALS:
        return f"AWS doesn't accept the credentials in {where} ({code}): {_LOGIN}; is the region enabled?"
    if code in _THROTTLED:
        return f"AWS throttles the requests ({code}), after several tries: wait a minute and repeat"
    if code in _GONE:
        return (
            f"a part of the stack is gone ({error.operation_name}: {message or code}): was it deleted by "
            "hand, or is this another --region? 'sam deploy' shows"
        )
    return f"{error.operation_name} failed in {where}: {code}: {message}"


def _plain(error: BotoCoreError) -> str:
    """The error's own text in one line, without its last full stop."""
    return " ".join(str(error).split()).rstrip(".")
