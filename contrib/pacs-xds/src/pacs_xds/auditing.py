"""Audit of transactions, as IHE has it: who took part, and what they were about.

ITI TF-2 3.18.5.1, 3.41.5.1 and 3.43.6.1 say it of ITI-18, ITI-41 and ITI-43, and the supplement XDS
Metadata Update of ITI-57. RAD TF-3 Table 5.1-2 says of RAD-68 that it is an Export, as ITI-41 is,
and of RAD-69 that instances are transferred at the source, and accessed at the consumer. Where some
of what is asked for is had, and some is not, each is an event of its own (ITI TF-2 3.43.6.1).
Whoever writes a message names its own process in it, as its log does, by Alternative User ID.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from lxml import etree
from pacs_core.contracts import (
    AuditObject,
    AuditObjectKind,
    NodeSettings,
    Participant,
    ParticipantRole,
)

from pacs_xds.interface import QUERIED
from pacs_xds.soap.envelope import ANONYMOUS
from pacs_xds.soap.xml import Element
from pacs_xds.transactions import FIND_DOCUMENTS, DocumentKey

_REPORTED: Final = 100
"""Documents and studies that the audit trail names of a request."""


def asking_participants(
    settings: NodeSettings, peer: str, host: str, *, receives: bool
) -> tuple[Participant, Participant]:
    """Return who takes part where this node asks: itself, by its wsa:ReplyTo, and a web service.

    Parameters
    ----------
    settings : NodeSettings
    peer, host : str
        URL of the web service, or AE title of the application entity; and where it is.
    receives : bool
        Whether documents come from there.
    """
    here, there = ParticipantRole.SOURCE, ParticipantRole.DESTINATION
    if receives:
        here, there = there, here
    name = settings.ae_title
    return (
        Participant(ANONYMOUS, here, True, settings.host, name, str(os.getpid())),
        Participant(peer, there, host=host),
    )


def asked_participants(
    url: str, reply_to: str, host: str, name: str
) -> tuple[Participant, Participant]:
    """Return who takes part where this node is asked for documents.

    Parameters
    ----------
    url : str
        Of its web service.
    reply_to : str
        wsa:ReplyTo of the request; empty if it has none.
    host, name : str
        Whence it came, and who has signed in.
    """
    asks = reply_to or ANONYMOUS
    return (
        Participant(
            url,
            ParticipantRole.SOURCE,
            host=urlsplit(url).hostname or "",
            alternative_id=str(os.getpid()),
        ),
        Participant(asks, ParticipantRole.DESTINATION, is_requestor=True, host=host, name=name),
    )


def patient_objects(patient_id: str) -> Iterator[AuditObject]:
    """Iterate over a patient, by the identifier as CX, if it is known."""
    if patient_id:
        yield AuditObject(AuditObjectKind.PATIENT, patient_id)


def submission_object(unique_id: str) -> AuditObject:
    """Return a submission set."""
    return AuditObject(AuditObjectKind.SUBMISSION_SET, unique_id)


def document_objects(keys: Iterable[DocumentKey]) -> Iterator[AuditObject]:
    """Iterate over documents, as far as so many are named."""
    for _, key in zip(range(_REPORTED), keys, strict=False):
        details = {"Repository Unique Id": key.repository_id}
        if key.home:
            details["ihe:homeCommunityID"] = key.home
        yield AuditObject(AuditObjectKind.DOCUMENT, key.unique_id[:64], details=details)


def study_objects(uids: Iterable[str]) -> Iterator[AuditObject]:
    """Iterate over studies, as far as so many are named."""
    for _, uid in zip(range(_REPORTED), dict.fromkeys(uids), strict=False):
        yield AuditObject(AuditObjectKind.STUDY, uid[:64])


def query_object(request: Element) -> AuditObject:
    """Return a stored query, with the AdhocQueryRequest itself."""
    return AuditObject(
        AuditObjectKind.QUERY,
        FIND_DOCUMENTS,
        details={"QueryEncoding": "UTF-8"},
        query=etree.tostring(request, encoding="unicode"),
        id_type=QUERIED.event_type,
    )
