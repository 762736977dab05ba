"""A dataset with some of its top-level elements set or removed; all else keeps its bytes.

`DatasetEditor` is for a dataset that streams, `plan_edit` for one of which ranges can be read: of
what stays as it is, that reads next to nothing.
"""

from collections.abc import Generator, Iterator, Sequence

from pacs_core.dataset.edit_scan import Changes, EditScan, Piece, Span
from pacs_core.dataset.errors import MalformedDataset
from pacs_core.dataset.inflate import Deflater, Inflater
from pacs_core.dataset.layout import Buffer
from pacs_core.dataset.model import Attributes
from pacs_core.dataset.original_attributes import Modification
from pacs_core.dataset.transfer_syntax import encoding_of

# Theory of operation
#
# Both ways to change a dataset come from one scan (`EditScan`), which says of each byte whether it
# stays. `DatasetEditor` edits while a dataset streams by: what stays is handed on as views of what
# came. `plan_edit` edits what is stored: it reads only as far as the changes reach, and answers
# with the pieces of the new dataset, ranges of the old one among them, so that a corrected instance
# of a gigabyte costs no more to open than its header.
#
# A deflated dataset has no ranges. It is inflated, edited and deflated as it streams.


class DatasetEditor:
    """Sets and removes top-level elements of a dataset that streams through it.

    Parameters
    ----------
    transfer_syntax_uid : str
        Of what is fed, and of what comes out.
    changes : Changes
        Elements are written with the VR of PS3.6, in the place that their tag has, in character
        sets that express them. Group lengths of groups that are changed go (PS3.5 §7.2).
    modification : Modification, optional
        What to say of the changes in Original Attributes Sequence (0400,0561); nothing if None.
        Previous values longer than 1 MiB, or of tags behind that sequence, are not given.
    extended : frozenset of int
        Tags of sequences to which items are added, unless they are to have none.

    Raises
    ------
    UnencodableValue
        See `check_changes`.

    Examples
    --------
    >>> editor = DatasetEditor("1.2.840.10008.1.2", {0x0010_0020: ("4711",)})
    >>> old = bytes.fromhex("1000200002000000 4131") + bytes.fromhex("1000400002000000 4620")
    >>> b"".join(editor.feed(old) + editor.finish()).hex()
    '10002000040000003437313110004000020000004620'
    """

    def __init__(
        self,
        transfer_syntax_uid: str,
        changes: Changes,
        modification: Modification | None = None,
        extended: frozenset[int] = frozenset(),
    ) -> None:
        self._scan = EditScan(transfer_syntax_uid, changes, modification, extended)
        deflated = encoding_of(transfer_syntax_uid).deflated
        self._inflater = Inflater() if deflated else None
        self._deflater = Deflater() if deflated else None
        self._held: Buffer = b""

    def feed(self, data: Buffer) -> list[Buffer]:
        """Take the next bytes of the dataset; return those of the new one, maybe views of `data`.

        Raises
        ------
        MalformedDataset
            If this cannot be a dataset in the transfer syntax.
        """
        if self._inflater is None:
            return self._edit(data)
        inflated = self._inflater.pieces(data)
        return self._deflate(out for part in inflated for out in self._edit(part))

    def finish(self) -> list[Buffer]:
        """Say that the dataset ends here; return the last pieces.

        Raises
        ------
        MalformedDataset
            If it ends inside an element, a sequence or the deflate stream.
        """
        if self._inflater is not None and not self._inflater.ended:
            raise MalformedDataset("the deflate stream is truncated", self._scan.resolved)
        start = self._scan.resolved
        pieces = self._resolve(self._scan.finish(), self._held, start)
        if self._deflater is None:
            return pieces
        return [*self._deflate(iter(pieces)), self._deflater.finish()]

    def _edit(self, data: Buffer) -> list[Buffer]:
        start = self._scan.resolved
        # Behind all changes: the rest of the dataset, pixels included, passes without a look.
        if self._scan.settled and not self._held:
            return [data]
        whole = memoryview(bytes(self._held) + data if self._held else data)
        pieces = self._resolve(self._scan.feed(data), whole, start)
        self._held = bytes(whole[self._scan.resolved - start :])
        return pieces

    @staticmethod
    def _resolve(pieces: Sequence[Piece], whole: Buffer, start: int) -> list[Buffer]:
        return [
            whole[piece.start - start : piece.end - start] if isinstance(piece, Span) else piece
            for piece in pieces
        ]

    def _deflate(self, pieces: Iterator[Buffer]) -> list[Buffer]:
        assert self._deflater is not None  # noqa: S101 - for the type checker
        return [out for piece in pieces if (out := self._deflater.feed(piece))]


def plan_edit(
    transfer_syntax_uid: str,
    size: int,
    changes: Changes,
    modification: Modification | None = None,
    *,
    extended: frozenset[int] = frozenset(),
    step: int = 16 * 1024,
) -> Generator[tuple[int, int], Buffer, list[Piece]]:
    """Work out the pieces of a changed dataset of which ranges can be read.

    A generator that yields the offset and length of what it wants to be sent, and returns the
    pieces.

    Parameters
    ----------
    transfer_syntax_uid : str
        How the dataset is encoded; if deflated, all this is about the inflated one.
    size : int
        Its size in bytes.
    changes, modification, extended
        See `DatasetEditor`.
    step : int
        Bytes to ask for at first; then ever more.

    Raises
    ------
    MalformedDataset
        It is shorter, or is no dataset in the transfer syntax.
    """
    scan = EditScan(transfer_syntax_uid, changes, modification, extended)
    pieces: list[Piece] = []
    offset = 0
    while offset < size and not scan.settled:
        data = yield offset, min(step, size - offset)
        if not data:
            raise MalformedDataset("truncated", offset)
        offset += len(data)
        # Most changes are at the beginning; where they are not, few and long reads are cheaper.
        step = min(2 * step, 1 << 20)
        pieces += scan.feed(data)
    pieces += scan.finish()
    if offset < size:
        pieces.append(Span(offset, size))
    return pieces


def change_attributes(
    attributes: Attributes, changes: Changes, extended: frozenset[int] = frozenset()
) -> Attributes:
    """Return attributes as they are after changes.

    Parameters
    ----------
    attributes : Attributes
    changes : Changes
    extended : frozenset of int
        Tags of sequences to which items are added, each once, unless they are to have none.
    """
    kept = {tag: values for tag, values in attributes.items() if tag not in changes}
    added = {tag: values for tag, values in changes.items() if values is not None}
    for tag in extended & added.keys():
        present = attributes.get(tag) or ()
        if added[tag]:
            added[tag] = (*present, *(each for each in added[tag] if each not in present))
    return kept | added
