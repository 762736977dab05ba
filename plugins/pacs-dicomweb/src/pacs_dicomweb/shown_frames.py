"""Frames of an instance as pictures: header, decoded frames, and the renderer of the node."""

from collections.abc import Sequence
from typing import Final

import anyio
from attrs import evolve, frozen
from pacs_web.api.http import HttpError

from pacs_core.api.images import pixel_aspect
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    FrameNotFoundError,
    InstanceHeader,
    Node,
    Renderer,
    RenderingError,
    RenderingOptions,
    SourceRegion,
    StoredInstance,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    ElementSet,
    ReadLimits,
    encode_elements,
    tag_of,
)
from pacs_dicomweb.instances import entity_tag
from pacs_dicomweb.kept import Kept
from pacs_dicomweb.masks import Masks, own_masks
from pacs_dicomweb.pixel_room import PixelRoom
from pacs_dicomweb.presentation_states import PresentationState

_LIMITS: Final = ReadLimits(bulk=1 << 20, value=1 << 20, total=32 << 20)
"""Lookup tables and palettes are bulk data that a renderer needs."""

_HEADER: Final = 8 * 1024
"""Bytes of memory that any header takes."""

_DEEPEST: Final = 8
"""Sequences within each other in which something may be that says how a picture looks."""

_PIXELS: Final = 0x7FE00000
_PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_TECHNIQUE: Final = ("Modality", "StudyDate", "StudyDescription", "SeriesDescription")


@frozen
class Shown:
    """An instance whose frames can be shown.

    Attributes
    ----------
    instance : StoredInstance
    header : InstanceHeader
    frames : int
        How many there are.
    rows, columns : int
    state : PresentationState or None
        How it is presented, if not by itself.
    state_instance : StoredInstance or None
        The instance that the state was read from.
    is_subtracted : bool
        Whether masks that it has itself are subtracted, because somebody asked for it.
    """

    instance: StoredInstance
    header: InstanceHeader
    frames: int
    rows: int
    columns: int
    state: PresentationState | None = None
    state_instance: StoredInstance | None = None
    is_subtracted: bool = False

    @property
    def instances(self) -> list[StoredInstance]:
        """The instances that decide how it looks."""
        return [each for each in (self.instance, self.state_instance) if each is not None]

    @property
    def masks(self) -> Masks | None:
        """What is subtracted from its frames: by the state, or, if asked for, by itself."""
        uid = self.instance.identity.sop_instance_uid
        if self.state is not None:
            return self.state.masks(uid, self.frames)
        return own_masks(self.header.elements, uid, self.frames) if self.is_subtracted else None

    @property
    def pixels(self) -> int:
        """Of a frame."""
        return self.rows * self.columns

    def pixel_aspect(self, frame: int) -> float:
        """Return the height of a pixel by its width: as it is presented, or its own."""
        uid, state = self.instance.identity.sop_instance_uid, self.state
        presented = 0.0 if state is None else state.pixel_aspect(uid, frame)
        return presented or pixel_aspect(self.header.elements, frame)

    def proportions(self, frame: int, region: SourceRegion | None = None) -> tuple[float, float]:
        """Return width and height of a picture of a frame, or a region, whose pixels are squares.

        Parameters
        ----------
        frame : int
        region : SourceRegion, optional
            None for what is presented, or all of it.
        """
        state, uid = self.state, self.instance.identity.sop_instance_uid
        if region is None and state is not None:
            region = state.region(uid, frame)
        width, height = (region.width, region.height) if region else (self.columns, self.rows)
        size = abs(width), abs(height) * self.pixel_aspect(frame)
        return size[::-1] if state is not None and state.rotation in {90, 270} else size


async def look_at(archive: Archive, instance: StoredInstance, kept: Kept[Shown]) -> Shown:
    """Read what says how an instance is shown.

    Parameters
    ----------
    archive : Archive
    instance : StoredInstance
        As the archive has just found it: what is kept is not asked for once more.
    kept : Kept
        What others have read.

    Raises
    ------
    MalformedDataset, InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.header`.
    """
    name = entity_tag([instance])
    if (known := kept.get(name)) is not None:
        return evolve(known, instance=instance)
    header = await archive.header(instance, _LIMITS)
    rows, columns = (_number(header, name) for name in ("Rows", "Columns"))
    frames = _number(header, "NumberOfFrames") or 1
    shown = Shown(instance, header, frames, rows, columns)
    if header.pixel_data is not None:
        # What precedes the pixels takes some ten times the memory once it is read.
        kept.keep(name, shown, _HEADER + 10 * header.pixel_data_offset)
    return shown


async def read_state(archive: Archive, instance: StoredInstance) -> PresentationState:
    """Read a presentation state.

    Raises
    ------
    MalformedDataset, InstanceNotFoundError, DamagedObjectError
        As of :meth:`Archive.header`.
    """
    return PresentationState((await archive.header(instance, _LIMITS)).elements)


def pixels_of(header: InstanceHeader) -> int:
    """Return how many pixels a frame has, as its header says; 0 if it does not."""
    return _number(header, "Rows") * _number(header, "Columns")


def _number(header: InstanceHeader, keyword: str) -> int:
    text = "".join(header.elements.texts(tag_of(keyword))[:1]).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0


def renderer_of(node: Node) -> Renderer:
    """Return the renderer of the node.

    Raises
    ------
    HttpError
        501: there is none.
    """
    if not node.capabilities.provides(Renderer):
        raise HttpError(501, "nothing here renders images; install pacs-image-export")
    return node.find(Renderer)


async def show(
    node: Node,
    archive: Archive,
    shown: Shown,
    numbers: Sequence[int],
    options: RenderingOptions,
    *,
    room: PixelRoom,
    most: int,
    timeout: float,
) -> bytes:
    """Return frames as a picture.

    Parameters
    ----------
    node : Node
    archive : Archive
        As whoever asks may use it.
    shown : Shown
    numbers : sequence of int
    options : RenderingOptions
    room : PixelRoom
        What all that are made at the same time share.
    most : int
        Pixels that all frames together may have, and all that are made at the same time.
    timeout : float
        Seconds, once there is room.

    Raises
    ------
    RenderingError, TranscodingError, FrameNotFoundError, UnreadableFramesError
        They cannot be shown.
    """
    renderer = renderer_of(node)
    if not shown.pixels or shown.header.pixel_data is None:
        raise FrameNotFoundError(numbers[0], 0)
    uid, state = shown.instance.identity.sop_instance_uid, shown.state
    options = evolve(options, pixel_aspect=shown.pixel_aspect(numbers[0]))
    masks = shown.masks
    if masks is not None:
        options = evolve(options, subtractions=masks.subtractions(numbers))
    # Masks take more frames than are shown.
    taken = sorted({n for each in options.subtractions for n in each.frames}) or numbers
    pixels = len(taken) * shown.pixels
    if pixels > most:
        raise RenderingError(
            f"{len(taken)} frames of {shown.pixels} pixels are more than the {most} pixels that "
            "are rendered; frames can be had as they are stored"
        )
    try:
        async with room.take(pixels, most):
            with anyio.fail_after(timeout):
                stored = archive.frames(shown.instance, taken)
                decoded = node.transcoder.frames(stored, (EXPLICIT_VR_LITTLE_ENDIAN,))
                async with closing(decoded) as iterator:
                    frames = [frame async for frame in iterator]
                elements = shown.header.elements
                if state is not None:
                    elements = state.merge(elements, uid, numbers[0])
                    options = state.adapt(options, uid, numbers[0])
                return await renderer.render(_encode(elements), frames, options)
    except TimeoutError:
        raise RenderingError(f"it takes longer than {timeout:g} seconds to show") from None


def _encode(elements: ElementSet) -> bytes:
    """Return what precedes Pixel Data; what is too long to matter is left out."""
    before = {tag: e for tag, e in elements.elements.items() if tag < _PIXELS}
    kept = _without_bulk(ElementSet(before, elements.character_sets))
    return b"".join(encode_elements(kept, EXPLICIT_VR_LITTLE_ENDIAN))


def _without_bulk(item: ElementSet, depth: int = 0) -> ElementSet:
    kept = {
        tag: evolve(e, value=tuple(_without_bulk(each, depth + 1) for each in e.items))
        if e.items
        else e
        for tag, e in item.elements.items()
        if not isinstance(e.value, BulkData) and (depth < _DEEPEST or not e.items)
    }
    return ElementSet(kept, item.character_sets)


def annotations_of(header: InstanceHeader, named: frozenset[str]) -> tuple[str, ...]:
    """Return the lines that a request wants to be burnt in (PS3.18 §8.3.5.1.1)."""
    lines = (
        (_PATIENT if "patient" in named else ()),
        (_TECHNIQUE if "technique" in named else ()),
    )
    return tuple(
        text[:80]
        for keywords in lines
        for keyword in keywords
        if (text := " ".join(header.elements.texts(tag_of(keyword))).strip())
    )
