"""Storage Commitment as SCU: peers are asked whether they keep what they were sent."""

from collections.abc import Sequence

import anyio
from pacs_database.api import Database

from pacs_core.contracts import (
    Node,
    Operation,
    Peer,
    Proposal,
    Response,
    ServeRequests,
)
from pacs_core.dimse import CommandField, DimseError, Status, StatusCategory, category
from pacs_sop_storage_commitment.interface import (
    CommitmentRefusedError,
    Direction,
    Requester,
    Transaction,
    Transactions,
    TransactionState,
)
from pacs_sop_storage_commitment.reading import receive_report
from pacs_sop_storage_commitment.references import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    CommitmentRequest,
    FailureReason,
    Failures,
    Reference,
    write_request,
)


class PeerRequester(Requester):
    """Asks peers, and keeps what they report.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._news = anyio.Event()

    async def start(self) -> None:
        """See base."""
        self._transactions = self._node.find(Transactions)
        self._database = self._node.find(Database)

    async def request(self, peer: Peer, request: CommitmentRequest, wait: float) -> Transaction:
        """See base."""
        async with self._database.begin() as connection:
            asked = await self._transactions.add(connection, Direction.SENT, peer.ae_title, request)
        proposal = Proposal(PUSH_MODEL)
        serve = self._serve(peer, len(request.references))
        async with self._node.connect(peer, [proposal], serve=serve) as association:
            response, _ = await association.n_action(
                PUSH_MODEL, PUSH_MODEL_INSTANCE, REQUEST, write_request(request)
            )
            status = response.status or 0
            if category(status) is StatusCategory.FAILURE:
                reason = f"{peer} answered {status:04X}H {response.error_comment or ''}".rstrip()
                await self._transactions.set_state(asked.number, TransactionState.GIVEN_UP, reason)
                raise CommitmentRefusedError(reason)
            with anyio.move_on_after(wait):
                while True:
                    news = self._news  # before it is looked, so that none is missed in between
                    found = await self._transactions.find(asked.number)
                    if found.state is not TransactionState.ASKED:
                        return found
                    await news.wait()
        return await self._transactions.find(asked.number)

    def _serve(self, peer: Peer, most: int) -> ServeRequests:
        async def serve(operation: Operation) -> Response:
            if operation.command.field is not CommandField.N_EVENT_REPORT_RQ:
                raise DimseError(Status.UNRECOGNIZED_OPERATION, "Expected N-EVENT-REPORT-RQ")
            await self.take_report(peer.ae_title, *await receive_report(operation, most))
            return Response(Status.SUCCESS)

        return serve

    async def take_report(
        self, ae_title: str, uid: str, committed: Sequence[Reference], failures: Failures
    ) -> None:
        """See base."""
        found = await self._transactions.with_uid(uid, peer=ae_title, sent=True)
        if not found:
            comment = f"no transaction {uid} is known here"
            raise DimseError(Status.INVALID_ARGUMENT_VALUE, comment)
        asked = found[-1]
        given = set(committed)
        missing = {
            each: failures.get(each, FailureReason.PROCESSING_FAILURE)
            for each in asked.request.references
            if each not in given or each in failures
        }
        await self._transactions.set_result(asked.number, missing, TransactionState.REPORTED)
        self._news.set()
        self._news = anyio.Event()
