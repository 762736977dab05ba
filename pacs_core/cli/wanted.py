"""What a conversion is asked to make."""

from attrs import frozen

from pacs_core.contracts import EncodeOptions


@frozen
class Wanted:
    """What was asked for.

    Attributes
    ----------
    transfer_syntax_uid : str
    options : EncodeOptions
    new_uid : bool
        Whether what is compressed lossily gets a SOP Instance UID of its own.
    overwrite : bool
    """

    transfer_syntax_uid: str
    options: EncodeOptions
    new_uid: bool
    overwrite: bool
