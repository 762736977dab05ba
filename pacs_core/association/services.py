"""Providers, guards and observers of associations, by SOP class."""

import logging
from collections.abc import Mapping
from time import monotonic

from attrs import field, frozen

from pacs_core.association.access_control import AccessControl, access_of
from pacs_core.association.spans import note_status, operation_span
from pacs_core.concurrency import is_failure
from pacs_core.contracts import (
    AccessDeniedError,
    AssociationInfo,
    AssociationObserver,
    Authenticated,
    Authenticator,
    Link,
    Operation,
    OperationObservers,
    Origin,
    Refused,
    Response,
    ServiceProvider,
    SopClassSupport,
    SpanKind,
    Tracing,
    dimse_error_of,
)
from pacs_core.dimse import DimseError, Status
from pacs_core.upper_layer import (
    NO_REASON_GIVEN,
    AssociateRQ,
    ExtendedNegotiation,
    SupportedSopClass,
)

# Theory of operation
#
# A request passes three gates, in this order: role selection, authorizers, the provider. The roles
# come first because a request of the wrong role is an error of the protocol, whoever sends it, and
# nobody need be asked about it. Authorizers come before the provider sees anything, so that no
# provider can forget them; a provider that can only answer in full is refused a peer that may see a
# part (``applies_restrictions``).
#
# What a plugin raises is dealt with by what it was asked for. An authenticator that fails refuses
# the association: access control fails closed. Extended negotiation that fails goes without an
# answer, which the standard lets stand for "no support" (PS3.7 D.3.3.5). An observer that fails is
# logged and the next is told, since nothing depends on observers. Only the provider's own
# exceptions leave here: the performer makes a failure response of them.
#
# Authenticators are all asked, in the order of plugins, also when one has named a principal: each
# may still refuse. Of several principals the last stands.
#
# A user identity that is presented has to be verified by one of them, whoever else the peer is by
# AE title or certificate: it might be on behalf of somebody that this one may not act for. Without
# authenticators in use the node does not support user identity, and ignores it (PS3.7 D.3.3.7.1).

logger = logging.getLogger(__name__)


@frozen
class Preferences:
    """Which transfer syntaxes this node chooses, of those that are proposed to it.

    Attributes
    ----------
    node : tuple of str
        UIDs, the best first; empty leaves it to the proposer's order.
    peers : mapping of str to tuple of str
        By calling AE title: these go before those of the SOP class, which go before the node's.
    """

    node: tuple[str, ...] = ()
    peers: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def of(self, calling_ae_title: str, support: SopClassSupport) -> tuple[str, ...]:
        """Return those that hold for a peer and a SOP class."""
        return self.peers.get(calling_ae_title) or support.preferred or self.node


@frozen
class SupportedService:
    """A SOP class that the node supports, and who answers for it."""

    support: SopClassSupport
    provider: ServiceProvider

    def describe_for(self, preferences: Preferences, calling_ae_title: str) -> SupportedSopClass:
        """Return it in the upper layer's terms, where roles are the requestor's."""
        return SupportedSopClass(
            self.support.transfer_syntaxes,
            scu_role=self.support.scp,
            scp_role=self.support.scu,
            preferred=preferences.of(calling_ae_title, self.support),
        )


@frozen
class Services:
    """Everything that plugins contribute to associations.

    Attributes
    ----------
    offers : mapping of str to SupportedService
        By SOP class UID.
    authenticators, observers
        In plugin order.
    access : AccessControl
        Asked before each request is performed.
    preferences : Preferences
    operation_observers : OperationObservers
        Are told of every operation.
    tracing : Tracing
        Is told of every operation that is performed, and of associations.
    """

    offers: Mapping[str, SupportedService] = field(factory=dict)
    authenticators: tuple[Authenticator, ...] = ()
    access: AccessControl = field(factory=AccessControl)
    observers: tuple[AssociationObserver, ...] = ()
    preferences: Preferences = field(factory=Preferences)
    operation_observers: OperationObservers = field(factory=OperationObservers)
    tracing: Tracing = field(factory=Tracing)

    def find_support(
        self, sop_class_uid: str, calling_ae_title: str = ""
    ) -> SupportedSopClass | None:
        """Return how the node supports a SOP class for a peer, or None."""
        offer = self.offers.get(sop_class_uid)
        return offer.describe_for(self.preferences, calling_ae_title) if offer else None

    def negotiate_extended(self, request: AssociateRQ) -> tuple[ExtendedNegotiation, ...]:
        """Ask providers for their answers to SOP class extended negotiation (PS3.7 D.3.3.5)."""
        answers = []
        for item in request.user_information.extended:
            offer = self.offers.get(item.sop_class_uid)
            if offer is None:
                continue
            uid, proposed = item.sop_class_uid, item.application_information
            try:
                answer = offer.provider.negotiate(uid, proposed)
            except BaseException as error:
                if not is_failure(error):
                    raise
                logger.exception("%s.negotiate failed", type(offer.provider).__qualname__)
                continue
            if answer is not None:
                answers.append(ExtendedNegotiation(uid, answer))
        return tuple(answers)

    async def authenticate(
        self, request: AssociateRQ, origin: Origin, *, refuse_unknown: bool = True
    ) -> Authenticated | Refused:
        """Ask all authenticators; the first that refuses ends it.

        Parameters
        ----------
        request : AssociateRQ
        origin : Origin
        refuse_unknown : bool
            Whether a user identity that none of them has verified is refused.
        """
        principal, response = None, None
        for authenticator in self.authenticators:
            try:
                answer = await authenticator.authenticate(request, origin)
            except BaseException as error:
                if not is_failure(error):
                    raise
                return _fail(authenticator, error)
            if isinstance(answer, Refused):
                return answer
            if answer is not None:
                principal = answer.principal or principal
                response = response if answer.server_response is None else answer.server_response
        if request.user_information.user_identity is not None and response is None:
            if refuse_unknown and (refusal := await self._refuse_unknown()):
                return refusal
            logger.warning("%s: its user identity is ignored", origin.association)
        for authenticator in () if principal else self.authenticators:
            try:
                refusal = await authenticator.refuse_anonymous(request, origin)
            except BaseException as error:
                if not is_failure(error):
                    raise
                return _fail(authenticator, error)
            if refusal is not None:
                return refusal
        return Authenticated(principal, response)

    async def _refuse_unknown(self) -> Refused | None:
        """Refuse a user identity that nobody knows, where somebody is there to know any."""
        for authenticator in self.authenticators:
            try:
                is_in_use = await authenticator.is_in_use()
            except BaseException as error:
                if not is_failure(error):
                    raise
                return _fail(authenticator, error)
            if is_in_use:
                return Refused(NO_REASON_GIVEN, "nothing here knows such a user identity")
        return None

    async def serve(self, operation: Operation) -> Response:
        """Perform a request that came in: check the roles, ask authorizers, then the provider."""
        if self.tracing.tracer is None:
            return await self._serve(operation)
        name, attributes = operation_span(operation.command)
        with self.tracing.span(name, SpanKind.SERVER, attributes) as span:
            try:
                response = await self._serve(operation)
            except Exception as error:
                if answer := dimse_error_of(error, operation.command.field):
                    note_status(span, answer.status)
                raise
            note_status(span, response.status)
            return response

    async def _serve(self, operation: Operation) -> Response:
        offer = self.offers[operation.context.abstract_syntax]
        context, by_scp = operation.context, operation.command.field.is_sent_by_scp
        if not (context.scp if by_scp else context.scu):
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                "by role selection the requestor is not "
                f"{'SCP' if by_scp else 'SCU'} of this SOP class",
            )
        if not self.access.is_open_to(operation.association.origin):
            await self._authorize(operation, offer.provider)
        timed = logger.isEnabledFor(logging.DEBUG)
        started = monotonic() if timed else 0.0
        response = await offer.provider.handle(operation)
        if not isinstance(response, Response):
            raise TypeError(
                f"{type(offer.provider).__qualname__}.handle returned {type(response).__name__}, "
                "not Response"
            )
        if timed:
            logger.debug(
                "%s: %s answered %04XH in %.1f ms",
                operation.association.id,
                operation.command.field.name,
                response.status,
                (monotonic() - started) * 1000,
            )
        return response

    async def _authorize(self, operation: Operation, provider: ServiceProvider) -> None:
        access = access_of(operation)
        try:
            if await self.access.require(access) and not provider.applies_restrictions:
                name = type(provider).__qualname__
                await self.access.deny(access, f"{name} cannot restrict what it gives")
        except AccessDeniedError as error:
            raise DimseError(Status.NOT_AUTHORIZED, str(error)) from error

    async def tell_accepted(self, link: Link) -> None:
        """Tell providers whose SOP classes were accepted of an association, and observers."""
        association = link.association
        for provider in self._providers_of(association):
            try:
                await provider.association_accepted(link)
            except BaseException as error:
                if not is_failure(error):
                    raise
                logger.exception("%s.association_accepted failed", type(provider).__qualname__)
        for observer in self.observers:
            try:
                await observer.accepted(association)
            except BaseException as error:
                if not is_failure(error):
                    raise
                logger.exception("observer %s failed", type(observer).__qualname__)

    async def tell_ended(self, association: AssociationInfo, reason: str) -> None:
        """Tell observers, and providers whose SOP classes were accepted, that it has ended."""
        for provider in self._providers_of(association):
            try:
                await provider.association_ended(association, reason)
            except BaseException as error:
                if not is_failure(error):
                    raise
                logger.exception("%s.association_ended failed", type(provider).__qualname__)
        for observer in self.observers:
            try:
                await observer.ended(association, reason)
            except BaseException as error:
                if not is_failure(error):
                    raise
                logger.exception("observer %s failed", type(observer).__qualname__)

    def _providers_of(self, association: AssociationInfo) -> set[ServiceProvider]:
        uids = {context.abstract_syntax for context in association.contexts.values()}
        return {self.offers[uid].provider for uid in uids if uid in self.offers}


def _fail(authenticator: Authenticator, error: BaseException) -> Refused:
    name = type(authenticator).__qualname__
    logger.error("authenticator %s failed", name, exc_info=error)
    return Refused(NO_REASON_GIVEN, f"the authenticator failed: {type(error).__name__}")
