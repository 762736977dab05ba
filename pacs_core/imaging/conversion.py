"""The attributes that follow a conversion of Pixel Data (PS3.3 C.7.6.1, C.7.6.3; PS3.5 §8)."""

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    UnencodableValue,
    Value,
    encode_attributes,
    name_of,
    tag_of,
    texts,
    vr_of,
)
from pacs_core.imaging.encapsulation import EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS
from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import FrameFormat
from pacs_core.imaging.image import IMAGE_TAGS
from pacs_core.imaging.syntaxes import pixel_syntax

# Theory of operation
#
# Edits are computed as differences: only what would change is returned, so that a conversion that
# loses nothing leaves as much of the header as possible byte for byte as it was.
#
# History accumulates. Lossy Image Compression never goes back from 01, its ratios and methods are
# appended to, and so are derivation codes and source images (PS3.3 C.7.6.1.1.5). A source that was
# compressed lossily before it came here is recognised by its transfer syntax where its attributes
# are silent.
#
# Values are encoded in the character set of the dataset, because that stays. Text of the source
# that does not fit its own declaration is given up for ASCII, rather than fail the conversion of an
# image for its description.

Edits: TypeAlias = dict[int, tuple[str, bytes] | None]
"""By tag: VR and little endian value of what is set, None for what is removed."""

_HIGH_BIT = tag_of("HighBit")
_IMAGE_TYPE = tag_of("ImageType")
_SOP_CLASS_UID = tag_of("SOPClassUID")
_SOP_INSTANCE_UID = tag_of("SOPInstanceUID")
_CHARACTER_SET = tag_of("SpecificCharacterSet")
_DERIVATION_DESCRIPTION = tag_of("DerivationDescription")
_DERIVATION_CODES = tag_of("DerivationCodeSequence")
_SOURCE_IMAGES = tag_of("SourceImageSequence")
_LOSSY = tag_of("LossyImageCompression")
_LOSSY_RATIO = tag_of("LossyImageCompressionRatio")
_LOSSY_METHOD = tag_of("LossyImageCompressionMethod")

CONVERSION_TAGS = IMAGE_TAGS | {
    _IMAGE_TYPE,
    _SOP_CLASS_UID,
    _SOP_INSTANCE_UID,
    _CHARACTER_SET,
    _DERIVATION_DESCRIPTION,
    _DERIVATION_CODES,
    _SOURCE_IMAGES,
    _LOSSY,
    _LOSSY_RATIO,
    _LOSSY_METHOD,
}
"""The attributes that :func:`conversion_edits` reads, when there are any."""

_STALE_WHEN_LOSSY = (tag_of("SmallestImagePixelValue"), tag_of("LargestImagePixelValue"))
_MAX_DESCRIPTION = 1024


@frozen
class LossyCompression:
    """What a lossy conversion did.

    Attributes
    ----------
    ratio : float
        Native bytes by encoded bytes, of all frames.
    new_uid : str
        SOP Instance UID of the result; empty to keep that of the source.
    """

    ratio: float
    new_uid: str = ""


def conversion_edits(
    attributes: Attributes,
    source_syntax: str,
    target_syntax: str,
    source_format: FrameFormat,
    target_format: FrameFormat,
    *,
    lossy: LossyCompression | None = None,
) -> Edits:
    """Return how a dataset changes because its Pixel Data is converted.

    Offset tables of the source are removed; those of the target are set over these edits.

    Parameters
    ----------
    attributes : Attributes
        Those of `CONVERSION_TAGS` that the dataset has.
    source_syntax, target_syntax : str
        Transfer syntax UIDs.
    source_format : FrameFormat
        As the dataset describes its frames.
    target_format : FrameFormat
        Of the frames that are written: `NativeWriter.format`, or that of the encoded frames.
    lossy : LossyCompression, optional
        What was lost; None if this conversion loses nothing.

    Raises
    ------
    ImageError
        A new SOP Instance UID is given, but the dataset does not say which instance it is.
    """
    changed = {
        **_format_changes(attributes, source_format, target_format),
        **_lossy_history(attributes, source_syntax, target_syntax, lossy),
        **(_derivation(attributes, source_syntax, target_syntax, lossy) if lossy else {}),
    }
    removed: Edits = dict.fromkeys((EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS))
    if lossy:
        removed.update(dict.fromkeys(_STALE_WHEN_LOSSY))
    character_set = texts(attributes, _CHARACTER_SET)
    return removed | {tag: _element(tag, values, character_set) for tag, values in changed.items()}


def _format_changes(
    attributes: Attributes, source: FrameFormat, target: FrameFormat
) -> dict[int, tuple[Value, ...]]:
    described = {
        "PhotometricInterpretation": target.photometric_interpretation,
        "SamplesPerPixel": str(target.samples_per_pixel),
    }
    if target.samples_per_pixel > 1:
        described["PlanarConfiguration"] = str(target.planar_configuration)
    changes = _bits(source) != _bits(target)
    if changes or texts(attributes, _HIGH_BIT):
        # If it was another, samples have been moved, or it was wrong (PS3.5 §8.1.1).
        described["HighBit"] = str(target.bits_stored - 1)
    if changes:
        described["BitsAllocated"] = str(target.bits_allocated)
        described["BitsStored"] = str(target.bits_stored)
        described["PixelRepresentation"] = str(int(target.is_signed))
    by_tag = {tag_of(keyword): value for keyword, value in described.items()}
    return {tag: (value,) for tag, value in by_tag.items() if texts(attributes, tag) != (value,)}


def _bits(frame: FrameFormat) -> tuple[int, int, bool]:
    return frame.bits_allocated, frame.bits_stored, frame.is_signed


def _lossy_history(
    attributes: Attributes, source_syntax: str, target_syntax: str, lossy: LossyCompression | None
) -> Mapping[int, tuple[Value, ...]]:
    """Return the attributes of PS3.3 C.7.6.1.1.5: once "01", never again "00"."""
    ratios, methods = texts(attributes, _LOSSY_RATIO), texts(attributes, _LOSSY_METHOD)
    history: dict[int, tuple[Value, ...]] = {}
    # Where the new transfer syntax says it as well as the old one, nothing need be added.
    told = not lossy and pixel_syntax(target_syntax).always_lossy
    if _is_lossy(attributes, source_syntax) and not (told or _says_lossy(attributes)):
        history[_LOSSY] = ("01",)
        if not methods:
            history[_LOSSY_METHOD] = methods = (pixel_syntax(source_syntax).method,)
    if lossy:
        history[_LOSSY] = ("01",)
        history[_LOSSY_RATIO] = (*ratios, f"{lossy.ratio:.6g}")
        method = pixel_syntax(target_syntax).method
        history[_LOSSY_METHOD] = (*methods, method) if method else methods
    return {tag: values for tag, values in history.items() if values}


def _derivation(
    attributes: Attributes, source_syntax: str, target_syntax: str, lossy: LossyCompression
) -> dict[int, tuple[Value, ...]]:
    """Return how the result came to be: PS3.3 C.7.6.1.1.2 and C.7.6.1.1.3."""
    what = f"Lossy compression, {name_of(target_syntax)}, ratio {lossy.ratio:.6g}"
    before = " ".join(texts(attributes, _DERIVATION_DESCRIPTION))
    room = _MAX_DESCRIPTION - len(what) - 2
    kinds = texts(attributes, _IMAGE_TYPE)[1:] or ("PRIMARY",)
    changed: dict[int, tuple[Value, ...]] = {
        _IMAGE_TYPE: ("DERIVED", *kinds),
        _DERIVATION_DESCRIPTION: (f"{before[:room]}; {what}" if before else what,),
        _DERIVATION_CODES: _append_item(
            attributes, _DERIVATION_CODES, _code("113040", "Lossy Compression")
        ),
    }
    if lossy.new_uid:
        changed[_SOP_INSTANCE_UID] = (lossy.new_uid,)
        source = _source(attributes, _is_lossy(attributes, source_syntax))
        changed[_SOURCE_IMAGES] = _append_item(attributes, _SOURCE_IMAGES, source)
    return changed


def _append_item(attributes: Attributes, tag: int, item: Attributes) -> tuple[Value, ...]:
    return (*(old for old in attributes.get(tag, ()) if old != item), item)


def _source(attributes: Attributes, was_lossy: bool) -> Attributes:
    uids = texts(attributes, _SOP_CLASS_UID)[:1], texts(attributes, _SOP_INSTANCE_UID)[:1]
    if not all(uids):
        raise ImageError("SOP Class UID or SOP Instance UID is absent: the source has no name")
    return {
        tag_of("ReferencedSOPClassUID"): uids[0],
        tag_of("ReferencedSOPInstanceUID"): uids[1],
        tag_of("PurposeOfReferenceCodeSequence"): (_PURPOSE[was_lossy],),
    }


def _code(value: str, meaning: str) -> Attributes:
    return {
        tag_of("CodeValue"): (value,),
        tag_of("CodingSchemeDesignator"): ("DCM",),
        tag_of("CodeMeaning"): (meaning,),
    }


# PS3.16 CID 7202: what the source is to the result.
_PURPOSE = {
    False: _code("121320", "Uncompressed predecessor"),
    True: _code("121330", "Lossy compressed predecessor"),
}


def _says_lossy(attributes: Attributes) -> bool:
    return texts(attributes, _LOSSY) == ("01",)


def _is_lossy(attributes: Attributes, transfer_syntax_uid: str) -> bool:
    return _says_lossy(attributes) or pixel_syntax(transfer_syntax_uid).always_lossy


def _element(
    tag: int, values: tuple[Value, ...], character_set: tuple[str, ...]
) -> tuple[str, bytes]:
    vr = vr_of(tag)
    try:
        return vr, _value(tag, values, character_set)
    except UnencodableValue:
        # What was there does not fit its own character set; what is new, the last, is ASCII.
        new = values[-1]
        plain = new.encode("ascii", "replace").decode() if isinstance(new, str) else new
        return vr, _value(tag, (plain,), ())


def _value(tag: int, values: tuple[Value, ...], character_set: tuple[str, ...]) -> bytes:
    before = len(encode_attributes({}, EXPLICIT_VR_LITTLE_ENDIAN, character_set))
    element = encode_attributes({tag: values}, EXPLICIT_VR_LITTLE_ENDIAN, character_set)
    return element[before + (12 if vr_of(tag) == "SQ" else 8) :]
