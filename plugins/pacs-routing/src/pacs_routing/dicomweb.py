"""Deliveries to servers of DICOMweb, by Store transactions (PS3.18 §10.5).

Objects are sent as the archive hands them out, in the form that :mod:`.web_forms` chooses: a server
says of each what it made of it.
"""

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pacs_dicomweb.api import DicomWebClient, DicomWebError, StoreAnswer, open_client

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    DicomWebPeer,
    EventAction,
    InstanceNotFoundError,
    Node,
    NotOnlineError,
    Origin,
    Outcome,
    Sent,
    StoredInstance,
    TranscodingError,
)
from pacs_core.dimse import Status
from pacs_routing.web_forms import ConvertedContent, StoredContent, WebForms

logger = logging.getLogger(__name__)

_MOST: Final = 50
_MOST_BYTES: Final = 64 << 20
_CLIENT_ERRORS: Final = range(400, 500)
_NOT_OF_THE_INSTANCE: Final = frozenset({0, 401, 403, 404, 405, 407, 408, 421, 429})
"""Statuses that say nothing of what was sent: another attempt may do better with all of it."""
_UNSUPPORTED_MEDIA_TYPE: Final = 415
_TRANSFER_SYNTAX_NOT_SUPPORTED: Final = 0xC122
_WARNING: Final = 0xB000

_Content = StoredContent | ConvertedContent


@asynccontextmanager
async def send_by_dicomweb(
    node: Node, instances: Sequence[StoredInstance], peer: DicomWebPeer
) -> AsyncIterator[AsyncIterator[Sent]]:
    """Send instances for an ``async with`` block, as :meth:`Sender.send` does by associations."""
    async with open_client(peer, node.tls) as client, closing(_send(node, client, instances)) as it:
        yield it


async def _send(
    node: Node, client: DicomWebClient, instances: Sequence[StoredInstance]
) -> AsyncIterator[Sent]:
    away, forms = "", WebForms(node, client.peer)
    for batch in _batches(instances):
        if away:
            results = [_failed(each, away, peer_failed=True) for each in batch]
        else:
            results = [each async for each in _store(forms, client, batch)]
            await _record(node, client.peer, results)
        for sent in results:
            away = away or (sent.reason if sent.peer_failed else "")
            yield sent


async def _store(
    forms: WebForms, client: DicomWebClient, batch: Sequence[StoredInstance]
) -> AsyncIterator[Sent]:
    contents: list[_Content] = []
    again: list[StoredInstance] = []
    try:
        for instance in batch:
            try:
                contents.append(await forms.open(instance))
            except (InstanceNotFoundError, NotOnlineError, TranscodingError, OSError) as error:
                yield _failed(instance, str(error))
        if not contents:
            return
        try:
            answer = await client.store(contents)
        except DicomWebError as error:
            passing = error.status in _NOT_OF_THE_INSTANCE or error.status not in _CLIENT_ERRORS
            is_of_form = error.status == _UNSUPPORTED_MEDIA_TYPE and len(contents) == 1
            if not (is_of_form and forms.refuse(contents[0])) and (passing or len(contents) == 1):
                for content in contents:
                    yield _failed(content.instance, str(error), peer_failed=passing)
                return
            # It takes the request as a whole, or not: one bad instance must not keep the others.
            again = [content.instance for content in contents]
        else:
            for content in contents:
                reason = answer.failed.get(content.sop_instance_uid)
                if reason == _TRANSFER_SYNTAX_NOT_SUPPORTED and forms.refuse(content):
                    again.append(content.instance)
                else:
                    yield _judge(content, answer)
    finally:
        for content in contents:
            await content.close()
    for instance in again:
        async for sent in _store(forms, client, [instance]):
            yield sent


def _judge(content: _Content, answer: StoreAnswer) -> Sent:
    instance = content.instance
    uid, syntax = content.sop_instance_uid, content.transfer_syntax_uid
    if uid in answer.stored:
        if uid in answer.warned:
            reason = f"stored with the warning {answer.warned[uid]:04X}H"
            return Sent(instance, _WARNING, reason, uid, syntax, content.size)
        return Sent(instance, Status.SUCCESS, "", uid, syntax, content.size)
    if uid in answer.failed:
        status = answer.failed[uid] or int(Status.PROCESSING_FAILURE)
        return Sent(instance, status, f"not stored: {status:04X}H", uid)
    return _failed(instance, "the server says nothing of it")


def _failed(instance: StoredInstance, reason: str, *, peer_failed: bool = False) -> Sent:
    status = int(Status.PROCESSING_FAILURE)
    return Sent(instance, status, reason, peer_failed=peer_failed)


def _batches(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    batch: list[StoredInstance] = []
    for instance in instances:
        size = sum(each.size for each in batch) + instance.size
        if batch and (len(batch) == _MOST or size > _MOST_BYTES):
            yield batch
            batch = []
        batch.append(instance)
    if batch:
        yield batch


async def _record(node: Node, peer: DicomWebPeer, results: Sequence[Sent]) -> None:
    sent = sum(each.arrived for each in results)
    failed = len(results) - sent
    outcome = Outcome.SUCCESS
    if failed:
        outcome = Outcome.WARNING if sent else Outcome.FAILURE
    details: dict[str, AuditValue] = {"sent": sent, "failed": failed, "to": peer.url}
    if reason := next((each.reason for each in results if not each.arrived), ""):
        details["reason"] = reason
    studies: dict[str, dict[str, int]] = {}
    for each in results:
        identity = each.instance.identity
        classes = studies.setdefault(identity.study_instance_uid, {})
        classes[identity.sop_class_uid] = classes.get(identity.sop_class_uid, 0) + 1
    objects = tuple(
        AuditObject(AuditObjectKind.STUDY, uid, sop_classes=classes)
        for uid, classes in studies.items()
    )
    settings = node.settings
    origin = Origin("routing", called_ae_title=settings.ae_title, host=settings.host)
    kind, action = AuditKind.INSTANCES_SENT, EventAction.READ
    event = AuditEvent(kind, outcome, origin, details, action=action, objects=objects)
    await node.audit.record(event)
