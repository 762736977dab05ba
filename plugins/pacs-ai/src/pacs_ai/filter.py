"""Ingest filter: what a service sends, by C-STORE or STOW-RS, is looked at before it is stored."""

from collections.abc import AsyncIterable
from functools import partial

from pacs_ai.config import AiConfig
from pacs_ai.desk import DOOR, AiDesk
from pacs_ai.intake import Intake
from pacs_ai.models import InferenceRequest, ResultState
from pacs_ai.tokens import REQUEST_CLAIM
from pacs_core.contracts import (
    Accept,
    Divert,
    FilterVerdict,
    IncomingHeader,
    IngestFilter,
    IngestOutcome,
    IngestResult,
    InstancePath,
    Node,
    Origin,
    RejectedInstanceError,
)
from pacs_core.dimse import Status


class ResultFilter(IngestFilter):
    """Diverts results.

    The desk is looked for when something is a result: filters start before what plugins offer each
    other, and commands that import have no desk.

    Parameters
    ----------
    node : Node
    config : AiConfig
    """

    def __init__(self, node: Node, config: AiConfig) -> None:
        self._node = node
        self._config = config

    async def judge(self, header: IncomingHeader, origin: Origin) -> FilterVerdict:
        """See base."""
        if origin.interface == DOOR:
            return Accept()
        request: InferenceRequest | None = None
        service = ""
        claims = origin.principal.claims if origin.principal else {}
        if number := claims.get(REQUEST_CLAIM):
            request = await self._node.find(AiDesk).records.find(int(number))
            service = request.service
        else:
            is_dimse = origin.interface == "DIMSE"
            service = self._service_of(origin.calling_ae_title if is_dimse else origin.user)
        if not service:
            return Accept()
        return Divert(partial(self._take, service, request, header, origin))

    def _service_of(self, name: str) -> str:
        """Return the service whose results an AE title, or a user, brings; empty if none."""
        for key, service in self._config.services.items():
            titles = set(service.results_from)
            if not titles and (peer := self._node.settings.peers.get(service.peer)):
                titles = {peer.ae_title}
            if name and name in titles:
                return key
        return ""

    async def _take(
        self,
        service: str,
        request: InferenceRequest | None,
        header: IncomingHeader,
        origin: Origin,
        dataset: AsyncIterable[bytes | memoryview],
    ) -> IngestResult:
        identity = header.identity
        uids = (identity.sop_class_uid, identity.sop_instance_uid, header.transfer_syntax_uid)
        intake = Intake(self._node.find(AiDesk))
        result = await intake.take_dataset(service, dataset, uids, request, origin)
        if result.state not in {ResultState.ARCHIVED, ResultState.RELEASED}:
            reason = result.reasons[0] if result.reasons else str(result.state)
            text = f"result {result.number} is in quarantine: {reason}"
            raise RejectedInstanceError(text, Status.DATASET_DOES_NOT_MATCH_SOP_CLASS)
        path = InstancePath(result.study_uid, result.instance_uid)
        instance = await self._node.archive.locate(path)
        if instance is None:
            raise RejectedInstanceError("it is not in the archive any more")
        return IngestResult(IngestOutcome.STORED, instance)
