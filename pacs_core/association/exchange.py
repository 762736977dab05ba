"""One request and its response, with attributes instead of bytes: for both roles."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union

from attrs import evolve

from pacs_core.association.errors import NoContextError
from pacs_core.association.invoker import Invocation
from pacs_core.association.sender import DatasetSource
from pacs_core.dataset import (
    Attributes,
    best_character_set,
    decode_dataset,
    encode_attributes,
    encode_dataset,
    is_pydicom_dataset,
    parse_attributes,
)
from pacs_core.dimse import Command, CommandField
from pacs_core.upper_layer import AcceptedContext

if TYPE_CHECKING:
    from pydicom import Dataset

AttributesOrDataset: TypeAlias = Union[Attributes, "Dataset"]


class MessageSender(Protocol):
    """The engine of an association, as those see it who send requests."""

    @property
    def end_reason(self) -> str:
        """Why the association ended; empty while it lasts."""

    async def invoke(
        self, context_id: int, command: Command, dataset: DatasetSource | None
    ) -> Invocation:
        """Send a request, under a new message ID."""


def find_context(
    contexts: Mapping[int, AcceptedContext],
    sop_class_uid: str,
    *,
    requestor_is_scu: bool,
    transfer_syntax_uid: str | None = None,
) -> AcceptedContext:
    """Return an accepted presentation context in which the roles are as wanted.

    Raises
    ------
    NoContextError
        There is none.
    """
    for context in contexts.values():
        if (
            context.abstract_syntax == sop_class_uid
            and (context.scu if requestor_is_scu else context.scp)
            and transfer_syntax_uid in (None, context.transfer_syntax)
        ):
            return context
    syntax = f" in transfer syntax {transfer_syntax_uid}" if transfer_syntax_uid else ""
    role = "SCU" if requestor_is_scu else "SCP"
    raise NoContextError(
        f"no presentation context was accepted for {sop_class_uid}{syntax} "
        f"in which the requestor is {role}"
    )


def event_report(sop_class_uid: str, sop_instance_uid: str, event_type_id: int) -> Command:
    """Return an N-EVENT-REPORT-RQ (PS3.7 §10.3.1.1)."""
    return Command(
        field=CommandField.N_EVENT_REPORT_RQ,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        event_type_id=event_type_id,
    )


async def exchange(
    sender: MessageSender,
    context: AcceptedContext,
    command: Command,
    attributes: AttributesOrDataset | None,
    character_set: tuple[str, ...] = (),
    *,
    as_dataset: bool = False,
) -> tuple[Command, AttributesOrDataset | None]:
    """Send a request of DIMSE-N, and return the response and what it carries.

    That is a Dataset of pydicom if one was given, or if it shall be.
    """
    # A dataset of no elements is none: its command says that there is none (PS3.7 E.1).
    dataset = None if attributes is None else encode(attributes, context, character_set) or None
    command = evolve(command, has_dataset=dataset is not None)
    invocation = await sender.invoke(context.id, command, dataset)
    response, answer = await invocation.response()
    as_dataset = as_dataset or is_pydicom_dataset(attributes)
    return response, decode(answer, context, character_set, as_dataset=as_dataset)


def encode(
    attributes: AttributesOrDataset,
    context: AcceptedContext,
    character_set: tuple[str, ...] = (),
) -> bytes:
    """Encode attributes for a context, in a character set that can express them.

    Raises
    ------
    UnencodableValue
        A value cannot be written.
    """
    if is_pydicom_dataset(attributes):
        return encode_dataset(attributes, context.transfer_syntax)
    # What the peer is known to read, else Unicode, which can express everything.
    wanted = character_set or ("ISO_IR 192",)
    chosen = best_character_set(attributes, wanted) or wanted
    return encode_attributes(attributes, context.transfer_syntax, chosen)


def decode(
    dataset: bytes | None,
    context: AcceptedContext,
    character_set: tuple[str, ...] = (),
    *,
    as_dataset: bool = False,
) -> AttributesOrDataset | None:
    """Decode what a response carries, if `as_dataset` with pydicom; None if that is nothing.

    Raises
    ------
    MalformedDataset
        It is no dataset in the context's transfer syntax.
    """
    if dataset is None:
        return None
    if as_dataset:
        return decode_dataset(dataset, context.transfer_syntax)
    return parse_attributes(dataset, context.transfer_syntax, default_character_set=character_set)
