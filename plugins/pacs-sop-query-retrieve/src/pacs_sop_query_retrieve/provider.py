"""Common ground of the three services."""

import logging
from abc import abstractmethod
from typing import ClassVar, Final

from attrs import evolve

from pacs_core.api.auditing import Details, audit_work
from pacs_core.contracts import (
    AuditKind,
    AuditObject,
    AuditObjectKind,
    Node,
    Operation,
    Response,
    ServiceProvider,
    Setup,
)
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_query_retrieve.config import QueryRetrieveConfig, Relational
from pacs_sop_query_retrieve.identifier import Identifier, loose_keys, read_identifier
from pacs_sop_query_retrieve.models import SOP_CLASSES, InformationModel
from pacs_sop_query_retrieve.negotiation import Option, agreed_options, answer_options

logger = logging.getLogger(__name__)

_INCOMPLETE: Final = "Incomplete: the archive's index has a gap"
_MOST_PEERS: Final = 1000


class QueryRetrieveProvider(ServiceProvider):
    """Reads the identifier, has the work done, and records it.

    Parameters
    ----------
    node : Node
    config : QueryRetrieveConfig
    """

    applies_restrictions: ClassVar[bool] = True
    command: ClassVar[CommandField]
    audit_kind: ClassVar[AuditKind]
    incomplete: ClassVar[Status]
    """What ends an answer that would end with 0000H if the index did not lack instances."""
    options: frozenset[Option]
    """What can be agreed on in SOP class extended negotiation."""

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        self._node = node
        self._config = config
        self._peers_logged: set[tuple[str, str]] = set()

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other limits from the next request on."""
        self._config = setup.config(QueryRetrieveConfig)

    def negotiate(self, sop_class_uid: str, application_information: bytes) -> bytes | None:
        """Answer SOP class extended negotiation (PS3.4 C.5.1.1.2, C.5.2.1.2)."""
        return answer_options(self.options, application_information) or None

    async def handle(self, operation: Operation) -> Response:
        """Answer the request of the service, and 0211H to any other."""
        if operation.command.field is not self.command:
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"Expected {self.command.name}, not {operation.command.field.name}",
            )
        query = AuditObject(AuditObjectKind.QUERY, operation.context.abstract_syntax)
        return await audit_work(
            self._node.audit, self.audit_kind, operation, self._work, objects=(query,)
        )

    async def _work(self, operation: Operation, details: Details) -> Response:
        model, _service = SOP_CLASSES[operation.context.abstract_syntax]
        details["model"] = model.name
        sender = operation.association.origin.calling_ae_title
        character_set = self._node.settings.character_set_of(sender)
        identifier = await read_identifier(operation, model, character_set)
        details["level"] = identifier.level.value
        response = await self._perform(operation, model, identifier, details)
        if response.status == Status.SUCCESS and (gap := await self._node.archive.gap()):
            details["incomplete"] = gap
            return evolve(response, status=self.incomplete, comment=_INCOMPLETE)
        return response

    def _is_relational(
        self, operation: Operation, model: InformationModel, identifier: Identifier
    ) -> bool:
        """Return whether unique keys of upper levels may be left out (PS3.4 C.4.1.2.2.2)."""
        if Option.RELATIONAL in agreed_options(operation):
            return True
        if self._config.relational is Relational.AUTO:
            self._log_loose_keys(operation, identifier, loose_keys(identifier, model))
        return self._config.relational is not Relational.STRICT

    def _log_loose_keys(
        self, operation: Operation, identifier: Identifier, loose: tuple[str, ...]
    ) -> None:
        origin = operation.association.origin
        peer = origin.calling_ae_title, origin.host
        # A peer may make up titles: what is remembered of them is bounded.
        if not loose or peer in self._peers_logged or len(self._peers_logged) >= _MOST_PEERS:
            return
        self._peers_logged.add(peer)
        logger.info(
            "%s at %s sends %s at level %s without %s, and has not negotiated relational queries; "
            "it is answered as if it had, see relational in [plugin.sop-query-retrieve]",
            *peer,
            self.command.name.removesuffix("_RQ").replace("_", "-"),
            identifier.level.value,
            " and ".join(loose),
        )

    @abstractmethod
    async def _perform(
        self,
        operation: Operation,
        model: InformationModel,
        identifier: Identifier,
        details: Details,
    ) -> Response:
        """Do the work of the service, and fill in what is to be recorded."""
