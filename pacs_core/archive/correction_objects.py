"""Objects in which the store keeps the log of corrections: one for each entry, never changed.

Each is a Part 10 object of a SOP class of our own, so that whatever copies, tiers or backs up the
store keeps it with the instances it is about, and an index that is lost has it again. It is never
an instance of the archive: no index has a row for it, and no query finds it.
"""

from time import gmtime, strftime
from typing import Final
from uuid import uuid4

from attrs import evolve

from pacs_core.archive.fixity import CREATOR_UID, Digest, Fixity
from pacs_core.archive.objects import read_meta
from pacs_core.contracts import (
    Correction,
    InstanceIdentity,
    InvalidInstanceError,
    ObjectStore,
    correction_from_json,
    correction_to_json,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    encode_attributes,
    file_meta,
    parse_attributes,
    tag_of,
    texts,
)

CORRECTION_CLASS: Final = "2.25.240379423806419340262914219373204155471"
"""SOP Class UID (0008,0016) of an entry of the log of corrections."""

_STUDY: Final = "2.25.65126172213938440486043913430212365517"
_SERIES: Final = "2.25.118026930473366285207343231205390711893"
_TEXT: Final = tag_of("TextValue")
_LONGEST: Final = 256 << 20


async def write_correction(store: ObjectStore, correction: Correction, ae_title: str) -> Correction:
    """Write an entry into the store, durably; return it with its key."""
    uid = f"2.25.{uuid4().int}"
    moment = gmtime(correction.time)
    dataset = encode_attributes(
        {
            tag_of("SOPClassUID"): (CORRECTION_CLASS,),
            tag_of("SOPInstanceUID"): (uid,),
            tag_of("ContentDate"): (strftime("%Y%m%d", moment),),
            tag_of("ContentTime"): (strftime("%H%M%S", moment),),
            tag_of("StudyInstanceUID"): (_STUDY,),
            tag_of("SeriesInstanceUID"): (_SERIES,),
            tag_of("InstanceNumber"): (str(correction.number),),
            _TEXT: (correction_to_json(correction),),
        },
        EXPLICIT_VR_LITTLE_ENDIAN,
        ("ISO_IR 192",),
    )
    prefix = file_meta(
        CORRECTION_CLASS,
        uid,
        EXPLICIT_VR_LITTLE_ENDIAN,
        source_ae_title=ae_title if ae_title.isascii() else "",
        private_creator_uid=CREATOR_UID,
        private_information=Fixity(Digest(dataset).digest()).pack(),
    )
    identity = InstanceIdentity(_STUDY, _SERIES, uid, CORRECTION_CLASS)
    async with store.writer(identity) as writer:
        await writer.write([prefix, dataset])
        stored = await writer.commit()
    return evolve(correction, key=stored.key)


async def read_correction(store: ObjectStore, key: str) -> Correction:
    """Read an entry from the store.

    Raises
    ------
    InvalidInstanceError
        The object is damaged, or none of these.
    ObjectNotFoundError
        It is gone.
    """
    async with await store.open(key) as reader:
        meta = await read_meta(reader)
        length = reader.size - meta.dataset_offset
        if length > _LONGEST:
            raise InvalidInstanceError(f"a correction of {length} bytes")
        dataset = await reader.read(meta.dataset_offset, length)
    digest = Fixity.read(meta).digest
    if digest and digest != Digest(dataset).digest():
        raise InvalidInstanceError("the correction is damaged: it is not what was stored")
    try:
        attributes = parse_attributes(dataset, meta.transfer_syntax_uid, max_length=_LONGEST)
        return correction_from_json("".join(texts(attributes, _TEXT)), key=key)
    except (MalformedDataset, ValueError) as error:
        raise InvalidInstanceError(f"the correction cannot be read: {error}") from error
