"""An association as a handler sees it: what it uses of ``pynetdicom.association.Association``.

pynetdicom's own service classes (``pynetdicom.service_class``) do what a request asks for: they
call the handler, judge what it returns, and send responses. They run in a worker thread, on this
stand-in for their association, whose messages go through the operation of the node.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from anyio import from_thread
from attrs import field, frozen
from pacs_core.contracts import AssociationInfo, Operation, Response
from pacs_core.dataset import encode_dataset, encoding_of
from pacs_core.dimse import StatusCategory, category
from pydicom import Dataset, dcmread
from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext

from pacs_pynetdicom_handlers.loading import LoadedHandlers

DATASETS: Final = ("Identifier", "ActionReply", "EventReply", "AttributeList")
"""Parameters of pynetdicom's responses that are datasets; each kind of response has one at most."""


@frozen
class ServiceUser:
    """One side of an association, as ``event.assoc.requestor`` and ``.acceptor`` are.

    Attributes
    ----------
    ae_title, address : str
    port : int
    mode : str
        ``"requestor"`` or ``"acceptor"``.
    maximum_length : int
    implementation_class_uid, implementation_version_name : str
    """

    ae_title: str
    address: str
    port: int
    mode: str
    maximum_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""

    @property
    def info(self) -> dict[str, object]:
        """The same as a dict."""
        return {
            "ae_title": self.ae_title,
            "address": self.address,
            "port": self.port,
            "mode": self.mode,
            "pdv_size": self.maximum_length,
        }


class HandlerAssociation:
    """Stands for the association while one request is worked on.

    Parameters
    ----------
    operation : Operation
    loaded : LoadedHandlers
    ae : AE
        Requests associations with the destinations of C-MOVE.
    acceptor : ServiceUser

    Attributes
    ----------
    response : Response or None
        The final response, once it is known.
    """

    mode = "acceptor"
    is_acceptor = True
    is_requestor = False

    def __init__(
        self, operation: Operation, loaded: LoadedHandlers, ae: AE, acceptor: ServiceUser
    ) -> None:
        self.ae = ae
        self.acceptor = acceptor
        self.requestor = _requestor(operation.association)
        self.response: Response | None = None
        self.is_aborted = False
        self._operation = operation
        self._loaded = loaded
        # Where pynetdicom's service classes look for them.
        self.dimse, self.acse = self, _Acse(self)
        self.cancel_req = _CancelRequests(operation)
        self.abort = self._abort_nonblocking = self._abort_blocking = self._end

    # --- what handlers ask

    @property
    def is_established(self) -> bool:
        """Whether the association goes on."""
        return not self.is_aborted and not self._operation.link.has_ended

    @property
    def is_released(self) -> bool:
        """Whether the association has ended otherwise than by the handler."""
        return self._operation.link.has_ended

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """The accepted presentation contexts."""
        contexts = self._operation.association.contexts
        return [
            presentation_context(each.id, each.abstract_syntax, each.transfer_syntax)
            for each in contexts.values()
        ]

    def _end(self) -> None:
        """Give up the request: the node answers it with a failure."""
        self.is_aborted = True

    def release(self) -> None:
        """Do as :meth:`abort`: an acceptor cannot release."""
        self._end()

    def send_n_event_report(
        self,
        dataset: Dataset | None,
        event_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int = 1,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Report an event to the requestor; return the status and the Event Reply."""

        async def report() -> tuple[Any, Dataset | None]:
            return await self._operation.link.n_event_report(
                class_uid, instance_uid, event_type, dataset or Dataset(), negotiated_as=meta_uid
            )

        response, reply = from_thread.run(report)
        return _status(response.status), reply

    def send_c_store(
        self, dataset: "Dataset | str | Path", msg_id: int = 1, priority: int = 2, **_: object
    ) -> Dataset:
        """Store an instance at the requestor, for C-GET; return the status.

        Raises
        ------
        AttributeError, ValueError
            The dataset cannot be sent: the sub-operation has failed.
        """
        if not isinstance(dataset, Dataset):
            dataset = dcmread(os.fspath(dataset))
        context_id, syntax = self._context_for(dataset)
        encoded = encode_dataset(dataset, syntax)
        sop_class, sop_instance = str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
        status = from_thread.run(
            self._operation.c_store, context_id, sop_class, sop_instance, encoded
        )
        return _status(status)

    def _context_for(self, dataset: Dataset) -> tuple[int, str]:
        own = str(dataset.file_meta.TransferSyntaxUID)
        native = not encoding_of(own).encapsulated
        usable = {
            each.transfer_syntax: each.id
            for each in self._operation.association.contexts.values()
            if each.scp and each.abstract_syntax == dataset.SOPClassUID
        }
        for syntax, context_id in usable.items():
            if syntax == own:
                return context_id, syntax
        for syntax, context_id in usable.items():
            if native and not encoding_of(syntax).encapsulated:
                return context_id, syntax
        raise ValueError(
            f"no presentation context was accepted in which the requestor takes "
            f"{dataset.SOPClassUID} in {own}"
        )

    # --- what pynetdicom's service classes ask

    def get_handlers(self, event: evt.InterventionEvent) -> tuple[Any, Any]:
        """Return the handler of an event, or pynetdicom's own."""
        return self._loaded.handlers.get(event) or (evt.get_default_handler(event), None)

    def send_msg(self, response: Any, _context_id: int) -> None:
        """Send a response."""
        if not self.is_established:
            return
        dataset = next(filter(None, (getattr(response, name, None) for name in DATASETS)), None)
        encoded = dataset.getvalue() if dataset is not None else None
        counts: dict[str, Any] = {
            name: getattr(response, f"NumberOf{name.capitalize()}Suboperations", None)
            for name in ("remaining", "completed", "failed", "warning")
        }
        status = int(response.Status)
        if category(status) is not StatusCategory.PENDING:
            self.response = Response(status, encoded or None, **_further(response), **counts)
            return

        async def send() -> None:
            await self._operation.send_pending(encoded or None, status=status, **counts)

        from_thread.run(send)


@frozen
class _Acse:
    """What is asked of the association between the results of a generator."""

    association: HandlerAssociation

    def is_aborted(self) -> bool:
        return not self.association.is_established

    def is_release_requested(self) -> bool:
        return False


@frozen
class _CancelRequests:
    """The C-CANCEL requests as pynetdicom keeps them: those of this operation alone."""

    operation: Operation = field(repr=False)

    def keys(self) -> tuple[int, ...]:
        return (self.operation.command.message_id or 0,) if self.operation.cancelled else ()

    def __delitem__(self, message_id: int) -> None:
        """Keep it: who asks twice is answered twice."""


def presentation_context(
    context_id: int, abstract_syntax: str, transfer_syntax: str
) -> PresentationContext:
    """Return an accepted presentation context as pynetdicom has it."""
    context = PresentationContext()
    context.context_id = context_id
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = [transfer_syntax]
    return context


def _requestor(info: AssociationInfo) -> ServiceUser:
    user = info.request.user_information
    return ServiceUser(
        info.origin.calling_ae_title,
        info.origin.host,
        info.origin.port,
        "requestor",
        info.maximum_length,
        user.implementation_class_uid,
        user.implementation_version_name,
    )


def _status(status: int | None) -> Dataset:
    result = Dataset()
    if status is not None:
        result.Status = status
    return result


def _further(response: Any) -> Mapping[str, Any]:
    """Return the fields that a status Dataset of the handler may have set (PS3.7 Annex C)."""
    offending = getattr(response, "OffendingElement", None)
    identifiers = getattr(response, "AttributeIdentifierList", None)
    return {
        "comment": getattr(response, "ErrorComment", None) or "",
        "error_id": getattr(response, "ErrorID", None),
        "offending_element": _tags(offending),
        "attribute_identifier_list": _tags(identifiers),
        "affected_sop_instance_uid": _text(getattr(response, "AffectedSOPInstanceUID", None)),
        "event_type_id": getattr(response, "EventTypeID", None),
        "action_type_id": getattr(response, "ActionTypeID", None),
    }


def _tags(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(map(int, value)) if isinstance(value, list | tuple) else (int(value),)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
