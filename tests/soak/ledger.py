"""What was sent, acknowledged and asked for, and what must therefore be there at the end."""

import random
from hashlib import sha256

from attrs import define, field, frozen

from pacs_core.testing.datasets import MODALITIES, SampleDataset, SampleStudy

SIZES = (0, 0, 0, 100, 256, 512)
"""Edges of square images of 16 bits; 0 for the smallest sample of a modality."""
ROUTED = "MR"
"""Instances of this modality are routed to the receiver."""


@frozen
class Sent:
    """An instance as it was sent."""

    study: str
    series: str
    sop_class: str
    modality: str
    size: int
    digest: bytes


@define
class Ledger:
    """What clients know, all in one event loop.

    Attributes
    ----------
    sent : dict of str to Sent
        By SOP Instance UID.
    acknowledged : set of str
        Of these, what the node has confirmed.
    studies : dict of str to set of str
        Acknowledged instances by study, without studies that are being deleted.
    committed : dict of str to set of str
        Instances by Transaction UID of requests for storage commitment that were accepted.
    held : set of str
        Studies of which instances are committed to: these are not deleted.
    steps : dict of str to str
        Performed procedure steps, with the last status that was acknowledged.
    """

    sent: dict[str, Sent] = field(factory=dict)
    acknowledged: set[str] = field(factory=set)
    studies: dict[str, set[str]] = field(factory=dict)
    deleted: set[str] = field(factory=set)
    committed: dict[str, set[str]] = field(factory=dict)
    held: set[str] = field(factory=set)
    steps: dict[str, str] = field(factory=dict)
    size: int = 0

    def make(self, draw: random.Random, study: SampleStudy) -> tuple[SampleDataset, bytes]:
        """Return a new instance of a study, of any modality and size, and its dataset."""
        modality = draw.choice(MODALITIES)
        edge = draw.choice(SIZES) if modality in ("CT", ROUTED) else 0
        values: dict[str, str | bytes] = {}
        if edge:
            values = {
                "Rows": str(edge),
                "Columns": str(edge),
                "PixelData": draw.randbytes(2 * edge * edge),
            }
        sample = study.make(modality, **values)
        data = sample.encode()
        self.sent[sample.sop_instance_uid] = Sent(
            study.study_instance_uid,
            str(sample.values["SeriesInstanceUID"]),
            sample.sop_class_uid,
            modality,
            len(data),
            sha256(data).digest(),
        )
        return sample, data

    def acknowledge(self, uid: str) -> None:
        """Note that the node has confirmed an instance."""
        sent = self.sent[uid]
        self.acknowledged.add(uid)
        self.studies.setdefault(sent.study, set()).add(uid)
        self.size += sent.size

    def choose(self, draw: random.Random) -> str | None:
        """Return one of the studies that are there to stay for now."""
        return draw.choice(list(self.studies)) if self.studies else None

    def retire(self, draw: random.Random) -> str | None:
        """Take a study out that nothing holds, so that it may be deleted."""
        free = [study for study in self.studies if study not in self.held]
        if not free:
            return None
        study = draw.choice(free)
        for uid in self.studies.pop(study):
            self.deleted.add(uid)
            self.size -= self.sent[uid].size
        return study

    @property
    def expected(self) -> set[str]:
        """Instances that have to be there."""
        return {uid for uids in self.studies.values() for uid in uids}
