"""The contracts of access control and of association observers."""

from abc import ABC, abstractmethod

from attrs import frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin
from pacs_core.contracts.service_provider import AssociationInfo
from pacs_core.dimse import Command
from pacs_core.upper_layer import AssociateRJ, AssociateRQ


@frozen
class Authenticated:
    """A peer may associate.

    Attributes
    ----------
    user : str
        Name of the authenticated user for audit and authorization; empty if there is none.
    server_response : bytes or None
        For the User Identity sub-item of the A-ASSOCIATE-AC (PS3.7 D.3.3.7.2), if asked for.
    """

    user: str = ""
    server_response: bytes | None = None


@frozen
class Refused:
    """A peer may not associate: the A-ASSOCIATE-RJ to send, and why, for the log."""

    rejection: AssociateRJ
    reason: str


class Authenticator(Component, ABC):
    """Decides whether a peer may associate.

    All authenticators are asked in plugin order, after AE titles were checked and before
    presentation contexts are negotiated. The first that refuses ends it; the last user name
    given counts. One that raises refuses.
    """

    @abstractmethod
    async def authenticate(
        self, request: AssociateRQ, origin: Origin
    ) -> Authenticated | Refused | None:
        """Judge a request, its user identity included; None has no opinion."""


class Authorizer(Component, ABC):
    """Decides whether a request may be carried out.

    All authorizers are asked in plugin order, before the provider is. The first that gives a
    reason ends it: the response is 0124H Refused: not authorized (PS3.7 Annex C). One that raises
    refuses.
    """

    @abstractmethod
    async def authorize(self, command: Command, association: AssociationInfo) -> str | None:
        """Return None to let the request pass, or the reason why not."""


class AssociationObserver(Component):
    """Is told of associations as they come and go. What it raises is logged and counted."""

    async def accepted(self, association: AssociationInfo) -> None:
        """An association was accepted."""

    async def ended(self, association: AssociationInfo, reason: str) -> None:
        """It was released or aborted, or the transport was lost; `reason` says which."""
