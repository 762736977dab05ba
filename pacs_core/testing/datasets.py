"""Small valid instances of every modality, made without files: no two are the same instance.

Example
-------
::

    ct = SampleStudy().make("CT", PatientName="Doe^Jane")
    await association.c_store(ct.sop_class_uid, ct.sop_instance_uid, ct.encode())
"""

from itertools import count
from typing import Final
from uuid import uuid4

from attrs import define, field, frozen

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, Attributes, tag_of, texts
from pacs_core.testing.sample_documents import DOCUMENTS
from pacs_core.testing.sample_images import IMAGES
from pacs_core.testing.sample_modules import COMMON
from pacs_core.testing.sample_values import Given, Values, attributes_of, encode_values

_SAMPLES: Final = {**IMAGES, **DOCUMENTS}
MODALITIES: Final = tuple(_SAMPLES)
"""What :meth:`SampleStudy.make` can make. ``"PDF"`` is an encapsulated one, of modality DOC."""

_CHARACTER_SET: Final = tag_of("SpecificCharacterSet")


@frozen
class SampleDataset:
    """An instance that a test has made.

    Attributes
    ----------
    values : Values
        Its attributes by keyword; bulk data is there as bytes.
    """

    values: Values

    @property
    def attributes(self) -> Attributes:
        """Its attributes by tag, without bulk data."""
        return attributes_of(self.values)

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return str(self.values["SOPClassUID"])

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.values["SOPInstanceUID"])

    def encode(self, transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
        """Return the dataset in a transfer syntax with native pixel data.

        Raises
        ------
        UnencodableValue
            A value does not fit its VR.
        """
        values = {k: v for k, v in self.values.items() if k != "SpecificCharacterSet"}
        character_set = texts(self.attributes, _CHARACTER_SET)
        return encode_values(values, transfer_syntax_uid, character_set)


def _root() -> str:
    return f"2.25.{uuid4().int}"


@define
class SampleStudy:
    """A study with a series for each modality."""

    study_instance_uid: str = field(factory=_root)
    _series: dict[str, str] = field(factory=dict)
    _numbers: "count[int]" = field(factory=lambda: count(1))

    def make(self, modality: str = "CT", /, **values: Given) -> SampleDataset:
        """Return the study's next instance of a modality.

        Parameters
        ----------
        modality : str
            One of :data:`MODALITIES`.
        **values
            Attributes by keyword, in place of those that the instance would have.

        Raises
        ------
        LookupError
            Nobody has described this modality.
        """
        if modality not in _SAMPLES:
            raise LookupError(f"no sample of {modality!r}; there are {', '.join(MODALITIES)}")
        kind = _SAMPLES[modality]
        own = {
            "SOPClassUID": kind.sop_class_uid,
            "SOPInstanceUID": _root(),
            "StudyInstanceUID": self.study_instance_uid,
            "SeriesInstanceUID": self._series.setdefault(modality, _root()),
            "Modality": kind.modality or modality,
            "InstanceNumber": str(next(self._numbers)),
        }
        return SampleDataset({**COMMON, **kind.values, **own, **values})
