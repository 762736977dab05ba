"""What the three services have in common."""

from abc import abstractmethod
from typing import ClassVar

from pacs_core.contracts import AuditKind, Node, Operation, Response, ServiceProvider
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_query_retrieve.auditing import Details, audited
from pacs_sop_query_retrieve.config import QueryRetrieveConfig
from pacs_sop_query_retrieve.identifier import Identifier, read_identifier
from pacs_sop_query_retrieve.models import SOP_CLASSES, Model
from pacs_sop_query_retrieve.negotiation import Option, agreed_options, answer_options


class QueryRetrieveProvider(ServiceProvider):
    """Reads the identifier, has the work done, and records it.

    Parameters
    ----------
    node : Node
    config : QueryRetrieveConfig
    """

    command: ClassVar[CommandField]
    audit_kind: ClassVar[AuditKind]
    options: frozenset[Option]
    """What can be agreed on in SOP class extended negotiation."""

    def __init__(self, node: Node, config: QueryRetrieveConfig) -> None:
        self._node = node
        self._config = config

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
        return await audited(self._node.audit, self.audit_kind, operation, self._work)

    async def _work(self, operation: Operation, details: Details) -> Response:
        model, _service = SOP_CLASSES[operation.context.abstract_syntax]
        details["model"] = model.name
        identifier = await read_identifier(operation, model)
        details["level"] = identifier.level.value
        return await self._perform(operation, model, identifier, details)

    def _is_relational(self, operation: Operation) -> bool:
        return self._config.relational or Option.RELATIONAL in agreed_options(operation)

    @abstractmethod
    async def _perform(
        self, operation: Operation, model: Model, identifier: Identifier, details: Details
    ) -> Response:
        """Do the work of the service, and fill in what is to be recorded."""
