"""Requests of Print Management, and the operations that carry them out (PS3.4 Annex H)."""

from collections.abc import Awaitable, Callable
from typing import Final

from pacs_core.contracts import Node, Operation, Response
from pacs_core.dimse import CommandField, DimseError, Status
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.film_operations import FilmOperations
from pacs_sop_print.image_operations import ImageOperations
from pacs_sop_print.interface import PrintQueue
from pacs_sop_print.printer import describe_configuration, describe_job, describe_printer, select
from pacs_sop_print.session import Printing
from pacs_sop_print.sop_classes import (
    ANNOTATION_BOX,
    COLOR_IMAGE_BOX,
    FILM_BOX,
    FILM_SESSION,
    GRAYSCALE_IMAGE_BOX,
    PRESENTATION_LUT,
    PRINT_JOB,
    PRINTER,
    PRINTER_CONFIGURATION,
    PRINTER_CONFIGURATION_INSTANCE,
    PRINTER_INSTANCE,
    SERVICES,
    served_by,
)

Handle = Callable[[Printing, Operation], Awaitable[Response]]

_CREATE, _SET = CommandField.N_CREATE_RQ, CommandField.N_SET_RQ
_DELETE, _ACTION, _GET = CommandField.N_DELETE_RQ, CommandField.N_ACTION_RQ, CommandField.N_GET_RQ

_WELL_KNOWN: Final = {
    PRINTER: PRINTER_INSTANCE,
    PRINTER_CONFIGURATION: PRINTER_CONFIGURATION_INSTANCE,
}


class PrintOperations:
    """Carries out the requests of all SOP classes of Print Management.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    def __init__(self, node: Node, config: PrintConfig) -> None:
        self._node = node
        self._config = config
        films = FilmOperations(node, config)
        images = ImageOperations(node, config)
        self._handlers: dict[tuple[str, CommandField], Handle] = {
            (FILM_SESSION, _CREATE): films.create_session,
            (FILM_SESSION, _SET): films.set_session,
            (FILM_SESSION, _ACTION): films.print_session,
            (FILM_SESSION, _DELETE): films.delete,
            (FILM_BOX, _CREATE): films.create_film,
            (FILM_BOX, _SET): films.set_film,
            (FILM_BOX, _ACTION): films.print_film,
            (FILM_BOX, _DELETE): films.delete,
            (GRAYSCALE_IMAGE_BOX, _SET): images.set_image,
            (COLOR_IMAGE_BOX, _SET): images.set_image,
            (ANNOTATION_BOX, _SET): images.set_annotation,
            (PRESENTATION_LUT, _CREATE): images.create_lut,
            (PRESENTATION_LUT, _DELETE): films.delete,
            (PRINTER, _GET): self._get_printer,
            (PRINTER_CONFIGURATION, _GET): self._get_configuration,
            (PRINT_JOB, _GET): self._get_job,
        }

    async def carry_out(self, printing: Printing, operation: Operation) -> Response:
        """Carry out a request.

        Raises
        ------
        DimseError
            It is refused.
        """
        return await self._handler(operation)(printing, operation)

    def _handler(self, operation: Operation) -> Handle:
        command = operation.command
        sop_class = command.sop_class_uid or ""
        if sop_class not in served_by(operation.context.abstract_syntax):
            comment = f"{sop_class[:40]} is not of this presentation context"
            raise DimseError(Status.NO_SUCH_SOP_CLASS, comment)
        if command.field not in SERVICES[sop_class]:
            comment = f"The SOP class has no {command.field.name}"
            raise DimseError(Status.UNRECOGNIZED_OPERATION, comment)
        well_known = _WELL_KNOWN.get(sop_class)
        if well_known is not None and command.sop_instance_uid != well_known:
            raise DimseError(Status.NO_SUCH_SOP_INSTANCE, f"The instance is {well_known}")
        return self._handlers[sop_class, command.field]

    async def _get_printer(self, printing: Printing, operation: Operation) -> Response:
        trouble = await self._node.find(PrintQueue).trouble()
        tags = operation.command.attribute_identifier_list
        return select(describe_printer(self._config, trouble), tags)

    async def _get_configuration(self, printing: Printing, operation: Operation) -> Response:
        tags = operation.command.attribute_identifier_list
        return select(describe_configuration(self._config), tags)

    async def _get_job(self, printing: Printing, operation: Operation) -> Response:
        record = await self._node.find(PrintQueue).find(operation.command.sop_instance_uid or "")
        if record is None or record.originator != printing.association.origin.calling_ae_title:
            raise DimseError(Status.NO_SUCH_SOP_INSTANCE, "There is no such print job of yours")
        return select(
            describe_job(record, self._config), operation.command.attribute_identifier_list
        )
