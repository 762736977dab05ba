"""The acceptor's side of an association: from the first byte to the last."""

import logging
from functools import partial

import anyio
from attrs import evolve

from pacs_core.association.acceptance import Acceptance
from pacs_core.association.channel import Channel
from pacs_core.association.engine import Engine
from pacs_core.association.hosts import host_of
from pacs_core.association.operation import RequestorLink
from pacs_core.association.secured import describe_tls, tls_details
from pacs_core.association.spans import association_span
from pacs_core.association.transport import Transport
from pacs_core.contracts import (
    AssociationInfo,
    AuditEvent,
    AuditFailedError,
    AuditKind,
    Authenticated,
    Origin,
    Outcome,
    Refused,
    SpanKind,
    TlsError,
)
from pacs_core.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_core.upper_layer import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    LOCAL_LIMIT_EXCEEDED,
    TEMPORARY_CONGESTION,
    Aborted,
    AssociateAC,
    AssociateRQ,
    AssociationRefused,
    AssociationRequested,
    AsynchronousOperations,
    ConnectionClosed,
    Event,
    Role,
    State,
    UserInformation,
    accepted_contexts,
    agreed_asynchronous_operations,
    negotiate_asynchronous_operations,
    negotiate_contexts,
)

# Theory of operation
#
# An acceptor is one connection, from the first byte to the last. It goes through three stages, and
# what may end it is different in each:
#
#   before the request  ARTIM runs (PS3.8 §9.1.5), TLS handshake included. The connection counts
#                       against the host's share of half-open ones, and may be displaced by another.
#                       What arrives is paid for from the node's budget of memory.
#
#   negotiation         limits first, since they cost nothing; AE titles; then authenticators. Each
#                       refusal is a rejection with a source and reason of PS3.8, and is audited.
#
#   the association     the engine's, see there. The acceptor only records how it ended.
#
# The association is audited before it is accepted on the wire: if the audit trail cannot take it,
# the peer is told to try later, and nothing has happened that nobody knows of.
#
# After a rejection the peer is to close the connection (Sta13). It is waited for no longer than
# ARTIM, and what it sends is read and forgotten, because closing at once could reset the connection
# before the rejection was read.

logger = logging.getLogger(__name__)


class Acceptor:
    """Serves one transport connection.

    Parameters
    ----------
    transport : Transport
    name : str
        Identifier in logs and audit events.
    shared : Acceptance
    """

    def __init__(self, transport: Transport, name: str, shared: Acceptance) -> None:
        host, port = transport.remote_address
        self.origin = Origin("DIMSE", host=host, port=port, association=name)
        self.name = name
        self.engine: Engine | None = None
        self.host = host_of(host)
        self._shared = shared
        self._held = 0
        self._displaced = ""
        self._refused = False
        self._transport = transport
        settings = shared.settings
        self._channel = Channel(transport, Role.ACCEPTOR, settings.limits, settings.timeouts)

    @property
    def is_established(self) -> bool:
        """Whether an association is there; not while a peer that released it lingers."""
        return self.engine is not None and not self.engine.end_reason

    async def run(self) -> None:
        """Negotiate, then serve until the association ends; the transport is closed then."""
        try:
            try:
                request = await self._await_request()
            finally:
                self._hold(0)
            if self._displaced:
                if not self._refused:
                    await self._record_refusal(self._displaced)
            elif request is not None:
                await self._answer(request)
        finally:
            await self._channel.close_gracefully()

    @property
    def is_displaced(self) -> bool:
        """Whether it is about to end for another."""
        return bool(self._displaced)

    def displace(self, reason: str) -> None:
        """Close the transport, which has no association yet, for another connection."""
        self._displaced = reason
        self._channel.close()

    def _hold(self, size: int) -> bool:
        """Have so much of the node's memory budget for a request that arrives; tell if it has."""
        budget, more = self._shared.budget, size - self._held
        if more > 0 and not budget.try_take(more):
            return False
        if more < 0:
            budget.give(-more)
        self._held = size
        return True

    async def abort(self, reason: str) -> None:
        """End the association now."""
        if self.engine is not None:
            await self.engine.abort(reason)
        else:
            self._channel.close()

    # --- the first PDU

    async def _await_request(self) -> AssociateRQ | None:
        machine = self._channel.machine
        machine.confirm_connection()
        secured = False
        with anyio.move_on_after(self._shared.settings.timeouts.artim) as artim:
            if not await self._secure():
                return None
            secured = True
            while not machine.must_close:
                request = None
                for event in await self._channel.receive():
                    if isinstance(event, AssociationRequested):
                        request = event.request
                    await self._note(event)
                if not self._hold(machine.bytes_held):
                    await self._record_refusal("no memory is left for its A-ASSOCIATE-RQ")
                    return None
                # What came along with it may have ended the association before it began.
                if request is not None and machine.state is State.Sta3:
                    return request
        if artim.cancelled_caught:
            if not secured:
                await self._record_refusal("no TLS handshake in time (ARTIM)", tls="timeout")
            elif machine.state is State.Sta2:  # not if it was refused, and did not close
                await self._record_refusal("no A-ASSOCIATE-RQ arrived in time (ARTIM)")
            machine.artim_expired()
        return None

    async def _secure(self) -> bool:
        """Let the transport be secured, if it is to be; tell whether it is as it should be."""
        try:
            tls = await self._transport.handshake()
        except TlsError as error:
            if not self._displaced:
                await self._record_refusal(f"TLS: {error}", tls=error.code)
            return False
        if tls is not None:
            self.origin = evolve(self.origin, tls=tls)
        return True

    async def _note(self, event: Event) -> None:
        if isinstance(event, Aborted) and not self._displaced:
            by = "the peer" if event.by_peer else "this node"
            await self._record_refusal(f"aborted by {by} before negotiation: {event.detail}")
        elif isinstance(event, AssociationRefused):
            reason = f"{event.rejection.meaning}: {event.detail}"
            await self._record_refusal(reason)
        elif isinstance(event, ConnectionClosed) and (failure := self._channel.failure):
            await self._record_refusal(f"TLS: {failure}", tls=failure.code)

    async def _record_refusal(self, reason: str, **details: str) -> None:
        self._refused = True
        await self._shared.record_refusal(self.origin, reason, **details)

    async def _record(
        self, kind: AuditKind, outcome: Outcome, details: dict[str, str | int]
    ) -> None:
        await self._shared.audit.record(AuditEvent(kind, outcome, self.origin, details))

    # --- negotiation

    async def _answer(self, request: AssociateRQ) -> None:
        self.origin = evolve(
            self.origin,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
        )
        verdict = await self._judge(request)
        if isinstance(verdict, Refused):
            await self._refuse(verdict)
            return
        self.origin = evolve(self.origin, principal=verdict.principal)
        response = self._response(request, verdict)
        info = self._info(request, response)
        window = agreed_asynchronous_operations(request, response)
        # The window is the requestor's view: what it may invoke is what we perform (PS3.7 D.3.3.3).
        own_window = AsynchronousOperations(window.max_performed, window.max_invoked)
        self.engine = Engine(
            self._channel,
            info,
            own_window,
            self._shared.services.serve,
            self._shared.budget,
            self._shared.hosts.pace(self.host),
            self._shared.services.operation_observers,
        )
        try:
            await self._record_accepted(request, info)
        except AuditFailedError as error:
            self.engine = None
            await self._refuse(Refused(TEMPORARY_CONGESTION, str(error)))
            return
        self._channel.machine.accept(response)
        await self._serve(self.engine, info)

    async def _judge(self, request: AssociateRQ) -> Authenticated | Refused:
        settings = self._shared.settings
        if not self._shared.has_room():
            reason = f"{settings.max_associations} associations are open already"
            return Refused(LOCAL_LIMIT_EXCEEDED, reason)
        # One host must not take all associations there are: others would find the node full.
        if reason := self._shared.hosts.refusal(self.host, self._shared.established(self.host)):
            return Refused(LOCAL_LIMIT_EXCEEDED, reason)
        if settings.check_called_ae_title and request.called_ae_title != self._shared.ae_title:
            reason = f"called AE title {request.called_ae_title!r} is not this node's"
            return Refused(CALLED_AE_TITLE_NOT_RECOGNIZED, reason)
        allowed = settings.calling_ae_titles
        if allowed and request.calling_ae_title not in allowed:
            reason = f"calling AE title {request.calling_ae_title!r} is not among the allowed"
            return Refused(CALLING_AE_TITLE_NOT_RECOGNIZED, reason)
        return await self._shared.services.authenticate(
            request, self.origin, refuse_unknown=settings.unknown_identities == "refused"
        )

    async def _refuse(self, verdict: Refused) -> None:
        self._channel.machine.reject(verdict.rejection)
        await self._flush_and_await_close()
        await self._record_refusal(f"{verdict.rejection.meaning}: {verdict.reason}")

    async def _flush_and_await_close(self) -> None:
        """Let the peer read the rejection and close the transport first (PS3.8 §9.2, Sta13)."""
        machine = self._channel.machine
        with anyio.move_on_after(self._shared.settings.timeouts.artim) as artim:
            try:
                await self._channel.flush()
            except anyio.BrokenResourceError:
                return
            while not machine.must_close:
                await self._channel.receive()
        if artim.cancelled_caught:
            machine.artim_expired()

    def _response(self, request: AssociateRQ, verdict: Authenticated) -> AssociateAC:
        settings, services = self._shared.settings, self._shared.services
        proposed = request.user_information
        results, roles = negotiate_contexts(
            request.presentation_contexts,
            partial(services.find_support, calling_ae_title=request.calling_ae_title),
            proposed.roles,
            prefer_acceptor=settings.prefer_own_order,
        )
        window = AsynchronousOperations(settings.operations_window, settings.operations_window)
        identity = proposed.user_identity
        wants_identity = identity is not None and identity.positive_response_requested
        information = UserInformation(
            maximum_length=settings.max_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations=negotiate_asynchronous_operations(
                proposed.asynchronous_operations, window
            ),
            roles=roles,
            extended=services.negotiate_extended(request),
            # None, where nobody has verified it: that says that it counts for nothing (D.3.3.7.1).
            user_identity_response=verdict.server_response if wants_identity else None,
        )
        return AssociateAC(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            presentation_contexts=results,
            user_information=information,
        )

    def _info(self, request: AssociateRQ, response: AssociateAC) -> AssociationInfo:
        extended = response.user_information.extended
        return AssociationInfo(
            id=self.name,
            origin=self.origin,
            request=request,
            contexts=accepted_contexts(request, response),
            extended={item.sop_class_uid: item.application_information for item in extended},
            maximum_length=request.user_information.maximum_length,
        )

    # --- the association

    async def _serve(self, engine: Engine, info: AssociationInfo) -> None:
        services = self._shared.services
        logger.info(
            "%s: accepted %s from %s:%s, %d of %d presentation contexts%s",
            self.name,
            info.origin.calling_ae_title,
            info.origin.host,
            info.origin.port,
            len(info.contexts),
            len(info.request.presentation_contexts),
            describe_tls(info),
            extra={
                "association": self.name,
                "calling_ae_title": info.origin.calling_ae_title,
                "host": info.origin.host,
            },
        )
        await services.tell_accepted(RequestorLink(info, engine))
        attributes = association_span(info) if services.tracing else None
        try:
            with services.tracing.span("association", SpanKind.SERVER, attributes) as span:
                await engine.run()
                span.set("dicom.association.end", engine.end_reason)
        finally:
            # Also when the node is cancelled: an association without an end would look open for
            # ever.
            with anyio.CancelScope(shield=True):
                await self._record_end(engine)
                await services.tell_ended(info, engine.end_reason)

    async def _record_accepted(self, request: AssociateRQ, info: AssociationInfo) -> None:
        await self._record(
            AuditKind.ASSOCIATION_ACCEPTED,
            Outcome.SUCCESS,
            {
                "contexts": len(info.contexts),
                "implementation": request.user_information.implementation_version_name,
                **tls_details(info),
            },
        )

    async def _record_end(self, engine: Engine) -> None:
        released = engine.end_reason.startswith("released")
        kind = AuditKind.ASSOCIATION_RELEASED if released else AuditKind.ASSOCIATION_ABORTED
        outcome = Outcome.SUCCESS if released else Outcome.FAILURE
        level = logging.INFO if released else logging.WARNING
        logger.log(level, "%s: %s", self.name, engine.end_reason)
        try:
            await self._record(kind, outcome, {"reason": engine.end_reason})
        except AuditFailedError:
            logger.exception("%s: the end of the association could not be recorded", self.name)
