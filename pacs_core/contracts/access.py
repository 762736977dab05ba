"""The contracts of access control and of association observers."""

from abc import ABC, abstractmethod
from enum import StrEnum

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin, Principal
from pacs_core.contracts.service_provider import AssociationInfo
from pacs_core.dimse import Command
from pacs_core.query.model import Restriction
from pacs_core.upper_layer import AssociateRJ, AssociateRQ


@frozen
class Authenticated:
    """A peer may associate.

    Attributes
    ----------
    principal : Principal or None
        Who it is, for authorization and audit; None leaves that to other authenticators.
    server_response : bytes or None
        Of whoever has verified the user identity of the request: for the sub-item of the
        A-ASSOCIATE-AC (PS3.7 D.3.3.7.2), empty where that says nothing. None means that it was not
        looked at, as by who goes by AE title or certificate.
    """

    principal: Principal | None = None
    server_response: bytes | None = None


@frozen
class Refused:
    """A peer may not associate: the A-ASSOCIATE-RJ to send, and why, for the log."""

    rejection: AssociateRJ
    reason: str


class Authenticator(Component, ABC):
    """Decides whether a peer may associate, and who it is.

    All authenticators are asked in plugin order, after AE titles were checked and before
    presentation contexts are negotiated. The first that refuses ends it; the last principal
    given counts. If there is none, all are asked again whether that will do. One that raises
    refuses.
    """

    @abstractmethod
    async def authenticate(
        self, request: AssociateRQ, origin: Origin
    ) -> Authenticated | Refused | None:
        """Judge a request, its user identity included; None has no opinion."""

    async def is_in_use(self) -> bool:
        """Tell whether it is set up to know anybody.

        As soon as one is, a user identity that none has verified is refused
        (``unknown_identities`` of ``[network]``).
        """
        return True

    async def refuse_anonymous(self, request: AssociateRQ, origin: Origin) -> Refused | None:
        """Judge a request of which no authenticator knows who makes it; None lets it in.

        Asked after all have been asked to authenticate it: whoever demands that peers say who they
        are does so here, because what it does not know another one may.
        """
        return None


class AccessAction(StrEnum):
    """What somebody wants to do. Plugins may name further actions, with a dot in them."""

    ECHO = "echo"
    STORE = "store"
    """C-STORE, STOW-RS, import."""
    QUERY = "query"
    """C-FIND, QIDO-RS."""
    RETRIEVE = "retrieve"
    """C-GET, WADO-RS: to whoever asks."""
    MOVE = "move"
    """C-MOVE: to a third party, :attr:`AccessTarget.destination`."""
    DELETE = "delete"
    DELETE_HELD = "delete-held"
    """Delete what deletion guards hold, besides :attr:`DELETE`."""
    UPDATE = "update"
    """Correct what the archive hands out: :meth:`Archive.update`, :meth:`Archive.revert`."""
    WORKFLOW = "workflow"
    """The DIMSE-N services: worklist, MPPS, storage commitment, UPS, print."""


@frozen
class AccessTarget:
    """What an access is about, as far as that is known before it is carried out.

    Attributes
    ----------
    sop_class_uid : str
        Of the presentation context, or of the instance.
    destination : str
        AE title to which instances are to be moved.
    command : Command or None
        The DIMSE request.
    """

    sop_class_uid: str = ""
    destination: str = ""
    command: Command | None = None


@frozen
class Access:
    """Something that somebody wants to do.

    Attributes
    ----------
    action : str
        An :class:`AccessAction`, or an action of a plugin.
    origin : Origin
        Who, and from where.
    what : AccessTarget
    """

    action: str
    origin: Origin
    what: AccessTarget = field(factory=AccessTarget)


@frozen
class Allow:
    """It may be done."""


@frozen
class Deny:
    """It may not be done. The reason goes to the peer and into log and audit."""

    reason: str


@frozen
class Restrict:
    """It may be done as far as instances meet all `conditions`; no others exist for it."""

    conditions: tuple[Restriction, ...]


Verdict = Allow | Deny | Restrict


class AccessDeniedError(Exception):
    """An authorizer denied an access; it has been logged and audited."""


class Authorizer(Component, ABC):
    """Decides what may be done, at every door.

    All authorizers are asked in plugin order: with each DIMSE request before its provider is, and
    again by the archive, on whose behalf the provider asks it (:meth:`Archive.on_behalf_of`). The
    first that denies ends it, and the answer is 0124H Refused: not authorized (PS3.7 Annex C) or
    HTTP 403. Restrictions add up. One that raises denies.
    """

    @abstractmethod
    async def authorize(self, access: Access) -> Verdict:
        """Judge an access; called often, and at the same time for many."""


class AccessGuard(ABC):
    """Asks the authorizers: :attr:`Node.access`.

    For what is no use of the archive, such as looking at the node's configuration. The archive asks
    by itself, see :meth:`Archive.on_behalf_of`.
    """

    @abstractmethod
    async def require(self, access: Access) -> tuple[Restriction, ...]:
        """Return the restrictions under which an access is allowed.

        Whoever cannot tell what they mean for it denies where there are any.

        Raises
        ------
        AccessDeniedError
            It is denied; that has been logged and recorded.
        """


class NoAccessGuard(AccessGuard):
    """Of a node that was made without authorizers: allows everything."""

    async def require(self, access: Access) -> tuple[Restriction, ...]:
        """Allow it."""
        return ()


class AssociationObserver(Component):
    """Is told of associations as they come and go. What it raises is logged and counted.

    Of associations that peers requested, and of those that the node did
    (:attr:`AssociationInfo.is_requestor`).
    """

    async def accepted(self, association: AssociationInfo) -> None:
        """An association was accepted, by the node or by its peer."""

    async def ended(self, association: AssociationInfo, reason: str) -> None:
        """It was released or aborted, or the transport was lost; `reason` says which."""
