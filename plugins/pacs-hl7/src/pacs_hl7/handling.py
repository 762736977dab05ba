"""The handling of a message: it is kept, heeded, noted and answered, in this order.

Theory of operation
-------------------
A message is durable before anything is done with it, and what became of it is before the sender
hears. Who is killed in between was not answered, and is sent the message again: it is found under
its control ID, and what had been done by then changes nothing a second time. One that was answered
is answered the same.

Messages are heeded one after the other, in the order in which they were kept: two about one patient
never overtake each other, whatever connections they came on.
"""

import logging
from typing import Final

import anyio
from attrs import define, field

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    CorrectionError,
    EntityPath,
    EventAction,
    InstanceNotFoundError,
    Level,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Query,
    SingleValue,
)
from pacs_core.dataset import Changes, tag_of, texts
from pacs_hl7.acknowledging import acknowledge
from pacs_hl7.config import Hl7Config
from pacs_hl7.interface import KeptMessage, Messages, MessageState
from pacs_hl7.messages import Fault, Message, MessageError, read_message
from pacs_hl7.orders import ORDERS, read_orders
from pacs_hl7.patients import MERGES, UPDATES, PatientUpdate, read_patient, read_updates
from pacs_hl7.worklist import take_order, update_worklist

logger = logging.getLogger(__name__)

HEEDED: Final = PluginAuditKind("hl7.message", AuditCode("110110", "DCM", "Patient Record"))

_ID, _ISSUER = tag_of("PatientID"), tag_of("IssuerOfPatientID")


@define(eq=False)
class Handler:
    """Takes messages.

    Parameters
    ----------
    node : Node
    config : Hl7Config
        May be replaced at any time.
    """

    node: Node
    config: Hl7Config
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def take(self, content: bytes, origin: Origin) -> bytes:
        """Return the acknowledgment of a message, once what it asks for is done."""
        try:
            message = read_message(content, self.config.character_set)
        except MessageError as error:
            kept = await self._messages.keep(content, sender="", control_id="", kind="", patient="")
            return await self._fail(kept, error, origin)
        async with self._turn:
            kept = await self._messages.keep(
                content,
                sender=message.sender,
                control_id=message.control_id,
                kind=message.kind,
                patient=message.get("PID", 3),
            )
            if kept.answer:
                logger.info("message %s of %s came again", kept.control_id, kept.sender)
                return kept.answer
            return await self.heed(kept, message, origin)

    async def heed(self, kept: KeptMessage, message: Message, origin: Origin) -> bytes:
        """Do what a message asks for, and return the acknowledgment."""
        try:
            result = await self._heed(message, origin)
        except MessageError as error:
            return await self._fail(kept, error, origin)
        except CorrectionError as error:
            return await self._fail(kept, MessageError(str(error), Fault.DUPLICATE_KEY), origin)
        except Exception as error:
            logger.exception("message %s of %s failed", kept.control_id, kept.sender)
            return await self._fail(kept, MessageError(str(error), Fault.INTERNAL), origin)
        state = MessageState.DONE if result else MessageState.IGNORED
        answer = acknowledge(kept.content, str(kept.number), application=self._name)
        await self._record(kept, Outcome.SUCCESS, result, origin)
        await self._messages.note(kept.number, state, result, answer)
        return answer

    @property
    def _messages(self) -> Messages:
        return self.node.find(Messages)

    @property
    def _name(self) -> str:
        return self.node.settings.ae_title

    async def _heed(self, message: Message, origin: Origin) -> str:
        """Do it, and say what was done; empty if there is nothing to do."""
        if not message.control_id:
            raise MessageError("MSH-10 has no control ID", Fault.REQUIRED_FIELD_MISSING)
        if (message.code, message.trigger) in ORDERS:
            patient = read_patient(message, self.config.domains)
            orders = list(read_orders(message, patient, self.config.mapping))
            return "; ".join([await take_order(self.node, order) for order in orders])
        if message.code != "ADT":
            raise MessageError(
                f"{message.kind or 'a message without type'} is not taken here",
                Fault.UNSUPPORTED_MESSAGE_TYPE,
                is_rejected=True,
            )
        if message.trigger not in UPDATES | MERGES:
            return ""
        done = []
        comment = f"{message.kind} {message.control_id}"
        for update in read_updates(message, self.config.domains):
            if said := await self._correct(update, comment, origin):
                done.append(said)
            if steps := await update_worklist(self.node, update):
                done.append(f"worklist: {steps} of {update.entity}")
        return "; ".join(done)

    async def _correct(self, update: PatientUpdate, comment: str, origin: Origin) -> str:
        changes = update.changes
        if not update.is_merge:
            changes = await self._differing(update.entity, changes)
            if not changes:
                return ""
        archive = self.node.archive.on_behalf_of(origin)
        try:
            report = await archive.update(
                update.entity,
                changes,
                origin,
                reason="COERCE",
                comment=comment,
                in_advance=update.is_merge,
            )
        except InstanceNotFoundError:
            return ""
        return f"correction {report.correction.number}: {report.instances} of {update.entity}"

    async def _differing(self, entity: EntityPath, changes: Changes) -> Changes:
        """Return what of changes is not so already in some study; feeds repeat themselves."""
        query = Query(
            Level.STUDY,
            (SingleValue(_ID, entity.patient_id),),
            frozenset({*changes, _ISSUER}),
        )
        differing: set[int] = set()
        async with closing(self.node.archive.search(query)) as found:
            async for study in found:
                if "".join(texts(study, _ISSUER)[:1]) != entity.issuer_of_patient_id:
                    continue
                differing |= {
                    tag
                    for tag, values in changes.items()
                    if texts(study, tag) != tuple(map(str, values or ()))
                }
        return {tag: values for tag, values in changes.items() if tag in differing}

    async def _fail(self, kept: KeptMessage, error: MessageError, origin: Origin) -> bytes:
        logger.error(
            "message %s (%s) from %s failed: %s; see pacs hl7 show %s",
            kept.control_id or "without control ID", kept.kind, origin.host, error, kept.number,
        )  # fmt: skip
        answer = acknowledge(kept.content, str(kept.number), application=self._name, error=error)
        await self._record(kept, Outcome.FAILURE, str(error), origin)
        await self._messages.note(kept.number, MessageState.FAILED, str(error), answer)
        return answer

    async def _record(
        self, kept: KeptMessage, outcome: Outcome, result: str, origin: Origin
    ) -> None:
        objects = (AuditObject(AuditObjectKind.PATIENT, kept.patient),) if kept.patient else ()
        details: dict[str, AuditValue] = {
            "message": kept.number,
            "type": kept.kind,
            "control_id": kept.control_id,
        }
        if result:
            details["result"] = result[:500]
        if origin.tls and origin.tls.certificate:
            certificate = origin.tls.certificate
            details["certificate"] = certificate.subject or ", ".join(certificate.names)
        event = AuditEvent(
            HEEDED, outcome, origin, details, action=EventAction.UPDATE, objects=objects
        )
        await self.node.audit.record(event)


async def replay(handler: Handler, kept: KeptMessage, origin: Origin) -> KeptMessage:
    """Heed a message once more, and return it as it is then.

    Raises
    ------
    MessageError
        It cannot be read.
    """
    messages = handler.node.find(Messages)
    message = read_message(kept.content, handler.config.character_set)
    await handler.heed(kept, message, origin)
    return await messages.find(kept.number)
