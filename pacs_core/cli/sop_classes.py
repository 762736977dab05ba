"""Presentation contexts to offer for the sub-operations of a C-GET (PS3.4 C.4.3.1.4)."""

from collections.abc import Collection, Iterator

from pacs_core.association import MAX_CONTEXTS, Proposal
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, encoding_of

_STORAGE = "1.2.840.10008.5.1.4.1.1."
COMMON = tuple(
    _STORAGE + suffix
    for suffix in (
        # CR, DX, MG; CT, MR, their enhanced forms; US; NM, PET; SC; XA, RF; RT; SR, KO, PR; others
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3"),
        *("2", "2.1", "4", "4.1", "4.2"),
        *("3.1", "6.1", "6.2"),
        *("20", "128", "130"),
        *("7", "7.1", "7.2", "7.3", "7.4"),
        *("12.1", "12.1.1", "12.2", "12.2.1", "13.1.3"),
        *("481.1", "481.2", "481.3", "481.5", "481.8"),
        *("88.11", "88.22", "88.33", "88.34", "88.59", "88.67", "11.1"),
        *("9.1.1", "66.4", "66.5", "77.1.1", "77.1.4", "77.1.5.1", "77.1.6", "104.1"),
    )
)
"""What is offered to a peer that does not say what it holds (PS3.4 Table B.5-1)."""

_FIRST = ("1", "", "4.70", "4.90", "4.50", "5", "4.80", "4.91", "4.81", "4.51", "4.201")
"""Ends of the transfer syntaxes that archives hold most, most frequent first."""


def _ranked_syntaxes() -> tuple[str, ...]:
    root = "1.2.840.10008.1.2"
    first = [f"{root}.{end}" if end else root for end in _FIRST]
    everything = [
        syntax.uid
        for syntax in ALL_TRANSFER_SYNTAXES
        if "JPIP" not in syntax.name and not (syntax.retired and syntax.encoding.encapsulated)
    ]
    return tuple(dict.fromkeys([*first, *everything]))


_SYNTAXES = _ranked_syntaxes()


_NATIVE = tuple(uid for uid in _SYNTAXES if not encoding_of(uid).encapsulated)
_WITHOUT_IMAGE = tuple(
    _STORAGE + beginning
    for beginning in (
        # Waveforms, presentation states, documents, encapsulated documents; RT plans and records
        *("9.", "11.", "88.", "104."),
        *("481.3", "481.4", "481.5", "481.6", "481.7", "481.8", "481.9"),
        # Registrations, fiducials, surfaces, real world values, tractography
        *("66.1", "66.2", "66.3", "66.5", "67", "66.6"),
    )
)
"""Beginnings of SOP classes that have no Pixel Data: nothing to compress (PS3.4 Table B.5-1)."""

_ROOM = MAX_CONTEXTS - 1
"""Presentation contexts beside that of C-GET itself (PS3.8 §7.1.1.13)."""


def fit_one_association(sop_classes: Collection[str]) -> bool:
    """Return whether each transfer syntax that instances may have gets a context of its own."""
    return sum(map(_contexts_needed, sop_classes)) <= _ROOM


def _contexts_needed(sop_class: str) -> int:
    return len(_NATIVE) + 1 if sop_class.startswith(_WITHOUT_IMAGE) else len(_SYNTAXES)


def storage_proposals(sop_classes: Collection[str]) -> Iterator[Proposal]:
    """Return contexts in which the peer can store, as many as fit beside the one for C-GET.

    The acceptor takes one transfer syntax of a context. So each has a context of its own as far
    as there is room, and the last context of a SOP class has what is left.
    """
    chosen = list(dict.fromkeys(sop_classes))[:_ROOM]
    have_room = fit_one_association(chosen)
    for number, sop_class in enumerate(chosen):
        share = _contexts_needed(sop_class) if have_room else (_ROOM + number) // len(chosen)
        for syntax in _SYNTAXES[: share - 1]:
            yield Proposal(sop_class, (syntax,), scu=False, scp=True)
        if rest := _SYNTAXES[share - 1 :]:
            yield Proposal(sop_class, rest, scu=False, scp=True)
