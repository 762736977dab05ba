"""The handling of a message: it is kept, heeded, noted and answered, in this order.

Theory of operation
-------------------
A message is durable before anything is done with it, and what became of it is before the sender
hears. Who is killed in between was not answered, and is sent the message again: it is found under
its control ID, and what had been done by then changes nothing a second time. One that was answered
is answered the same. A control ID is to be unique (MSH-10), but some senders count anew each day: a
message with other content is another, and heeded, for the answer to the one before would say that
it was.

Messages are heeded one after the other, in the order in which they were kept: two about one patient
never overtake each other, whatever connections they came on. Whoever replays or undoes one, by a
command and so in another process, waits for its turn as well, and looks then at what it has become.
"""

import logging

import anyio
from attrs import define, evolve, field

from pacs_core.contracts import (
    CorrectionError,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_hl7.acknowledging import acknowledge
from pacs_hl7.auditing import UNDONE, kind_of, make_event
from pacs_hl7.config import Hl7Config
from pacs_hl7.interface import KeptMessage, Messages, MessageState
from pacs_hl7.messages import Fault, Message, MessageError, read_message
from pacs_hl7.orders import ORDERS, read_orders
from pacs_hl7.patients import (
    LINK,
    MERGES,
    UNLINK,
    UPDATES,
    read_identifiers,
    read_links,
    read_patient,
    read_updates,
)
from pacs_hl7.reconciling import ConflictError, Reconciler, Work
from pacs_hl7.reports import Reporting, read_reports
from pacs_hl7.worklist import take_order

logger = logging.getLogger(__name__)


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
            return await self._fail(kept, error, origin, Work())
        # The first lock is fair, which the other need not be.
        async with self._turn, self._messages.turn():
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
            if message.control_id and await self._messages.namesakes(kept):
                logger.warning(
                    "message %s of %s is another than came with this control ID before; it is "
                    "heeded as message %d: have the sender number its messages",
                    kept.control_id, kept.sender, kept.number,
                )  # fmt: skip
            return await self._heed_kept(kept, message, origin)

    async def replay(self, number: int, origin: Origin) -> KeptMessage:
        """Heed a message once more, and return it as it is then.

        Raises
        ------
        KeyError, MessageError
            There is none; it cannot be read.
        """
        async with self._turn, self._messages.turn():
            kept = await self._messages.find(number)
            message = read_message(kept.content, self.config.character_set)
            await self._heed_kept(kept, message, origin)
            return await self._messages.find(number)

    async def _heed_kept(self, kept: KeptMessage, message: Message, origin: Origin) -> bytes:
        """Do what a message asks for, and return the acknowledgment."""
        work = Work()
        kept = evolve(kept, conflict=None)
        try:
            await self._heed(message, origin, work)
        except ConflictError as error:
            return await self._fail(evolve(kept, conflict=error.kind), error, origin, work)
        except MessageError as error:
            return await self._fail(kept, error, origin, work)
        except CorrectionError as error:
            refusal = MessageError(str(error), Fault.DUPLICATE_KEY)
            return await self._fail(kept, refusal, origin, work)
        except Exception as error:
            logger.exception("message %s of %s failed", kept.control_id, kept.sender)
            return await self._fail(kept, MessageError(str(error), Fault.INTERNAL), origin, work)
        result = "; ".join(work.said)
        kept = evolve(
            kept,
            state=MessageState.DONE if result else MessageState.IGNORED,
            result=result,
            answer=self._answer(kept),
            conflict=work.conflict,
            effects=(*kept.effects, *work.effects),
        )
        await self._record(kept, Outcome.SUCCESS, result, origin)
        await self._messages.note(kept)
        return kept.answer

    async def undo(self, number: int, origin: Origin) -> KeptMessage:
        """Take back what a message has done.

        Raises
        ------
        KeyError, MessageError
            There is none; it has done nothing that could be taken back.
        """
        async with self._turn, self._messages.turn():
            return await self._take_back(await self._messages.find(number), origin)

    async def _take_back(self, kept: KeptMessage, origin: Origin) -> KeptMessage:
        if not kept.effects:
            text = f"message {kept.number} has done nothing that could be taken back"
            raise MessageError(text, Fault.UNKNOWN_KEY)
        work = Work()
        comment = f"undo of {kept.kind} {kept.control_id}"
        await Reconciler(self.node, origin, comment, work).take_back(kept.effects)
        result = "; ".join(work.said)
        await self._record(kept, Outcome.SUCCESS, result, origin, UNDONE)
        kept = evolve(kept, state=MessageState.UNDONE, result=result, conflict=None, effects=())
        await self._messages.note(kept)
        return kept

    @property
    def _messages(self) -> Messages:
        return self.node.find(Messages)

    def _answer(self, kept: KeptMessage, error: MessageError | None = None) -> bytes:
        name, default = self.node.settings.ae_title, self.config.character_set
        return acknowledge(
            kept.content, str(kept.number), application=name, error=error, default=default
        )

    async def _heed(self, message: Message, origin: Origin, work: Work) -> None:
        """Do it, and note what was done; nothing if there is nothing to do."""
        domains = self.config.domains
        if not message.control_id:
            raise MessageError("MSH-10 has no control ID", Fault.REQUIRED_FIELD_MISSING)
        if (message.code, message.trigger) in ORDERS:
            patient = read_patient(message, domains)
            for order in list(read_orders(message, patient, self.config.mapping)):
                work.said.append(await take_order(self.node, order))
            return
        if message.code == "ORU" and self.config.reports:
            patients = read_identifiers(message, domains)
            reporting = Reporting(self.node, origin)
            for report in list(read_reports(message)):
                work.said += filter(None, [await reporting.store(message, patients, report)])
            return
        if message.code != "ADT":
            raise MessageError(
                f"{message.kind or 'a message without type'} is not taken here",
                Fault.UNSUPPORTED_MESSAGE_TYPE,
                is_rejected=True,
            )
        comment = f"{message.kind} {message.control_id}"
        reconciler = Reconciler(self.node, origin, comment, work)
        if message.trigger in UPDATES | MERGES:
            for update in list(read_updates(message, domains)):
                await reconciler.follow(update)
        elif message.trigger == LINK:
            await reconciler.link(read_links(message, domains))
        elif message.trigger == UNLINK:
            await reconciler.unlink(read_links(message, domains))

    async def _fail(
        self, kept: KeptMessage, error: MessageError, origin: Origin, work: Work
    ) -> bytes:
        logger.error(
            "message %s (%s) from %s failed: %s; see pacs hl7 show %s",
            kept.control_id or "without control ID", kept.kind, origin.host, error, kept.number,
        )  # fmt: skip
        answer = self._answer(kept, error)
        await self._record(kept, Outcome.FAILURE, str(error), origin)
        # What was done before it failed can be undone.
        effects = (*kept.effects, *work.effects)
        kept = evolve(
            kept, state=MessageState.FAILED, result=str(error), answer=answer, effects=effects
        )
        await self._messages.note(kept)
        return answer

    async def _record(
        self,
        kept: KeptMessage,
        outcome: Outcome,
        result: str,
        origin: Origin,
        kind: PluginAuditKind | None = None,
    ) -> None:
        event = make_event(
            kept,
            kind or kind_of(kept.kind),
            outcome,
            result,
            origin,
            character_set=self.config.character_set,
        )
        await self.node.audit.record(event)
