"""Groups files into associations of at most 128 presentation contexts (PS3.8 §7.1.1.13)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

from attrs import frozen

from pacs_core.association import MAX_CONTEXTS, Proposal
from pacs_core.cli.files import DicomFile
from pacs_core.contracts import Peer, Transcoder
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

# Theory of operation
#
# A presentation context has one transfer syntax here, although more may be proposed: the acceptor
# chooses a single one of those in a context (PS3.8 9.3.2.2), so that only contexts of their own let
# it take several. That uses up contexts, of which an association has 128, hence the grouping by SOP
# class: a class is never divided, so that it takes the same contexts only once.
#
# Dividing a batch deals out its files in turn, not in runs: neighbours tend to have one size, and
# the parts end at about the same time.

_DEFAULTS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@frozen
class StoreBatch:
    """Files that fit into one association, and the contexts that they need."""

    proposals: Sequence[Proposal]
    files: Sequence[DicomFile]

    def split(self, parts: int) -> Iterator["StoreBatch"]:
        """Deal the files out to so many associations, or fewer if there are few files."""
        for number in range(min(parts, len(self.files))):
            yield StoreBatch(self.proposals, self.files[number::parts])


def store_batches(
    files: Iterable[DicomFile], transcoder: Transcoder, peer: Peer
) -> Iterator[StoreBatch]:
    """Group files, those of a SOP class together, into as few associations as possible."""
    by_class: dict[str, list[DicomFile]] = {}
    for file in files:
        by_class.setdefault(file.sop_class_uid, []).append(file)
    proposals: list[Proposal] = []
    together: list[DicomFile] = []
    for sop_class, members in by_class.items():
        stored = sorted({file.transfer_syntax_uid for file in members})
        needed = _proposals(sop_class, [transcoder.proposals(uid, peer) for uid in stored])
        if len(proposals) + len(needed) > MAX_CONTEXTS:
            yield StoreBatch(proposals, together)
            proposals, together = [], []
        proposals += needed
        together += members
    if together:
        yield StoreBatch(proposals, together)


def _proposals(sop_class: str, worthwhile: Iterable[tuple[str, ...]]) -> list[Proposal]:
    """Return a context for each transfer syntax, so that the peer accepts all it can.

    The default transfer syntax has to be among them (PS3.5 §10.1); whether the peer takes the SOP
    class at all shows in its answer to that one.
    """
    syntaxes = list(dict.fromkeys(chain.from_iterable(zip_longest(*worthwhile))))
    known = [uid for uid in syntaxes if uid is not None]
    contexts = [Proposal(sop_class, (syntax,)) for syntax in known[: MAX_CONTEXTS - 1]]
    if not set(known) & set(_DEFAULTS):
        contexts.append(Proposal(sop_class, _DEFAULTS))
    return contexts
