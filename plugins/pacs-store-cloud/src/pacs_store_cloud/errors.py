"""Errors of the services, in the terms of the contract and of whoever must act."""

import re
from datetime import UTC, datetime
from typing import Final

from pacs_core.contracts import StorageFullError


class BucketError(StorageFullError):
    """The bucket takes nothing now, or answers nothing: whoever sends an object may come again."""


class MisconfiguredError(BucketError):
    """The bucket takes nothing before somebody has changed it, or the configuration."""


_CLOCK: Final = "set this machine's clock by NTP: the service compares it with its own"
_PERMISSION: Final = (
    "let the credentials read, write, delete and list objects (s3:GetObject, s3:PutObject, "
    "s3:DeleteObject, s3:ListBucket; Storage Blob Data Contributor; Storage Object User)"
)
_CREDENTIALS: Final = "correct the credentials of the store, or what the environment offers"
_ROLE: Final = (
    "give the store credentials: by its table, the environment, or a role of the instance"
)

# What an answer says, in the order of looking, and what to do about it.
_ADVICE: Final = (
    ("RequestTimeTooSkewed", "the clock of this machine is wrong", _CLOCK),
    ("Request date header too old", "the clock of this machine is wrong", _CLOCK),
    ("NoSuchBucket", "there is no such bucket", "make it, or correct `bucket`"),
    ("ContainerNotFound", "there is no such container", "make it, or correct `container`"),
    ("bucket does not exist", "there is no such bucket", "make it, or correct `bucket`"),
    ("AuthorizationHeaderMalformed", "the region is wrong", "correct `region`"),
    ("PermanentRedirect", "the region is wrong", "correct `region`"),
    ("incorrectly configured region", "the region is wrong", "correct `region`"),
    ("IllegalLocationConstraint", "the region is wrong", "correct `region`"),
    ("InvalidAccessKeyId", "the access key is not known", _CREDENTIALS),
    ("SignatureDoesNotMatch", "the secret key is wrong", _CREDENTIALS),
    ("AuthenticationFailed", "the credentials are wrong, or the clock is", _CREDENTIALS),
    ("Server failed to authenticate", "the credentials are wrong, or the clock is", _CREDENTIALS),
    ("ExpiredToken", "the session token has expired", _CREDENTIALS),
    ("InvalidToken", "the session token is wrong", _CREDENTIALS),
    ("KMS", "the key of the encryption cannot be used", "correct `kms_key`, or its policy"),
    ("AccountIsDisabled", "the account is disabled", "have it enabled"),
    ("InvalidObjectState", "the object is in an archive class", "restore it there first"),
    ("169.254.169.254", "there are no credentials", _ROLE),
    ("metadata.google.internal", "there are no credentials", _ROLE),
    ("AccessDenied", "the credentials do not allow this", _PERMISSION),
    ("AuthorizationFailure", "the credentials do not allow this", _PERMISSION),
    ("AuthorizationPermissionMismatch", "the credentials do not allow this", _PERMISSION),
)
_QUERY: Final = re.compile(r"(?<=[^\s?])\?[^\s\"']+")
"""Of a URL: it holds the signature of whoever has a SAS token."""
_REGION: Final = re.compile(r"<Region>([a-z0-9-]+)</Region>|expecting '([a-z0-9-]+)'")
_REQUEST_TIME: Final = re.compile(r"<RequestTime>(\d{8}T\d{6}Z)</RequestTime>")
_SERVER_TIME: Final = re.compile(r"<ServerTime>([\d-]{10}T[\d:]{8})\S*?Z</ServerTime>")
_WRONG: Final = ("PermissionDeniedError", "UnauthenticatedError")


def describe(error: BaseException) -> str:
    """Return the first line of an error, without markup, and without the secrets of a URL."""
    text = str(error).split("\n", 1)[0].split("<?xml", 1)[0].strip()
    return _QUERY.sub("", text)[:400] or type(error).__name__


def advise(error: BaseException) -> str:
    """Return what is wrong and what to do, if it is a matter of configuration; else nothing."""
    text = str(error)
    for needle, what, action in _ADVICE:
        if needle not in text:
            continue
        if action == _CLOCK:
            what += _measure_skew(text)
        elif (region := _REGION.search(text)) and "`region`" in action:
            action += f", the service says {region[1] or region[2]!r}"
        return f"{what}: {action}"
    if type(error).__name__ in _WRONG or "403 Forbidden" in text:
        return f"the service refuses the credentials: {_PERMISSION}"
    if "401 Unauthorized" in text:
        return f"the service refuses the credentials: {_CREDENTIALS}"
    if "301 Moved" in text or "307 Temporary" in text:
        return "the region is wrong: correct `region`"
    return ""


def _measure_skew(text: str) -> str:
    """Return by how much the clock is wrong, if the answer of S3 says so."""
    requested, answered = _REQUEST_TIME.search(text), _SERVER_TIME.search(text)
    if not requested or not answered:
        return ""
    ours = datetime.strptime(requested[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    theirs = datetime.fromisoformat(answered[1]).replace(tzinfo=UTC)
    return f" by {(ours - theirs).total_seconds():.0f} s"
