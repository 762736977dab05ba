"""The VR of an element that was sent without one (PS3.5 Annex A, PS3.6 §6).

PS3.6 allows several for some. Pixel Data, Overlay Data, and tables that may be OW are OW in the
implicit encoding and may be so in any other (PS3.5 A.1, A.2). "US or SS" follows the Pixel
Representation of the nearest enclosing dataset that has it, as far as it has been seen: values
that come before it, or in a dataset without it, are taken to be unsigned.
"""

from attrs import evolve, frozen

from pacs_core.dataset.dictionary import vrs_of

PIXEL_REPRESENTATION = 0x0028_0103
WAVEFORM_BITS_ALLOCATED = 0x5400_1004
DECISIVE_TAGS = frozenset({PIXEL_REPRESENTATION, WAVEFORM_BITS_ALLOCATED})
"""Attributes (US, one value) on which the VR of others depends."""

_WAVEFORM_GROUP = 0x5400


@frozen
class VrContext:
    """What the enclosing datasets have said so far."""

    signed: bool = False
    waveform_bits: int = 16

    def learn(self, tag: int, value: int) -> "VrContext":
        """Return the context after one of `DECISIVE_TAGS`."""
        if tag == PIXEL_REPRESENTATION:
            return evolve(self, signed=value == 1)
        return evolve(self, waveform_bits=value)


NOTHING_KNOWN = VrContext()


def resolve_vr(tag: int, context: VrContext = NOTHING_KNOWN) -> str:
    """Return the VR of an attribute; "UN" for one that PS3.6 does not know (PS3.5 §6.2.2)."""
    allowed = vrs_of(tag)
    if len(allowed) == 1:
        return allowed[0]
    if "OW" not in allowed:
        return "SS" if context.signed else "US"
    return "OB" if tag >> 16 == _WAVEFORM_GROUP and context.waveform_bits == 8 else "OW"
