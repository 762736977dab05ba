"""Frames of instances as the body of a request: their metadata first, then each as a part.

As in STOW-RS of metadata and bulk data (PS3.18 §10.5), the first part is an array of DICOM JSON,
and the others say by Content-Location what they are. As in answers to WADO-RS for frames (§10.4)
that is the frame of an instance, in native pixels: a service need not decode anything. So the
metadata say of colours what decoders make of them, which often is RGB where YBR was stored.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from attrs import evolve
from pacs_web.api.multipart_writing import OutgoingPart

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    METADATA_LIMITS,
    Frame,
    InstanceHeader,
    Node,
    StoredInstance,
    encode_metadata,
    resolve_bulk_data,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, DataElement, encoding_of, tag_of

JSON: Final = "application/dicom+json"
_SAMPLES: Final = tag_of("SamplesPerPixel")
_COLOURS: Final = tag_of("PhotometricInterpretation")
_PLANAR: Final = tag_of("PlanarConfiguration")
_FRAME: Final = f"application/octet-stream; transfer-syntax={EXPLICIT_VR_LITTLE_ENDIAN}"


async def frame_parts(
    node: Node, instances: Sequence[StoredInstance], url: str
) -> AsyncIterator[OutgoingPart]:
    """Iterate over the parts of a body.

    Parameters
    ----------
    node : Node
    instances : sequence of StoredInstance
    url : str
        Of DICOMweb of this node, which references begin with; may be empty.

    Raises
    ------
    TranscodingError
        On iteration: a frame cannot be decoded.
    """
    yield OutgoingPart(JSON, _metadata(node, instances, url))
    for instance in instances:
        header = await node.archive.header(instance, METADATA_LIMITS)
        if header.pixel_data is None:
            continue
        async with closing(_decode(node, instance, range(1, _count(header) + 1))) as frames:
            async for frame in frames:
                place = f"{url}{_path(instance)}/frames/{frame.number}"
                yield OutgoingPart(_FRAME, bytes(frame.data), place)


def _decode(node: Node, instance: StoredInstance, numbers: Sequence[int]) -> AsyncIterator[Frame]:
    stored = node.archive.frames(instance, numbers)
    return node.transcoder.frames(stored, (EXPLICIT_VR_LITTLE_ENDIAN,))


async def _metadata(
    node: Node, instances: Sequence[StoredInstance], url: str
) -> AsyncIterator[bytes]:
    before = b"["
    for instance in instances:
        text = encode_metadata(await _header(node, instance))
        yield before + resolve_bulk_data(text, f"{url}{_path(instance)}/bulkdata/")
        before = b","
    yield b"]"


async def _header(node: Node, instance: StoredInstance) -> InstanceHeader:
    """Return the header of an instance, with the colours of its frames as they are decoded."""
    header = await node.archive.header(instance, METADATA_LIMITS)
    held = header.elements
    is_grey = held.texts(_SAMPLES)[:1] in {(), ("1",)}
    if (
        header.pixel_data is None
        or is_grey
        or not encoding_of(instance.transfer_syntax_uid).encapsulated
    ):
        return header
    own = dict(held.elements)
    async with closing(_decode(node, instance, (1,))) as frames:
        async for frame in frames:
            name = frame.format.photometric_interpretation
            planar = frame.format.planar_configuration
            own[_COLOURS] = DataElement(
                _COLOURS, "CS", name.encode().ljust(len(name) + len(name) % 2)
            )
            own[_PLANAR] = DataElement(_PLANAR, "US", planar.to_bytes(2, "little"))
    return evolve(header, elements=evolve(held, elements=own))


def _path(instance: StoredInstance) -> str:
    each = instance.identity
    return (
        f"/studies/{each.study_instance_uid}/series/{each.series_instance_uid}"
        f"/instances/{each.sop_instance_uid}"
    )


def _count(header: InstanceHeader) -> int:
    text = "".join(header.elements.texts(tag_of("NumberOfFrames"))[:1]).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
