"""Pulse sequences of MR, as the MR Image Module tells of them (PS3.3 C.8.3.1)."""

from collections.abc import Iterator, Sequence
from typing import Final

from pacs_core.dataset import tag_of
from pacs_tools.splitting.vectors import Made

_VARIANTS: Final = (
    ("SegmentedKSpaceTraversal", "SINGLE", "SK"), ("SteadyStatePulseSequence", "NONE", "SS"),
    ("Spoiling", "NONE", "SP"), ("MagnetizationTransfer", "NONE", "MTC"),
    ("OversamplingPhase", "NONE", "OSP"),
)  # fmt: skip
"""Attribute, the value that says no, and that of Sequence Variant (0018,0021)."""

_REVERSED: Final = {"TIME_REVERSED": "TRSS"}
_OPTIONS: Final = (
    ("RectilinearPhaseEncodeReordering", ("LINEAR",), "PER"), ("FlowCompensation", ("NONE",), "FC"),
    ("SpatialPresaturation", ("NONE",), "SP"),
)  # fmt: skip
"""Attribute, the values that say no, and that of Scan Options (0018,0022)."""


def describe_sequence(made: Made) -> None:
    """Set what the MR Image Module says of the pulse sequence, unless it is said."""
    if tag_of("ScanOptions") not in made.elements:
        made.set("ScanOptions", *_options(made))
    if made.texts("ImageType")[2:3] == ("ANGIO",) and tag_of("AngioFlag") not in made.elements:
        made.set("AngioFlag", "Y")
    if tag_of("ScanningSequence") in made.elements:
        return
    echo = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
    kinds = list(echo.get(made.text("EchoPulseSequence"), ()))
    kinds += ["IR"] if made.text("InversionRecovery") == "YES" else []
    kinds += ["EP"] if made.text("EchoPlanarPulseSequence") == "YES" else []
    made.set("ScanningSequence", *(kinds or ["RM"]))
    if "IR" in kinds and tag_of("InversionTime") not in made.elements:
        times: Sequence[str] = made.texts("InversionTimes")
        # Of several there is none that would be the one.
        made.set("InversionTime", *(times if len(times) == 1 else ()))
    said = [(made.text(keyword), no, code) for keyword, no, code in _VARIANTS]
    codes = [_REVERSED.get(value, code) for value, no, code in said if value and value != no]
    made.set("SequenceVariant", *(codes or ["NONE"]))


def _options(made: Made) -> Iterator[str]:
    """Iterate over values of Scan Options (0018,0022) that follow from functional groups."""
    for keyword, no, code in _OPTIONS:
        if (said := made.text(keyword)) and said not in no:
            yield code
    kind = "".join(made.texts("ImageType")[2:3])
    if kind.startswith("CARD"):
        yield "CG"
    if kind.endswith("RESP_GATED"):
        yield "RG"
    partial = {"PHASE": "PFP", "FREQUENCY": "PFF"}
    if (direction := made.text("PartialFourierDirection")) in partial:
        yield partial[direction]
    if made.text("SpectrallySelectedSuppression").startswith("FAT"):
        yield "FS"
