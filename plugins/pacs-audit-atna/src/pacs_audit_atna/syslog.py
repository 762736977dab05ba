"""Syslog messages (RFC 5424), and their frames on a stream (RFC 5425 §4.3)."""

import re
from datetime import datetime
from typing import Final

from pacs_core.contracts import Outcome

# Facility 10, security and authorization messages; severities 5 (notice), 4 (warning), 3 (error).
_PRIORITIES: Final = {Outcome.SUCCESS: 85, Outcome.WARNING: 84, Outcome.FAILURE: 83}

_BOM: Final = b"\xef\xbb\xbf"
_NOT_PRINTABLE: Final = re.compile("[^!-~]")


def syslog_message(
    text: bytes,
    *,
    outcome: Outcome,
    time: datetime,
    host: str,
    process: int,
    message_id: str,
) -> bytes:
    """Return a message of RFC 5424, without structured data, whose text is UTF-8.

    Parameters
    ----------
    text : bytes
        UTF-8.
    outcome : Outcome
        Says the severity.
    time : datetime
        UTC.
    host : str
        Of this machine.
    process : int
        Number of the process.
    message_id : str
        What kind of text it is.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    name = _NOT_PRINTABLE.sub("?", host)[:255] or "-"
    head = f"<{_PRIORITIES[outcome]}>1 {stamp} {name} pacs-core {process} {message_id} - "
    return head.encode("ascii") + _BOM + text


def frame(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return b"%d %b" % (len(message), message)
