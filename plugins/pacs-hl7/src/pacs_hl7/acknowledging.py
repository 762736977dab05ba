"""Acknowledgments (HL7 V2.x 2.9.2): MSH, MSA, and ERR where there is something wrong."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pacs_hl7.messages import Fault, MessageError

_ERRORS: Final = {
    Fault.SEGMENT_SEQUENCE: "Segment sequence error",
    Fault.REQUIRED_FIELD_MISSING: "Required field missing",
    Fault.DATA_TYPE: "Data type error",
    Fault.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    Fault.UNKNOWN_KEY: "Unknown key identifier",
    Fault.DUPLICATE_KEY: "Duplicate key identifier",
    Fault.INTERNAL: "Application internal error",
}
_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "&": "\\T\\",
        "~": "\\R\\",
        "\r": " ",
        "\n": " ",
    }
)


def escape(text: str) -> str:
    """Return text as a value of a message: delimiters escaped (HL7 V2.x 2.7), lines joined."""
    return text.translate(_ESCAPES)


class Code(StrEnum):
    """Acknowledgment code (HL7 table 0008)."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"


def acknowledge(
    content: bytes, number: str, *, application: str, error: MessageError | None = None
) -> bytes:
    """Return the acknowledgment of a message, however broken that is.

    It has the usual delimiters, whatever those of the message, and is in UTF-8.

    Parameters
    ----------
    content : bytes
        The message.
    number : str
        Message control ID of the acknowledgment.
    application : str
        Of this system, if the message does not say whom it is for.
    error : MessageError, optional
        What is wrong.
    """
    header = (
        content.lstrip(b"\r\n").split(b"\r", 1)[0].split(b"\n", 1)[0].decode("utf-8", "replace")
    )
    fields = header.split(header[3:4]) if header.startswith("MSH") and len(header) > 3 else []
    fields += [""] * (18 - len(fields))
    # MSH-1 is the separator itself: MSH-n is at n - 1.
    sender, receiver = fields[2:4], fields[4:6]
    trigger = [*fields[8].split("^"), "", ""][1]
    kind = f"ACK^{trigger}^ACK" if trigger else "ACK"
    version = fields[11].split("^")[0] or "2.5.1"
    moment = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")
    own = receiver if receiver[0] else [application, receiver[1]]
    code = Code.ACCEPT
    if error is not None:
        code = Code.REJECT if error.is_rejected else Code.ERROR
    said = "" if error is None else escape(str(error)[:200])
    identity = [moment, "", kind, number, fields[10] or "P", version]
    segments = [
        ["MSH", r"^~\&", *own, *sender, *identity, "", "", "", "", "", "UNICODE UTF-8"],
        ["MSA", code, fields[9], said],
    ]
    if error is not None:
        condition = f"{error.fault}^{_ERRORS[error.fault]}^HL70357"
        # ERR has had this form since version 2.5; before, all is in its first field.
        is_new = version[:3] >= "2.5"
        segments.append(
            ["ERR", "", "", condition, "E", "", "", "", said]
            if is_new
            else ["ERR", f"^^^{condition.replace('^', '&')}"]
        )
    return ("\r".join("|".join(segment) for segment in segments) + "\r").encode()
