"""What AWS refuses, in plain words: what happened to what, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pushkit import TargetError
from pushkit_aws.options import AwsOptions

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

#: `Run.excerpt`: the beginning of a text, of so many characters.
Quote = Callable[[str, int], str]

#: AWS's own sentence for a missing right: "User: ARN is not authorized to perform: ACTION on resource: ARN".
NOT_AUTHORIZED = re.compile(r"not authorized to perform: ([\w:*-]+)(?: on resource: \"?([^\s\"]+))?")
#: The right that an operation needs, where it is not called as the operation is (Service Authorization Reference, S3).
RIGHTS = {
    "head_object": "s3:GetObject",
    "list_objects_v2": "s3:ListBucket",
    "head_bucket": "s3:ListBucket",
    "list_object_versions": "s3:ListBucketVersions",
    "copy_object": "s3:GetObject, s3:GetObjectVersion and s3:PutObject",
    "create_multipart_upload": "s3:PutObject",
    "upload_part": "s3:PutObject",
    "complete_multipart_upload": "s3:PutObject",
    "delete_objects": "s3:DeleteObject",
}
DENIED = {"AccessDenied", "AccessDeniedException", "403", "Forbidden", "UnauthorizedOperation", "AllAccessDisabled"}
#: Codes, the message and the hint; ``{of}`` is "of" what was asked about, ``{what}`` that or the service.
MEANINGS: tuple[tuple[set[str], str, str], ...] = (
    (
        {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"},
        "the credentials have expired",
        "log in again (`aws sso login`), or get new ones",
    ),
    (
        {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"},
        "{service} does not know the access key",
        "is it another account's, or another endpoint's? was it removed?",
    ),
    (
        {"SignatureDoesNotMatch", "InvalidSignatureException"},
        "{service} does not accept the signature",
        "the secret access key is wrong, or the clock of this machine",
    ),
    (
        {"RequestTimeTooSkewed", "RequestInTheFuture"},
        "the clock of this machine and that of {service} differ too much",
        "set the clock of this machine",
    ),
    (
        {"PermanentRedirect", "AuthorizationHeaderMalformed", "301", "IllegalLocationConstraintException"},
        "{what} is in another region",
        "set `region`; {service} says: {text}",
    ),
    (
        # The answer to HEAD has no text.
        {"400"},
        "{service} refused {operation} {of} without saying why",
        "have the credentials expired, or is it another region's?",
    ),
    (
        {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"},
        "what was sent {of} was damaged on its way, and not taken",
        "push again",
    ),
    (
        {"SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"},
        "{service} is asked too often, and says to wait",
        "push again in a while",
    ),
)


class AwsError(TargetError):
    """A service refused a call: ``code`` is AWS's (``NoSuchKey``), ``status`` that of HTTP."""

    def __init__(self, message: str, *, hint: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status

    @property
    def missing(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == 404 and self.code != "NoSuchBucket"


def refused(error: ClientError, service: str, operation: str, parameters: Mapping[str, Any], quote: Quote) -> AwsError:
    """The error for an answer that is a refusal."""
    said: Mapping[str, Any] = error.response.get("Error", {})
    code = str(said.get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    text = quote(str(said.get("Message", "")), 300)
    message, hint = in_words(code, text, service, operation, parameters)
    if code == "NoSuchBucket" or (status == 404 and operation == "head_bucket"):
        message = f"there is no bucket {parameters.get('Bucket')}"
        hint = "correct `bucket`, or make it: push makes none"
    return AwsError(message, hint=hint, code=code, status=status)


def in_words(code: str, text: str, service: str, operation: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The message and the hint for an error of a service, by its code and its own text."""
    subject = resource(parameters)
    if code in DENIED:
        found = NOT_AUTHORIZED.search(text)
        right = found[1] if found else _right(service, operation, versioned="VersionId" in parameters)
        what = found[2] if found and found[2] else subject
        on = f" on {what}" if what else ""
        return f"{service} denies {right}{on}", f"grant {right}{on} to who pushes, or push with other credentials"
    of = f"of {subject}" if subject else ""
    words = {"service": service, "of": of, "what": subject or service, "text": text, "operation": operation}
    for codes, message, hint in MEANINGS:
        if code in codes:
            return message.format_map(words).replace("  ", " "), hint.format_map(words)
    return " ".join(f"{service} refused {operation or 'it'} {of}: {code} {text}".split()), ""


def _right(service: str, operation: str, *, versioned: bool = False) -> str:
    if versioned and operation in {"head_object", "get_object"}:
        return "s3:GetObjectVersion"
    return RIGHTS.get(operation) or f"{service}:{''.join(part.title() for part in operation.split('_'))}"


def resource(parameters: Mapping[str, Any]) -> str:
    """The ARN of the object or bucket that a call of S3 is about, empty for other calls."""
    bucket = parameters.get("Bucket")
    if not bucket:
        return ""
    key = parameters.get("Key")
    if not key and "Delete" in parameters:
        key = "*"
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def unreached(error: BotoCoreError, service: str, options: AwsOptions, quote: Quote) -> TargetError:
    """The error for a call that got no answer, or was never made."""
    from botocore import exceptions as of  # noqa: PLC0415  (with boto3)

    where = options.endpoint_url or service
    text = quote(str(error), 300)
    told: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
        (
            (of.NoCredentialsError, of.PartialCredentialsError),
            "there are no credentials of AWS" if isinstance(error, of.NoCredentialsError) else text,
            "set `profile`, or `access_key_id` and `secret_access_key`, or AWS_ACCESS_KEY_ID in the environment",
        ),
        ((of.ProfileNotFound,), f"there is no profile {options.profile or text}", "look into ~/.aws/config"),
        (
            (of.SSOError, of.TokenRetrievalError, of.CredentialRetrievalError),
            f"the credentials cannot be had: {text}",
            "log in again: `aws sso login`",
        ),
        ((of.NoRegionError,), f"{service} has no region", "set `region`, or AWS_REGION in the environment"),
        ((of.SSLError,), f"the certificate of {where} is not trusted: {text}", "name its authority in `ca_file`"),
        ((of.ReadTimeoutError,), f"{where} gave no sign of life for {options.timeout:g} seconds", "push again"),
        (
            (of.EndpointConnectionError, of.ConnectTimeoutError, of.ConnectionError, of.HTTPClientError),
            f"{where} cannot be reached: {text}",
            "is the service up, and `endpoint_url` or `region` right?",
        ),
        ((of.ParamValidationError,), f"{service} cannot be asked that: {text}", "correct the target's options"),
    )
    for classes, message, hint in told:
        if isinstance(error, classes):
            return TargetError(message, hint=hint)
    return TargetError(f"{service} cannot be used: {text}", hint="correct the target's options, or ~/.aws/config")
