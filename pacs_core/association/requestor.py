"""The requestor's side: associate with a peer and use its services.

::

    peer = Peer("ARCHIVE", "127.0.0.1", 11112)
    async with connect(peer, [Proposal("1.2.840.10008.1.1")]) as association:
        response = await association.c_echo()
        assert response.status == 0x0000
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio

from pacs_core.association.association import Association, Receive, refuse_requests
from pacs_core.association.budget import ByteBudget
from pacs_core.association.channel import Channel
from pacs_core.association.engine import Engine
from pacs_core.association.errors import (
    AssociationAbortedError,
    AssociationRefusedError,
    ConnectError,
    PeerTimeoutError,
)
from pacs_core.association.performer import Serve
from pacs_core.association.transport import Transport
from pacs_core.concurrency import task_group
from pacs_core.contracts import (
    MAX_CONTEXTS,
    AssociationInfo,
    AssociationOptions,
    OperationObservers,
    Origin,
    Peer,
    Proposal,
    Timeouts,
    TlsConfigError,
    TlsContexts,
    TlsError,
    TlsInfo,
)
from pacs_core.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_core.upper_layer import (
    Aborted,
    AssociateAC,
    AssociateRQ,
    AssociationAccepted,
    AssociationRejected,
    ConnectionClosed,
    ProposedContext,
    Role,
    RoleSelection,
    UserInformation,
    accepted_contexts,
    agreed_asynchronous_operations,
)

__all__ = ["Association", "Proposal", "Receive", "connect"]

# Theory of operation
#
# The four steps are connection, TLS, negotiation and use, and each has its own timer and its own
# exception, since who reads it looks for the fault in four places: the network, certificates, the
# peer's configuration, the peer. Until an association exists the transport is closed by whoever has
# it at that moment; afterwards the engine does so.
#
# An answer may come together with what follows it, such as the first request of a peer that acts as
# SCU. The events behind it are given back to the channel (`unread`), and the engine finds them
# first.
#
# The engine runs in a task beside the block of the caller. At its end the association is released,
# and aborted if it raises; if the caller is cancelled, so is the engine, which aborts by itself. An
# exception of the caller passes through unchanged, not in a group (`tasks.task_group`).

_MEMORY_BUDGET = 64 * 1024 * 1024  # bytes, for what a peer sends in the course of a C-GET

_numbers = count(1)


@asynccontextmanager
async def connect(
    peer: Peer,
    proposals: Sequence[Proposal],
    *,
    calling_ae_title: str = "PACS",
    timeouts: Timeouts | None = None,
    options: AssociationOptions | None = None,
    serve: Serve | None = None,
    observers: OperationObservers | None = None,
    tls: TlsContexts | None = None,
) -> AsyncIterator[Association]:
    """Associate with a peer for the length of an ``async with`` block.

    The association is released at the end of the block, and aborted if the block raises.
    Whatever the peer does, no wait is longer than the timeouts say.

    Parameters
    ----------
    peer : Peer
    proposals : sequence of Proposal
        1 to 128 presentation contexts.
    calling_ae_title : str
    timeouts : Timeouts, optional
    options : AssociationOptions, optional
    serve : callable, optional
        Performs requests of the peer (C-STORE sub-operations of C-GET are served by the
        `receive` function given there); by default all are refused.
    observers : OperationObservers, optional
        Are told of operations.
    tls : TlsContexts, optional
        Where the context comes from if the peer is to be secured; by default the files that its
        `tls` names.

    Yields
    ------
    Association

    Raises
    ------
    ConnectError
        No transport connection.
    AssociationRefusedError
        The peer rejected the association.
    AssociationAbortedError
        It ended before it was negotiated.
    PeerTimeoutError
        The peer did not answer.
    ValueError
        Not 1 to 128 proposals.
    """
    timeouts = timeouts or Timeouts()
    request = _request(peer, proposals, calling_ae_title, options or AssociationOptions())
    transport = await _open(peer, timeouts, tls)
    secured = await _secure(transport, peer, timeouts)
    limits = (options or AssociationOptions()).limits
    channel = Channel(transport, Role.REQUESTOR, limits, timeouts)
    try:
        response = await _negotiate(channel, request, timeouts)
    except BaseException:
        await channel.close_gracefully()
        raise
    association = _association(channel, peer, request, response, serve, observers, secured)
    async with task_group() as tasks:
        tasks.start_soon(association.engine.run)
        try:
            yield association
            await association.engine.release()
        except Exception as error:
            await association.engine.abort(f"{type(error).__name__} on this side")
            raise
        tasks.cancel_scope.cancel()


async def _open(peer: Peer, timeouts: Timeouts, tls: TlsContexts | None) -> Transport:
    loop = asyncio.get_running_loop()
    made = _create_transport(peer, tls)
    try:
        with anyio.fail_after(timeouts.connect):
            _, transport = await loop.create_connection(lambda: made, peer.host, peer.port)
            return transport
    except TimeoutError:
        raise ConnectError(
            f"{peer}: no connection within {timeouts.connect:g} s; is the host reachable?"
        ) from None
    except OSError as error:
        raise ConnectError(f"{peer}: {_reason(error)}; is the peer running?") from error


def _create_transport(peer: Peer, tls: TlsContexts | None) -> Transport:
    if peer.tls is None:
        return Transport()
    # Imported where they are used: most associations of most nodes are plain.
    from pacs_core.association.tls_transport import TlsTransport
    from pacs_core.tls import FileTlsContexts

    try:
        context = (tls or FileTlsContexts()).client_context(peer.tls)
    except TlsConfigError as error:
        raise ConnectError(f"{peer}: TLS: {error}") from error
    return TlsTransport(context, server_side=False, hostname=peer.host)


async def _secure(transport: Transport, peer: Peer, timeouts: Timeouts) -> TlsInfo | None:
    try:
        with anyio.fail_after(timeouts.artim):
            return await transport.handshake()
    except TlsError as error:
        transport.close()
        raise ConnectError(f"{peer}: TLS with it failed: {error}") from error
    except TimeoutError:
        transport.close()
        reason = f"no TLS handshake within {timeouts.artim:g} s; does it speak TLS on this port?"
        raise ConnectError(f"{peer}: {reason}") from TlsError(reason, "timeout")
    except BaseException:
        transport.close()
        raise


def _reason(error: OSError) -> str:
    # asyncio names the call that failed, with the address as a tuple, and has no number if it
    # tried several addresses. Numbers of name resolution are not those of the system.
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"


async def _negotiate(channel: Channel, request: AssociateRQ, timeouts: Timeouts) -> AssociateAC:
    channel.machine.associate(request)
    channel.machine.confirm_connection()
    try:
        with anyio.fail_after(timeouts.artim):
            await channel.flush()
            return await _await_answer(channel)
    except TimeoutError:
        channel.machine.abort()
        raise PeerTimeoutError(
            f"{request.called_ae_title} did not answer A-ASSOCIATE-RQ within {timeouts.artim:g} s"
        ) from None
    except anyio.BrokenResourceError:
        raise AssociationAbortedError("the transport connection was lost") from None


async def _await_answer(channel: Channel) -> AssociateAC:
    while True:
        events = await channel.receive()
        for number, event in enumerate(events, 1):
            if isinstance(event, AssociationAccepted):
                channel.unread(events[number:])
                return event.response
            if isinstance(event, AssociationRejected):
                message = event.rejection.meaning
                raise AssociationRefusedError(message, event.rejection)
            if isinstance(event, Aborted):
                by = "the peer" if event.by_peer else "this side"
                raise AssociationAbortedError(f"aborted by {by} in negotiation: {event.detail}")
            if isinstance(event, ConnectionClosed):
                why = f": {channel.failure}" if channel.failure else ""
                message = f"the peer closed the connection in negotiation{why}"
                raise AssociationAbortedError(message) from channel.failure


def _request(
    peer: Peer, proposals: Sequence[Proposal], calling_ae_title: str, options: AssociationOptions
) -> AssociateRQ:
    if not 1 <= len(proposals) <= MAX_CONTEXTS:
        raise ValueError(
            f"an association has 1 to {MAX_CONTEXTS} presentation contexts, not {len(proposals)}"
        )
    contexts = tuple(
        ProposedContext(number, proposal.abstract_syntax, proposal.transfer_syntaxes)
        for number, proposal in zip(range(1, 256, 2), proposals, strict=False)
    )
    return AssociateRQ(
        called_ae_title=peer.ae_title,
        calling_ae_title=calling_ae_title,
        presentation_contexts=contexts,
        user_information=UserInformation(
            maximum_length=options.limits.max_pdu_length,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            asynchronous_operations=options.operations,
            roles=tuple(_roles(proposals)),
            extended=options.extended,
            user_identity=options.user_identity,
        ),
    )


def _roles(proposals: Sequence[Proposal]) -> Iterator[RoleSelection]:
    seen: set[str] = set()
    for proposal in proposals:
        if (not proposal.scu or proposal.scp) and proposal.abstract_syntax not in seen:
            seen.add(proposal.abstract_syntax)
            yield RoleSelection(proposal.abstract_syntax, proposal.scu, proposal.scp)


def _association(
    channel: Channel,
    peer: Peer,
    request: AssociateRQ,
    response: AssociateAC,
    serve: Serve | None,
    observers: OperationObservers | None,
    secured: TlsInfo | None,
) -> Association:
    extended = response.user_information.extended
    name = f"R{next(_numbers)}"
    info = AssociationInfo(
        id=name,
        origin=Origin(
            "DIMSE",
            calling_ae_title=request.calling_ae_title,
            called_ae_title=peer.ae_title,
            host=peer.host,
            port=peer.port,
            association=name,
            tls=secured,
        ),
        request=request,
        contexts=accepted_contexts(request, response),
        extended={item.sop_class_uid: item.application_information for item in extended},
        maximum_length=response.user_information.maximum_length,
        is_requestor=True,
    )
    association = Association(info, serve or refuse_requests, peer.default_character_set)
    window = agreed_asynchronous_operations(request, response)
    association.engine = Engine(
        channel,
        info,
        window,
        association.serve,
        ByteBudget(_MEMORY_BUDGET),
        observers=observers,
    )
    return association
