"""The last step of decoding with pydicom, kept off the event loop where it takes long."""

from typing import TYPE_CHECKING, Final

from pacs_core.dataset import DatasetDecoder

if TYPE_CHECKING:
    from pydicom import Dataset

_SHORT: Final = 64 * 1024  # bytes that pydicom reads in about a millisecond


async def finish_decoding(decoder: DatasetDecoder) -> "Dataset":
    """Return the dataset that a decoder was fed.

    Raises
    ------
    MalformedDataset
        It ends too early, or pydicom cannot read it.
    """
    if decoder.length <= _SHORT:
        return decoder.finish()
    from anyio import to_thread  # who only imports contracts need not wait for it

    return await to_thread.run_sync(decoder.finish)
