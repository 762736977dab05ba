"""Delivery: the job that sends what waits for a system, and what tells of complete studies."""

import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, RunningJob

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    Change,
    ChangeConsumer,
    EventAction,
    Level,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Query,
    Setup,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_hl7.config import Hl7Config
from pacs_hl7.interface import Outgoing, OutgoingMessage, OutgoingState
from pacs_hl7.notices import STUDY_TAGS, fill, read_template
from pacs_hl7.sending import ACCEPTING, Connection, SendingError, connect

SENT: Final = PluginAuditKind("hl7.sent", AuditCode("110106", "DCM", "Export"))

_REFUSING: Final = frozenset({"AE", "AR", "CE", "CR"})


@define(eq=False)
class SendOutgoing(JobHandler):
    """Sends what waits for a system, in order.

    Parameters
    ----------
    node : Node
    config : Hl7Config
    """

    node: Node
    config: Hl7Config

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next job on."""
        self.config = setup.config(Hl7Config)

    async def run(self, job: RunningJob) -> None:
        """Send until nothing waits."""
        name = str(job.arguments["peer"])
        peer = self.config.peers.get(name)
        if peer is None:
            raise JobFailedError(f"there is no [plugin.hl7.peers.{name}]")
        outgoing = self.node.find(Outgoing)
        message = await outgoing.next(name)
        if message is None:
            return
        try:
            async with connect(peer, self.node.tls.client_context) as connection:
                while message is not None:
                    await self._send(connection, message)
                    message = await outgoing.next(name)
        except SendingError as error:
            if message is not None:
                await outgoing.note(message.number, OutgoingState.WAITING, str(error))
            raise

    async def _send(self, connection: Connection, message: OutgoingMessage) -> None:
        answer = await connection.send(message.content)
        code, answered = answer.get("MSA", 1), answer.get("MSA", 2)
        if answered != message.control_id:
            raise SendingError(f"it answers {answered[:40]!r} instead of {message.control_id}")
        if code not in ACCEPTING | _REFUSING:
            raise SendingError(f"it answers with the code {code[:10]!r}")
        is_taken = code in ACCEPTING
        said = answer.get("MSA", 3) or answer.get("ERR", 8)
        event = AuditEvent(
            SENT,
            Outcome.SUCCESS if is_taken else Outcome.FAILURE,
            Origin("HL7"),
            {"message": message.number, "peer": message.peer, "answer": f"{code} {said}".strip()},
            action=EventAction.READ,
        )
        await self.node.audit.record(event)
        state = OutgoingState.SENT if is_taken else OutgoingState.FAILED
        await self.node.find(Outgoing).note(message.number, state, f"{code} {said}".strip())


@define(eq=False)
class TellOfStudies(ChangeConsumer):
    """Tells systems that a study is complete.

    Parameters
    ----------
    node : Node
    config : Hl7Config
    """

    node: Node
    config: Hl7Config

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings from the next change on."""
        self.config = setup.config(Hl7Config)

    async def handle(self, changes: Sequence[Change]) -> None:
        """Write a message for each study and system."""
        for change in changes:
            uid = change.study_instance_uid
            query = Query(Level.STUDY, (SingleValue(tag_of("StudyInstanceUID"), uid),), STUDY_TAGS)
            async with closing(self.node.archive.search(query)) as found:
                studies = [study async for study in found]
            for name, peer in self.config.peers.items():
                if not peer.studies or not studies:
                    continue
                cause = f"{name} {uid} {change.sequence} {change.time}"
                control_id = sha256(cause.encode()).hexdigest()[:20]
                application = self.node.settings.ae_title
                template = read_template(peer.template)
                content = fill(template, studies[0], self.config.domains, control_id, application)
                await self.node.find(Outgoing).add(name, control_id, "study-complete", content)


@define(eq=False)
class ForgetSent(JobHandler):
    """Forgets messages that were sent long ago.

    Parameters
    ----------
    node : Node
    config : Hl7Config
    """

    node: Node
    config: Hl7Config

    async def run(self, job: RunningJob) -> None:
        """Forget."""
        await self.node.find(Outgoing).forget(time.time() - self.config.keep * 86400)
