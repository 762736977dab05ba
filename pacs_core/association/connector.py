"""Associations that a node requests: bounded for each peer, logged, audited, and observed."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
from attrs import define, field

from pacs_core.association.association import Association
from pacs_core.association.errors import AssociationError, PeerTimeoutError
from pacs_core.association.requestor import connect
from pacs_core.association.secured import describe_tls, tls_details
from pacs_core.association.settings import NetworkSettings
from pacs_core.association.spans import association_span
from pacs_core.contracts import (
    AssociationInfo,
    AssociationObserver,
    AssociationOptions,
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    Connector,
    OperationObservers,
    Origin,
    Outcome,
    Peer,
    Proposal,
    ServeRequests,
    SpanKind,
    TlsContexts,
    TlsError,
    Tracing,
    WorkerInfo,
    correlated,
    current_correlation,
    new_correlation,
)

# Theory of operation
#
# A peer gets at most so many associations at once, of all workers together; each worker grants its
# share, rounded up, so that none is left without. The slots of a peer exist while somebody has or
# awaits one, and the count is lowered in any case. Waiting has a limit, as the associations that
# are in the way may be waiting themselves.
#
# The order of events is the same as for associations that are accepted: log, audit, observers. An
# association whose beginning cannot be audited is not handed out: the exception aborts it. Its end
# has happened already, so that a failure to record it is logged and nothing more.
#
# A refusal is recorded only where no association came about. What ends one that was established,
# however it ends, is told by `_tell_ended`, which runs shielded: whoever cancels the caller must
# not cancel the record.
from pacs_core.upper_layer import AsynchronousOperations

logger = logging.getLogger(__name__)

_OUTGOING: Final = {"direction": "outgoing"}


@define
class _Turn:
    """The associations with one peer, and who waits for one."""

    slots: anyio.Semaphore
    users: int = 0


@define(eq=False)
class NodeConnector(Connector):
    """Requests associations for a node.

    Attributes
    ----------
    ae_title : str
        Of the node.
    settings : NetworkSettings
    audit : AuditTrail
    worker : WorkerInfo
        Of several workers, each grants its part of the associations with a peer.
    operations : OperationObservers
        Are told of operations.
    observers : tuple of AssociationObserver
        Are told of associations; known once the node's plugins have started.
    tls : TlsContexts or None
        Where TLS contexts come from.
    tracing : Tracing
        Is told of associations.
    """

    ae_title: str
    settings: NetworkSettings
    audit: AuditTrail
    worker: WorkerInfo = field(factory=WorkerInfo)
    operations: OperationObservers = field(factory=OperationObservers)
    observers: tuple[AssociationObserver, ...] = ()
    tls: TlsContexts | None = None
    tracing: Tracing = field(factory=Tracing)
    _turns: dict[tuple[str, str, int], _Turn] = field(factory=dict)

    @asynccontextmanager
    async def connect(
        self,
        peer: Peer,
        proposals: Sequence[Proposal],
        *,
        options: AssociationOptions | None = None,
        serve: ServeRequests | None = None,
    ) -> AsyncIterator[Association]:
        """See base."""
        established: Association | None = None
        # What an association or a request asked for belongs to that; all else is its own cause.
        correlation = current_correlation()
        with correlated(correlation if correlation.id else new_correlation()):
            async with self._turn(peer):
                try:
                    async with connect(
                        peer,
                        proposals,
                        calling_ae_title=self.ae_title,
                        timeouts=self.settings.timeouts,
                        options=options or self._options(peer),
                        serve=serve,
                        observers=self.operations,
                        tls=self.tls,
                    ) as association:
                        await self._tell_accepted(association.info)
                        established = association
                        attributes = association_span(association.info) if self.tracing else None
                        with self.tracing.span("association", SpanKind.CLIENT, attributes):
                            yield association
                except AssociationError as error:
                    if established is None:
                        await self._record_refusal(peer, error)
                    raise
                finally:
                    if established is not None:
                        with anyio.CancelScope(shield=True):
                            await self._tell_ended(established)

    def _options(self, peer: Peer) -> AssociationOptions:
        several = peer.outstanding > 1
        window = AsynchronousOperations(peer.outstanding, 1) if several else None
        return AssociationOptions(limits=self.settings.limits, operations=window)

    @asynccontextmanager
    async def _turn(self, peer: Peer) -> AsyncIterator[None]:
        key = peer.ae_title, peer.host, peer.port
        limit = max(-(-self.settings.max_associations_per_peer // self.worker.count), 1)
        turn = self._turns.setdefault(key, _Turn(anyio.Semaphore(limit, fast_acquire=True)))
        turn.users += 1
        try:
            await self._take(turn, peer, limit)
            try:
                yield
            finally:
                turn.slots.release()
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    async def _take(self, turn: _Turn, peer: Peer, limit: int) -> None:
        seconds = self.settings.timeouts.idle
        try:
            with anyio.fail_after(seconds):
                await turn.slots.acquire()
        except TimeoutError:
            raise PeerTimeoutError(
                f"{peer}: none of {limit} associations with it has ended within {seconds:g} s; "
                "see max_associations_per_peer in [network]"
            ) from None

    # --- logged, audited, observed

    async def _tell_accepted(self, info: AssociationInfo) -> None:
        origin, accepted, proposed = info.origin, len(info.contexts), info.request
        logger.info(
            "%s: associated with %s at %s:%s, %d of %d presentation contexts%s",
            info.id,
            origin.called_ae_title,
            origin.host,
            origin.port,
            accepted,
            len(proposed.presentation_contexts),
            describe_tls(info),
        )
        details: dict[str, AuditValue] = {"contexts": accepted, **tls_details(info)}
        await self._record(AuditKind.ASSOCIATION_ACCEPTED, Outcome.SUCCESS, origin, details)
        for observer in self.observers:
            try:
                await observer.accepted(info)
            except Exception:
                logger.exception("observer %s failed", type(observer).__qualname__)

    async def _tell_ended(self, association: Association) -> None:
        info, reason = association.info, association.engine.end_reason
        released = reason.startswith("released")
        kind = AuditKind.ASSOCIATION_RELEASED if released else AuditKind.ASSOCIATION_ABORTED
        outcome = Outcome.SUCCESS if released else Outcome.FAILURE
        logger.log(logging.INFO if released else logging.WARNING, "%s: %s", info.id, reason)
        try:
            await self._record(kind, outcome, info.origin, {"reason": reason})
        except AuditFailedError:
            logger.exception("%s: the end of the association could not be recorded", info.id)
        for observer in self.observers:
            try:
                await observer.ended(info, reason)
            except Exception:
                logger.exception("observer %s failed", type(observer).__qualname__)

    async def _record_refusal(self, peer: Peer, error: AssociationError) -> None:
        logger.warning("no association with %s: %s", peer, error)
        origin = Origin("DIMSE", self.ae_title, peer.ae_title, peer.host, peer.port)
        details: dict[str, AuditValue] = {"reason": str(error)}
        if isinstance(error.__cause__, TlsError):
            details["tls"] = error.__cause__.code
        await self._record(AuditKind.ASSOCIATION_REFUSED, Outcome.FAILURE, origin, details)

    async def _record(
        self, kind: AuditKind, outcome: Outcome, origin: Origin, details: Mapping[str, AuditValue]
    ) -> None:
        await self.audit.record(AuditEvent(kind, outcome, origin, {**_OUTGOING, **details}))
