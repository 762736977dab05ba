"""The service: an N-GET of an instance's UID tells whether and how it is available."""

from typing import ClassVar, Final

from pacs_core.contracts import (
    Archive,
    AuditEvent,
    AuditKind,
    Level,
    Node,
    Operation,
    Outcome,
    Query,
    Response,
    ServiceProvider,
    SingleValue,
    StoredInstance,
)
from pacs_core.dataset import tag_of
from pacs_core.dimse import CommandField, DimseError, Status
from pydicom import Dataset

from {{ cookiecutter.__package }}.config import Config

AVAILABILITY: Final = "{{ cookiecutter.__uid }}"
"""SOP Class UID of this service, made from a UUID (PS3.5 B.2)."""


class Availability(ServiceProvider):
    """Answers N-GET (PS3.7 10.1.2) with attributes of the instance that the request names.

    Parameters
    ----------
    node : Node
        Its archive is asked, its audit trail is told.
    config : Config
    """

    applies_restrictions: ClassVar[bool] = True

    def __init__(self, node: Node, config: Config) -> None:
        self._node = node
        self._config = config

    async def handle(self, operation: Operation) -> Response:
        """Answer an N-GET; anything else is refused.

        Raises
        ------
        DimseError
            0211H for another request, 0112H if there is no such instance (PS3.7 Annex C).
        """
        command = operation.command
        if command.field is not CommandField.N_GET_RQ:
            raise DimseError(Status.UNRECOGNIZED_OPERATION, "this SOP class knows N-GET only")
        uid = command.requested_sop_instance_uid or ""
        # Studies are kept apart even if they have instances with one UID.
        query = Query(Level.IMAGE, (SingleValue(tag_of("SOPInstanceUID"), uid),), limit=2)
        archive = self._node.archive.on_behalf_of(operation.association.origin)
        found = [instance async for instance in archive.instances(query)]
        await self._record(operation, uid, found=bool(found))
        if not found:
            raise DimseError(Status.NO_SUCH_SOP_INSTANCE, f"there is no instance {uid}")
        if len(found) > 1:
            raise DimseError(Status.PROCESSING_FAILURE, f"several studies have {uid}")
        return self._answer(operation, await self._describe(archive, found[0]))

    async def _describe(self, archive: Archive, instance: StoredInstance) -> Dataset:
        stored = await archive.read_dataset(instance)
        known = Dataset()
        known.InstanceAvailability = self._config.availability
        known.AvailableTransferSyntaxUID = instance.transfer_syntax_uid
        known.PatientName = stored.get("PatientName", "")
        known.StudyInstanceUID = stored.StudyInstanceUID
        known.SeriesInstanceUID = stored.SeriesInstanceUID
        return known

    def _answer(self, operation: Operation, known: Dataset) -> Response:
        # No list asks for everything (PS3.7 10.1.2.1.5).
        wanted = operation.command.attribute_identifier_list or tuple(known.keys())
        unknown = tuple(tag for tag in wanted if tag not in known)
        found = Dataset()
        for tag in wanted:
            if tag in known:
                found.add(known[tag])
        return Response(
            Status.ATTRIBUTE_LIST_ERROR if unknown else Status.SUCCESS,
            found,
            attribute_identifier_list=unknown,
        )

    async def _record(self, operation: Operation, uid: str, *, found: bool) -> None:
        outcome = Outcome.SUCCESS if found else Outcome.WARNING
        details = {"sop_class": AVAILABILITY, "sop_instance": uid}
        origin = operation.association.origin
        await self._node.audit.record(AuditEvent(AuditKind.N_SERVICE, outcome, origin, details))
