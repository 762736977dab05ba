"""C-FIND (PS3.4 C.4.1)."""

from typing import ClassVar, Final

from pacs_core.api.auditing import Details
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditKind,
    InvalidKeyError,
    KeyMatching,
    Node,
    Operation,
    Query,
    Response,
)
from pacs_core.dataset import keyword_of
from pacs_core.dimse import CommandField, Status
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.identifier import Identifier, check_upper_keys, mismatch
from pacs_sop_query_retrieve.models import InformationModel
from pacs_sop_query_retrieve.negotiation import Option, agreed_options, find_options
from pacs_sop_query_retrieve.provider import QueryRetrieveProvider
from pacs_sop_query_retrieve.responses import ResponseFormat

_PENDING: Final = {False: Status.PENDING, True: Status.PENDING_WITH_WARNINGS}


class Find(QueryRetrieveProvider):
    """Answers C-FIND with a pending response for each match, as the index yields it."""

    command: ClassVar[CommandField] = CommandField.C_FIND_RQ
    audit_kind: ClassVar[AuditKind] = AuditKind.C_FIND
    incomplete: ClassVar[Status] = Status.UNABLE_TO_PROCESS

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        super().__init__(node, config)
        self.options = find_options(config)

    async def _perform(
        self,
        operation: Operation,
        model: InformationModel,
        identifier: Identifier,
        details: Details,
    ) -> Response:
        details["keys"] = [keyword_of(tag) for tag in sorted(identifier.keys)]
        if not self._is_relational(operation, model, identifier):
            check_upper_keys(identifier, model)
        peer = self._node.settings.peer(operation.association.origin.calling_ae_title)
        form = ResponseFormat(
            identifier,
            self._node.archive.searchable_tags(identifier.level),
            operation.context.transfer_syntax,
            self._node.settings.ae_title,
            peer.default_character_set if peer else (),
        )
        query = self._query(operation, identifier, form)
        return await self._respond(operation, query, form, details)

    def _query(self, operation: Operation, identifier: Identifier, form: ResponseFormat) -> Query:
        agreed = agreed_options(operation)
        matching = KeyMatching(
            combined_date_time=Option.COMBINED_DATE_TIME in agreed,
            fuzzy_names=Option.FUZZY_NAMES in agreed,
            empty_values=Option.EMPTY_VALUES in agreed,
            multiple_values=Option.MULTIPLE_VALUES in agreed,
            offset=form.offset,
        )
        try:
            conditions = matching.conditions(identifier.keys, form.matched)
        except InvalidKeyError as error:
            raise mismatch(error.tag, error.comment) from error
        # One more than may be answered tells whether there is more (A700H).
        most = self._config.max_results
        limit = None if most is None else most + 1
        return Query(identifier.level, conditions, form.returning, limit=limit)

    async def _respond(
        self, operation: Operation, query: Query, form: ResponseFormat, details: Details
    ) -> Response:
        status = _PENDING[bool(form.unsupported)]
        most = None if query.limit is None else query.limit - 1
        count = details["matches"] = 0
        archive = self._node.archive.on_behalf_of(operation.association.origin)
        async with closing(archive.search(query)) as matches:
            async for match in matches:
                if operation.cancelled:
                    return Response(Status.CANCEL)
                if count == most:
                    return Response(Status.OUT_OF_RESOURCES, comment=f"More than {most} matches")
                entity = form.entity(match)
                availability = await archive.availability(entity) if entity else None
                await operation.send_pending(form.encode(match, availability), status=status)
                count += 1
                details["matches"] = count
        return Response(Status.CANCEL if operation.cancelled else Status.SUCCESS)
