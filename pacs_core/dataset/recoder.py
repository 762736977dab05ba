"""A dataset in one transfer syntax in, the same in another out, while it streams (PS3.5 §7)."""

from pacs_core.dataset.element_walk import ElementWalk
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.inflate import Deflater, Inflater
from pacs_core.dataset.layout import Buffer
from pacs_core.dataset.model import PixelDataElement
from pacs_core.dataset.transfer_syntax import encoding_of


class DatasetRecoder:
    """Converts the encoding of elements; holds one header and one chunk, whatever it is fed.

    Where both transfer syntaxes lay out elements equally, every byte passes as it is (inflated
    and deflated where they say so). Otherwise sequences and items get undefined length, odd
    values are padded, group lengths are left out, and the VR of what comes without one is that of
    PS3.6, or UN. Pixel Data are not decoded: to convert these, stop there.

    Parameters
    ----------
    source_transfer_syntax_uid, target_transfer_syntax_uid : str
        What is fed, and what comes out.
    stops_at_pixel_data : bool
        Consume no more once the header of top-level Pixel Data, Float Pixel Data or Double Float
        Pixel Data has been read. What comes out is then what precedes this element, without a
        group length for it, and never deflated, so that it can be edited: use `Deflater`. There may
        be encapsulated Pixel Data in its sequences, which are for the caller to convert.
    """

    def __init__(
        self,
        source_transfer_syntax_uid: str,
        target_transfer_syntax_uid: str,
        *,
        stops_at_pixel_data: bool = False,
    ) -> None:
        source = encoding_of(source_transfer_syntax_uid)
        target = encoding_of(target_transfer_syntax_uid)
        self._is_same = source_transfer_syntax_uid == target_transfer_syntax_uid
        self._walk = ElementWalk(
            source,
            target,
            stops_at_pixel_data=stops_at_pixel_data,
            # In another transfer syntax fragments within sequences, as of an icon, would not be
            # readable.
            takes_fragments=self._is_same
            or (source.encapsulated if stops_at_pixel_data else target.encapsulated),
        )
        self._inflater = Inflater() if source.deflated else None
        self._deflater = Deflater() if target.deflated and not stops_at_pixel_data else None

    @property
    def pixel_data(self) -> PixelDataElement | None:
        """The header of Pixel Data, once `feed` has stopped there."""
        return self._walk.pixel_data

    def feed(self, data: Buffer) -> list[Buffer]:
        """Take the next bytes of the dataset.

        A deflated dataset may inflate a thousandfold: feed that in small chunks.

        Returns
        -------
        list of bytes or memoryview
            Pieces of the target encoding; some may be views of `data`.

        Raises
        ------
        MalformedDataset
            If this cannot be a dataset in the source transfer syntax.
        UnencodableValue
            If it has encapsulated Pixel Data where these would have to be decoded, as in an icon.
        """
        if self._inflater is None:
            pieces = self._walk.feed(data)
        else:
            pieces = [out for part in self._inflater.pieces(data) for out in self._walk.feed(part)]
        if self._deflater is None:
            return pieces
        return [out for piece in pieces if (out := self._deflater.feed(piece))]

    def take_rest(self) -> bytes:
        """Take, after the stop, what was fed (inflated) and follows the Pixel Data header."""
        return self._walk.take_pending()

    def resume(self, passed: int = 0) -> None:
        """Go on after Pixel Data, with what trails them: feed it.

        Parameters
        ----------
        passed : int
            Bytes of the Pixel Data that the caller consumed, for the offsets in errors.
        """
        # What comes from here on is seen by nobody who would convert an icon in it.
        self._walk.resume(passed, takes_fragments=self._is_same)

    def finish(self) -> list[bytes]:
        """Say that the dataset ends here; return the last pieces.

        Raises
        ------
        MalformedDataset
            If it ends inside an element, a sequence or the deflate stream.
        """
        self._walk.finish()
        if self._inflater is not None and not self._inflater.ended:
            raise MalformedDataset("the deflate stream is truncated", self._walk.offset)
        return [self._deflater.finish()] if self._deflater is not None else []
