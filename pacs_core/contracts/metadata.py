"""Metadata of instances as DICOM JSON (PS3.18 F), and the contract of indexes that keep them.

An index that keeps the metadata of each instance makes the metadata of a series one query, where
they would take opening each of its objects. What is kept can always be made again from the
objects: the kernel does so in the background where it is lacking, and on demand.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Final

from attrs import frozen

from pacs_core.contracts.frames import InstanceHeader
from pacs_core.contracts.instance import InstanceIdentity, InstancePath, StoredInstance
from pacs_core.dataset import DataElement, ElementPath, ElementSet, ModelOptions, ReadLimits, tag_of
from pacs_core.query.model import Query

_log = logging.getLogger(__name__)

METADATA_LIMITS: Final = ReadLimits(bulk=1024, value=64 << 10, total=32 << 20)
"""What of a header becomes metadata: values that are longer are given by reference."""

_REFERENCE: Final = b'"BulkDataURI":"'
"""Within a JSON string each quotation mark is escaped, so that no value contains this."""


def resolve_bulk_data(metadata: bytes, base: str) -> bytes:
    """Put a base before the references to bulk data, which are relative to their instance.

    Parameters
    ----------
    metadata : bytes
        Of one instance, as :meth:`Archive.metadata` gives them.
    base : str
        What comes before each reference, such as ``"../instances/1.2.3/bulkdata/"``.
    """
    return metadata.replace(_REFERENCE, _REFERENCE + json.dumps(base)[1:-1].encode())


def bulk_data_reference(path: ElementPath) -> str:
    """Return the reference to an element: tags and, from 0, numbers of items.

    ``7FE00010`` is Pixel Data, ``00400555/0/0040A123`` an element in the first item of a sequence.
    """
    return "/".join(f"{n:08X}" if not index % 2 else str(n) for index, n in enumerate(path))


def bulk_data_path(reference: str) -> ElementPath:
    """Return the path that a reference names, for :meth:`ElementSet.find`.

    Raises
    ------
    ValueError
        It is none.
    """
    parts = reference.split("/")
    tags, numbers = parts[::2], parts[1::2]
    if not (
        len(parts) % 2
        and all(len(tag) == 8 and tag.isascii() and tag.isalnum() for tag in tags)
        and all(len(n) < 10 and n.isascii() and n.isdigit() for n in numbers)
    ):
        raise ValueError(f"{reference[:80]!r} is no reference to bulk data")
    return tuple(int(part, 10 if index % 2 else 16) for index, part in enumerate(parts))


def encode_metadata(header: InstanceHeader) -> bytes:
    """Return the metadata of an instance: a DICOM JSON Model object in UTF-8 (PS3.18 F.2).

    Bulk data are given as relative references, see :func:`bulk_data_reference`. What JSON cannot
    express is left out, and logged.
    """
    from pacs_core.dataset.json_model import write_json

    def warn(warning: str) -> None:
        uid = "".join(header.elements.texts(tag_of("SOPInstanceUID")))
        _log.warning("metadata of instance %s: %s", uid, warning)

    options = ModelOptions(refer=lambda path, _: bulk_data_reference(path), warn=warn)
    return "".join(write_json(header.elements, options)).encode("utf-8", "replace")


def identity_metadata(identity: InstanceIdentity) -> bytes:
    """Return the metadata of an instance whose object cannot be read: its UIDs, which are known."""
    keywords = "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"
    uids = (
        identity.sop_class_uid,
        identity.sop_instance_uid,
        identity.study_instance_uid,
        identity.series_instance_uid,
    )
    tags = map(tag_of, keywords)
    elements = {t: DataElement(t, "UI", u.encode()) for t, u in zip(tags, uids, strict=True)}
    return encode_metadata(InstanceHeader("", ElementSet(elements)))


@frozen
class LackingMetadata:
    """Instances whose metadata are not kept yet.

    Attributes
    ----------
    instances : sequence of StoredInstance
    revision : int
        Of the index when it was asked, for :meth:`PreparedMetadata.keep`.
    """

    instances: Sequence[StoredInstance]
    revision: int


class PreparedMetadata(ABC):
    """The metadata that an index keeps, one for each instance; disposable.

    - What is kept for an instance goes in the transaction in which the instance is removed or
      replaced, by whichever process; :meth:`Index.clear` takes everything.
    - :meth:`Index.add` does nothing for it, and costs nothing more.
    - A rebuild of the index need not take over what was kept.
    """

    @abstractmethod
    def find(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes | None]]:
        """Iterate as :meth:`Index.instances` does, over instances and what is kept for each.

        None stands for what is lacking, or was kept as None.
        """

    @abstractmethod
    async def lacking(self, limit: int) -> LackingMetadata:
        """Return some instances for which nothing is kept, not even None.

        Asked every second: it costs no more than a point look-up where nothing is lacking.
        """

    @abstractmethod
    async def revision(self) -> int:
        """Return a number that changes whenever something is removed, replaced or forgotten."""

    @abstractmethod
    async def keep(
        self, metadata: Sequence[tuple[StoredInstance, bytes | None]], revision: int
    ) -> bool:
        """Keep the metadata of some instances, in place of what was kept.

        Those of an instance that the index does not have, or not as it is given, are passed over.
        Nothing waits for the disk: what a power failure takes is made again.

        Parameters
        ----------
        metadata : sequence of (StoredInstance, bytes or None)
            None notes that there is nothing to keep: it is too long, or cannot be made.
        revision : int
            What :meth:`revision` or :meth:`lacking` gave before the metadata were made.

        Returns
        -------
        bool
            Whether it is kept; not if the revision is another by now, for then they may be those
            of before the change.
        """

    @abstractmethod
    async def forget(self, paths: Sequence[InstancePath]) -> None:
        """Forget the metadata of some instances: they say something else now.

        When this returns, no call of :meth:`keep` that began before brings them back.
        """
