"""The service provider that lets pynetdicom's service classes and the user's handlers answer."""

import logging
from io import BytesIO
from typing import Any

from anyio import CapacityLimiter, to_thread
from pacs_core.contracts import Node, Operation, Response, ServiceProvider
from pacs_core.dataset import DatasetRecoder, MalformedDataset
from pacs_core.dimse import CommandField, DimseError, Status, encode_command
from pydicom.filereader import read_dataset
from pynetdicom import AE, dimse_messages
from pynetdicom.presentation import StoragePresentationContexts
from pynetdicom.sop_class import uid_to_service_class

from pacs_pynetdicom_handlers.association import (
    HandlerAssociation,
    ServiceUser,
    presentation_context,
)
from pacs_pynetdicom_handlers.config import HandlersConfig
from pacs_pynetdicom_handlers.loading import LoadedHandlers

logger = logging.getLogger(__name__)


class HandlerProvider(ServiceProvider):
    """Runs handlers in worker threads, as many at once as the config says.

    Parameters
    ----------
    node : Node
    config : HandlersConfig
    loaded : LoadedHandlers
    """

    def __init__(self, node: Node, config: HandlersConfig, loaded: LoadedHandlers) -> None:
        settings = node.settings
        self._config = config
        self._loaded = loaded
        self._ae = loaded.ae or AE(ae_title=settings.ae_title)
        if not self._ae.requested_contexts:  # for the destinations of C-MOVE
            self._ae.requested_contexts = StoragePresentationContexts
        self._acceptor = ServiceUser(settings.ae_title, settings.host, settings.port, "acceptor")
        self._threads = CapacityLimiter(config.threads)

    async def handle(self, operation: Operation) -> Response:
        """Answer a request with what the handler of its event returns.

        Raises
        ------
        DimseError
            The dataset is too large or malformed, pynetdicom has no service class for the SOP
            class, or the handler gave up.
        """
        data = await operation.dataset.read(self._config.max_dataset)
        association = HandlerAssociation(operation, self._loaded, self._ae, self._acceptor)
        try:
            await to_thread.run_sync(
                self._serve,
                operation,
                data,
                association,
                limiter=self._threads,
                abandon_on_cancel=True,
            )
        finally:
            association.is_aborted = True  # what is left of a generator is not asked for
        if association.response is None:
            raise DimseError(Status.PROCESSING_FAILURE, "the handler gave up the association")
        return association.response

    def _serve(self, operation: Operation, data: bytes, association: HandlerAssociation) -> None:
        _check(operation, data)
        command, context = operation.command, operation.context
        stand_in: Any = association
        service_class = uid_to_service_class(command.sop_class_uid or "")(stand_in)
        accepted = presentation_context(
            context.id, context.abstract_syntax, context.transfer_syntax
        )
        try:
            service_class.SCP(_primitive(operation, data), accepted)
        except (AttributeError, NotImplementedError, ValueError) as error:
            # Not the handler's, which pynetdicom answers itself: the service has no such request.
            logger.debug("%s: %s", command.field.name, error, exc_info=True)
            raise DimseError(
                Status.UNRECOGNIZED_OPERATION,
                f"no service of pynetdicom's takes {command.field.name} for this SOP class",
            ) from error


def _check(operation: Operation, data: bytes) -> None:
    """Refuse what pydicom would take for a dataset that ends where it breaks off."""
    syntax = operation.context.transfer_syntax
    try:
        recoder = DatasetRecoder(syntax, syntax)
        recoder.feed(data)
        recoder.finish()
    except MalformedDataset as error:
        is_composite = operation.command.field in (
            CommandField.C_STORE_RQ,
            CommandField.C_FIND_RQ,
            CommandField.C_GET_RQ,
            CommandField.C_MOVE_RQ,
        )
        status = Status.CANNOT_UNDERSTAND if is_composite else Status.PROCESSING_FAILURE
        raise DimseError(status, str(error)) from error


def _primitive(operation: Operation, data: bytes) -> Any:
    """Return the request as pynetdicom has it: decoded by its own rules."""
    message = getattr(dimse_messages, operation.command.field.name)()
    message.command_set = read_dataset(BytesIO(encode_command(operation.command)), True, True)
    message.data_set = BytesIO(data)
    message.context_id = operation.context.id
    return message.message_to_primitive()
