"""Desk: clients and limits that the parts of the plugin share, and what is recorded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define
from pacs_core.contracts import (
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Node,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
)

from pacs_xds.config import XdsConfig, XdsPeer
from pacs_xds.soap.client import SoapClient
from pacs_xds.soap.mtom import PackageLimits

DOOR = "xds"
"""Interface of the origin of what the plugin does of its own accord."""


@define(eq=False)
class Desk:
    """What asks others, and records that.

    Attributes
    ----------
    node : Node
    config : XdsConfig
    directory : Path
        Where documents are kept while they arrive.
    """

    node: Node
    config: XdsConfig
    directory: Path

    def client(self, peer: XdsPeer) -> SoapClient:
        """Return a client of a peer."""
        limits = PackageLimits(document=self.config.max_document, total=self.config.max_response)
        return SoapClient(peer, self.node.tls, self.config.saml, limits, self.directory)

    async def record(
        self,
        kind: PluginAuditKind,
        peer: XdsPeer,
        action: EventAction,
        details: Mapping[str, AuditValue],
        *,
        error: str = "",
        studies: Sequence[str] = (),
        patient: str = "",
    ) -> None:
        """Record a transaction that this node began (ITI TF-2 3.20, RAD TF-3 5.1).

        Raises
        ------
        AuditFailedError
        """
        settings = self.node.settings
        here = Participant(settings.ae_title, None, True, settings.host, settings.ae_title)
        there = Participant(peer.url, None, False, urlsplit(peer.url).hostname or "")
        roles = (ParticipantRole.SOURCE, ParticipantRole.DESTINATION)
        if action is EventAction.CREATE:
            roles = roles[::-1]
        participants = tuple(
            Participant(each.user_id, role, each.is_requestor, each.host, each.name)
            for each, role in zip((here, there), roles, strict=True)
        )
        objects = [AuditObject(AuditObjectKind.STUDY, uid) for uid in studies]
        if patient:
            objects.append(AuditObject(AuditObjectKind.PATIENT, patient))
        told = {**details, "error": error} if error else dict(details)
        event = AuditEvent(
            kind,
            Outcome.FAILURE if error else Outcome.SUCCESS,
            Origin(DOOR, called_ae_title=settings.ae_title, host=settings.host),
            told,
            action=action,
            participants=participants,
            objects=tuple(objects),
        )
        await self.node.audit.record(event)
