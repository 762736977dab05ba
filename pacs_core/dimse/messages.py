"""Messages to fragments (PS3.8 Annex E)."""

from collections.abc import Iterator
from itertools import chain

from pacs_core.dimse.commands import Command, encode_command
from pacs_core.upper_layer import PresentationDataValue, fragment


def encode_message(
    context_id: int,
    command: Command | bytes,
    dataset: bytes | memoryview | None = None,
    max_pdu_length: int = 0,
) -> list[list[PresentationDataValue]]:
    """Cut a message into PDVs, grouped as they are to share P-DATA-TF PDUs.

    Each PDU holds one PDV, which every peer understands; it is for the driver to hand all PDUs to
    the socket in one write.

    Parameters
    ----------
    context_id : int
        Presentation context ID, odd, 1 to 255.
    command : Command or bytes
        Bytes are encoded already.
    dataset : bytes, memoryview or None
        The encoded data set. None with ``command.has_dataset`` leaves the data set to the caller,
        who sends its fragments next.
    max_pdu_length : int
        Maximum length the peer accepts, in bytes; 0 for no limit (PS3.8 §D.1).

    Returns
    -------
    list of list of PresentationDataValue

    Raises
    ------
    ValueError
        If `dataset` is given and `command` announces none, or the command cannot be encoded.
    pacs_core.upper_layer.LocalProtocolError
        If the peer's maximum length leaves no room for data.
    """
    encoded = command if isinstance(command, bytes) else encode_command(command)
    if not (dataset is None or isinstance(command, bytes) or command.has_dataset):
        raise ValueError(f"{command.field.name} with a data set, but has_dataset is False")
    pdvs: Iterator[PresentationDataValue] = fragment(context_id, True, encoded, max_pdu_length)
    if dataset is not None:
        pdvs = chain(pdvs, fragment(context_id, False, dataset, max_pdu_length))
    return [[pdv] for pdv in pdvs]
