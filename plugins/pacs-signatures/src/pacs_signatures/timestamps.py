"""Certified Timestamps (PS3.15 C.1): tokens of RFC 3161 over the value of Signature (0400,0120).

A dataset has the token without the response that it came in, which is what the library reads: the
response is put around it again, with the status that a token comes with.
"""

from datetime import datetime
from typing import Final

from rfc3161_client import (
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from pacs_signatures.der import der_value, sort_certificates
from pacs_signatures.trust import TrustStore

TYPE: Final = "CMS_TSP"
"""Certified Timestamp Type (0400,0305)."""

_GRANTED: Final = bytes.fromhex("3003020100")
_LARGEST: Final = 64 * 1024
_TIMEOUT: Final = 30.0


class TimestampError(Exception):
    """There is no timestamp, or it does not say what it is said to say."""


def verify_timestamp(token: bytes, signature: bytes, trusted: TrustStore) -> datetime:
    """Return when a signature was there, as an authority has it.

    Parameters
    ----------
    token : bytes
        Value of Certified Timestamp (0400,0310).
    signature : bytes
        Value of Signature (0400,0120), without padding.
    trusted : TrustStore

    Raises
    ------
    TimestampError
        It is not of this signature, or not by who is trusted.
    """
    response = _read(_wrap(der_value(token)))
    _verify(response, VerifierBuilder(roots=list(trusted.certificates)), signature)
    return response.tst_info.gen_time


def request_timestamp(url: str, signature: bytes, trusted: TrustStore) -> bytes:
    """Return the token that an authority makes, verified (RFC 3161 §3.4, by HTTP).

    Raises
    ------
    TimestampError
        It does not answer, or not with a token of this signature by who is trusted.
    """
    # Who has a timestamp verified need not wait for a client of HTTP.
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    request = TimestampRequestBuilder().data(signature).build()
    headers = {"Content-Type": "application/timestamp-query"}
    try:
        posted = Request(url, request.as_bytes(), headers)  # noqa: S310 - the scheme was checked
        with urlopen(posted, timeout=_TIMEOUT) as answer:  # noqa: S310
            response = _read(answer.read(_LARGEST))
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise TimestampError(f"{url}: {error}") from error
    builder = VerifierBuilder(nonce=request.nonce, roots=list(trusted.certificates))
    _verify(response, builder, signature)
    return response.time_stamp_token()


def _verify(response: TimeStampResponse, builder: VerifierBuilder, signature: bytes) -> None:
    try:
        builder.build().verify_message(response, signature)
    except (VerificationError, ValueError) as error:
        raise TimestampError(str(error)) from error


def _read(data: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(data)
    except ValueError:
        response = None
    try:
        response = response or decode_timestamp_response(sort_certificates(data))
        if response.status:
            reason = ", ".join(response.status_string) or f"status {response.status}"
            raise TimestampError(f"there is no timestamp: {reason}")
        response.tst_info  # noqa: B018 - raises, where there is no token
    except ValueError as error:
        raise TimestampError(f"it is no timestamp: {error}") from error
    return response


def _wrap(token: bytes) -> bytes:
    content = _GRANTED + token
    size = len(content)
    width = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 0x80 else bytes([0x80 | width]) + size.to_bytes(width, "big")
    return b"\x30" + length + content
