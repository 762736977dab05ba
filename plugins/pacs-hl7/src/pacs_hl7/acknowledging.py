"""Acknowledgments (HL7 V2.x 2.9.2): MSH, MSA, and ERR where there is something wrong."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pacs_hl7.messages import Fault, MessageError, read_header

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


def _translation(delimiters: str) -> dict[int, str]:
    """Return how a value with these delimiters is one with the usual ones."""
    table = dict(_ESCAPES)
    table.update({ord(one): usual for one, usual in zip(delimiters[1:], "^~\\&", strict=False)})
    return table


class Code(StrEnum):
    """Acknowledgment code (HL7 table 0008)."""

    ACCEPT = "AA"
    ERROR = "AE"
    REJECT = "AR"


def acknowledge(
    content: bytes,
    number: str,
    *,
    application: str,
    error: MessageError | None = None,
    default: str = "utf-8",
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
    default : str
        Python's name of the character set of messages that name none.
    """
    header = read_header(content, default)
    ours = _translation(header.delimiters)

    def told(number: int) -> str:
        return header.get(number).translate(ours)

    sender, receiver = [told(3), told(4)], [told(5), told(6)]
    trigger = [*told(9).split("^"), "", ""][1]
    kind = f"ACK^{trigger}^ACK" if trigger else "ACK"
    version = told(12).split("^")[0] or "2.5.1"
    moment = datetime.now().astimezone().strftime("%Y%m%d%H%M%S%z")
    own = receiver if receiver[0] else [application, receiver[1]]
    code = Code.ACCEPT
    if error is not None:
        code = Code.REJECT if error.is_rejected else Code.ERROR
    said = "" if error is None else escape(str(error)[:200])
    identity = [moment, "", kind, number, told(11) or "P", version]
    segments = [
        ["MSH", r"^~\&", *own, *sender, *identity, "", "", "", "", "", "UNICODE UTF-8"],
        ["MSA", code, told(10), said],
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
