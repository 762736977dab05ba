"""Request for a conversion, as the command line states it."""

from attrs import frozen

from pacs_core.contracts import EncodeOptions
from pacs_core.dataset import short_name_of
from pacs_core.imaging import is_lossless, pixel_syntax


@frozen
class ConversionRequest:
    """What was asked for.

    Attributes
    ----------
    transfer_syntax_uid : str
    options : EncodeOptions
    new_uid : bool
        Whether what is compressed lossily gets a SOP Instance UID of its own.
    overwrite : bool
    lossy : bool
        Whether anything may be lost.
    verify : bool
        Whether it is proven that nothing is lost, where nothing should be.
    """

    transfer_syntax_uid: str
    options: EncodeOptions
    new_uid: bool
    overwrite: bool
    lossy: bool
    verify: bool = True


def describe_loss(uid: str) -> str:
    """Return why a transfer syntax must be asked for; nothing if it is lossless."""
    if is_lossless(uid):
        return ""
    how = "cannot be lossless" if pixel_syntax(uid).always_lossy else "may be lossy"
    return (
        f"{short_name_of(uid)} {how}: say that you want it with --quality, --ratio or --lossy, or "
        "name a lossless transfer syntax"
    )
