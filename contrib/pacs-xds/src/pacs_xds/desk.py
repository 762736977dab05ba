"""Desk: clients and limits that the parts of the plugin share, and what is recorded."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define
from pacs_core.contracts import (
    AuditEvent,
    AuditObject,
    AuditValue,
    EventAction,
    Node,
    Origin,
    Outcome,
    Peer,
    PluginAuditKind,
)

from pacs_xds.auditing import asking_participants
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
        peer: XdsPeer | Peer,
        action: EventAction,
        details: Mapping[str, AuditValue],
        objects: Iterable[AuditObject],
        *,
        error: str = "",
    ) -> None:
        """Record a transaction that this node began.

        Raises
        ------
        AuditFailedError
        """
        settings = self.node.settings
        event = AuditEvent(
            kind,
            Outcome.FAILURE if error else Outcome.SUCCESS,
            Origin(DOOR, called_ae_title=settings.ae_title, host=settings.host),
            {**details, "error": error} if error else dict(details),
            action=action,
            participants=asking_participants(
                settings, *_named(peer), receives=action is EventAction.CREATE
            ),
            objects=tuple(objects),
        )
        await self.node.audit.record(event)


def _named(peer: XdsPeer | Peer) -> tuple[str, str]:
    """Return what a peer is called in the audit trail, and its host."""
    if isinstance(peer, Peer):
        return peer.ae_title, peer.host
    return peer.url, urlsplit(peer.url).hostname or ""
