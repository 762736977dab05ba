"""Envelopes: headers of WS-Addressing and WS-Security, bodies, faults (SOAP 1.2 part 1, §5)."""

from enum import StrEnum
from typing import Final
from uuid import uuid4

from attrs import frozen

from pacs_xds.soap.xml import (
    SAML,
    SOAP,
    SOAP_1_1,
    WSA,
    WSSE,
    Element,
    MalformedXml,
    element,
    find,
    find_all,
    parse,
    text_of,
)

ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/fault"

_UNDERSTOOD: Final = frozenset({WSA, WSSE})
"""Namespaces of headers that may be marked ``mustUnderstand``."""
_TRUE: Final = frozenset({"1", "true"})
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


class FaultCode(StrEnum):
    """Codes of faults (SOAP 1.2 part 1, Table 4)."""

    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"
    SENDER = "Sender"
    RECEIVER = "Receiver"


class SoapFault(Exception):  # noqa: N818
    """A fault: one to answer with, or one that was answered.

    Parameters
    ----------
    code : str
        See :class:`FaultCode`.
    reason : str
        For people.
    status : int
        Of HTTP (SOAP 1.2 part 2, Table 20).
    subcode : str
        Of WS-Addressing, without its prefix.
    """

    def __init__(self, code: str, reason: str, status: int = 0, subcode: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.subcode = code, reason, subcode
        self.status = status or (400 if code == FaultCode.SENDER else 500)


@frozen
class Message:
    """A message, taken apart.

    Attributes
    ----------
    action, message_id, relates_to, reply_to : str
        Of WS-Addressing; empty where a header is missing.
    body : element
        The one child of the body.
    subject : str
        NameID of a SAML assertion that came with it, which nobody here has verified.
    """

    action: str
    message_id: str
    relates_to: str
    body: Element
    subject: str = ""
    reply_to: str = ""


def make_envelope(
    action: str,
    body: Element,
    *,
    to: str = "",
    relates_to: str = "",
    assertion: Element | None = None,
) -> Element:
    """Return an envelope.

    Parameters
    ----------
    action : str
    body : element
    to : str
        URL of the one who is asked; empty in an answer.
    relates_to : str
        Message ID of the request, in an answer.
    assertion : element, optional
        A SAML assertion, which goes into a header of WS-Security as it is.
    """
    header = element(SOAP, "Header", _marked(element(WSA, "Action", action)))
    header.append(element(WSA, "MessageID", uuid4().urn))
    if to:
        header.append(_marked(element(WSA, "To", to)))
        header.append(element(WSA, "ReplyTo", element(WSA, "Address", ANONYMOUS)))
    if relates_to:
        header.append(element(WSA, "RelatesTo", relates_to))
    if assertion is not None:
        header.append(element(WSSE, "Security", assertion))
    return element(SOAP, "Envelope", header, element(SOAP, "Body", body))


def _marked(header: Element) -> Element:
    header.set(f"{{{SOAP}}}mustUnderstand", "1")
    return header


def make_fault(fault: SoapFault, relates_to: str = "") -> Element:
    """Return the envelope of a fault (SOAP 1.2 part 1, §5.4)."""
    code = element(SOAP, "Code", element(SOAP, "Value", f"env:{fault.code}"))
    if fault.subcode:
        code.append(element(SOAP, "Subcode", element(SOAP, "Value", f"wsa:{fault.subcode}")))
    text = element(SOAP, "Text", fault.reason)
    text.set(_XML_LANG, "en")
    body = element(SOAP, "Fault", code, element(SOAP, "Reason", text))
    return make_envelope(FAULT_ACTION, body, relates_to=relates_to)


def read_envelope(text: bytes) -> Message:
    """Return a message.

    Raises
    ------
    SoapFault
        The fault with which to answer what is no message of SOAP 1.2, or has headers that must be
        understood and are not.
    """
    try:
        root = parse(text)
    except MalformedXml as error:
        raise SoapFault(FaultCode.SENDER, str(error)) from error
    if root.tag == f"{{{SOAP_1_1}}}Envelope":
        raise SoapFault(FaultCode.VERSION_MISMATCH, "this is SOAP 1.1; SOAP 1.2 is spoken here")
    if root.tag != f"{{{SOAP}}}Envelope":
        raise SoapFault(FaultCode.VERSION_MISMATCH, "the message is no SOAP envelope")
    body = find(root, SOAP, "Body")
    if body is None or len(body) != 1:
        raise SoapFault(FaultCode.SENDER, "the body of the message has not just one element")
    header = find(root, SOAP, "Header")
    if header is None:
        return Message("", "", "", body[0])
    for each in header:
        namespace = each.tag.partition("}")[0].lstrip("{")
        if each.get(f"{{{SOAP}}}mustUnderstand") in _TRUE and namespace not in _UNDERSTOOD:
            raise SoapFault(FaultCode.MUST_UNDERSTAND, f"the header {each.tag:.200} is not known")
    reply_to = find(header, WSA, "ReplyTo")
    subject = next((found.text or "" for found in find_all(header, SAML, "NameID")), "")
    return Message(
        text_of(header, WSA, "Action"),
        text_of(header, WSA, "MessageID"),
        text_of(header, WSA, "RelatesTo"),
        body[0],
        subject.strip()[:200],
        "" if reply_to is None else text_of(reply_to, WSA, "Address")[:200],
    )


def read_fault(body: Element) -> SoapFault | None:
    """Return the fault that is the body of a message; None if it is none."""
    if body.tag != f"{{{SOAP}}}Fault":
        return None
    value = next((each.text or "" for each in find_all(body, SOAP, "Value")), "")
    reason = next((each.text or "" for each in find_all(body, SOAP, "Text")), "")
    return SoapFault(value.rpartition(":")[2].strip(), " ".join(reason.split())[:500])
