"""Record of what was done to an instance; it has no value of the instance."""

from collections import Counter

from attrs import define, field

from pacs_deidentify.actions import Action
from pacs_deidentify.blanking import Removable
from pacs_deidentify.evidence import Evidence
from pacs_deidentify.regions import Region


@define
class Report:
    """What became of an instance.

    Attributes
    ----------
    sop_class_uid : str
    sop_instance_uid : str
        The new one.
    changes : list of (str, Action)
        Attributes by their path, such as ``(0008,1140)[0].(0008,1155)``, in order.
    warnings : list of str
        What somebody should look at.
    regions : list of Region or None
        What of each frame is blanked, None if pixels are not cleaned.
    face : Removable or None
        What of its frames is a face, which is replaced.
    clears_unused : bool
        Whether bits of Pixel Data above Bits Stored are cleared: overlays may be in them.
    evidence : Evidence
        Values of the input that must not be seen any more: secret, for the search of what was made.
    uids : dict of str to str
        UIDs of the input by those that replace them: secret, for a vault.
    attributes : dict of str to str
        What the input had of the attributes that a vault keeps.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    changes: list[tuple[str, Action]] = field(factory=list)
    warnings: list[str] = field(factory=list)
    regions: list[Region] | None = None
    face: Removable | None = None
    clears_unused: bool = False
    evidence: Evidence = field(factory=Evidence, repr=False)
    uids: dict[str, str] = field(factory=dict, repr=False)
    attributes: dict[str, str] = field(factory=dict, repr=False)

    @property
    def changes_pixels(self) -> bool:
        """Whether Pixel Data are changed."""
        return bool(self.regions) or self.clears_unused or self.face is not None

    def count(self) -> dict[str, int]:
        """Return how many attributes each action was done to."""
        return dict(sorted(Counter(str(action) for _, action in self.changes).items()))
