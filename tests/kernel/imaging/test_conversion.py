"""The attributes that follow a conversion (PS3.3 C.7.6.1.1, C.7.6.3)."""

from struct import pack

import pytest
from attrs import evolve

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, parse_attributes, tag_of
from pacs_core.imaging import (
    CONVERSION_TAGS,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    ImageError,
    LossyCompression,
    conversion_edits,
)

BASELINE = "1.2.840.10008.1.2.4.50"
RECOMPRESSED = "1.2.840.10008.1.2.4.111"
J2K = "1.2.840.10008.1.2.4.90"
LOSSY_J2K = "1.2.840.10008.1.2.4.91"
WIDE = {"SQ", "OB", "OW", "OV"}
GREY = {"PhotometricInterpretation": "MONOCHROME2", "SamplesPerPixel": "1"}
RGB = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": "3", "PlanarConfiguration": "0"}
INSTANCE = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.3"}


def attributes(*parts):
    return {
        tag_of(keyword): tuple(value.split("\\"))
        for part in parts
        for keyword, value in part.items()
    }


def changes(edits):
    """Put the edits together as a dataset and parse that: by keyword."""
    character_set = pack("<HH2sH", 8, 5, b"CS", 10) + b"ISO_IR 192"
    elements = [character_set]
    for tag, edit in sorted(edits.items()):
        if edit:
            vr, value = edit
            form = "<HH2s2xI" if vr in WIDE else "<HH2sH"
            elements.append(pack(form, tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value)
    parsed = parse_attributes(b"".join(elements), EXPLICIT)
    del parsed[tag_of("SpecificCharacterSet")]
    return parsed


def removed(edits):
    return {tag for tag, edit in edits.items() if edit is None}


def named(**values):
    return {tag_of(keyword): value for keyword, value in values.items()}


@pytest.fixture
def grey(image):
    return image(bits_allocated=16, bits_stored=12).format


@pytest.fixture
def rgb(image):
    return image(samples_per_pixel=3, photometric_interpretation="RGB").format


def test_a_lossless_conversion_touches_only_offset_tables(grey):
    edits = conversion_edits(attributes(GREY, INSTANCE), EXPLICIT, J2K, grey, grey)
    assert edits == {EXTENDED_OFFSET_TABLE: None, EXTENDED_OFFSET_TABLE_LENGTHS: None}


def test_colour_follows_the_codec(rgb):
    target = evolve(rgb, photometric_interpretation="YBR_RCT")
    planes = RGB | {"PlanarConfiguration": "1"}
    edits = conversion_edits(attributes(planes), EXPLICIT, J2K, rgb, target)
    assert changes(edits) == named(
        PhotometricInterpretation=("YBR_RCT",), PlanarConfiguration=("0",)
    )


def test_planar_configuration_is_set_where_it_is_missing(rgb):
    present = {name: value for name, value in RGB.items() if name != "PlanarConfiguration"}
    edits = conversion_edits(attributes(present), J2K, EXPLICIT, rgb, rgb)
    assert changes(edits) == named(PlanarConfiguration=("0",))


def test_bits_follow_the_codec(grey):
    target = evolve(grey, bits_allocated=8, bits_stored=8)
    edits = conversion_edits(
        attributes(GREY), EXPLICIT, BASELINE, grey, target, lossy=LossyCompression(2)
    )
    expected = named(
        BitsAllocated=("8",), BitsStored=("8",), HighBit=("7",), PixelRepresentation=("0",)
    )
    assert expected.items() <= changes(edits).items()


def test_a_lossy_conversion_says_so(grey):
    before = attributes(GREY, {"ImageType": "ORIGINAL\\PRIMARY\\AXIAL"}, INSTANCE)
    edits = conversion_edits(
        before, EXPLICIT, LOSSY_J2K, grey, grey, lossy=LossyCompression(10.123456789)
    )
    after = changes(edits)
    codes = after.pop(tag_of("DerivationCodeSequence"))
    assert [item[tag_of("CodeValue")] for item in codes] == [("113040",)]
    assert after == named(
        LossyImageCompression=("01",),
        LossyImageCompressionRatio=("10.1235",),
        LossyImageCompressionMethod=("ISO_15444_1",),
        ImageType=("DERIVED", "PRIMARY", "AXIAL"),
        DerivationDescription=("Lossy compression, JPEG 2000 Image Compression, ratio 10.1235",),
    )
    assert {tag_of("SmallestImagePixelValue"), tag_of("LargestImagePixelValue")} < removed(edits)


def test_lossy_history_grows(grey):
    before = attributes(
        GREY,
        {
            "LossyImageCompression": "01",
            "LossyImageCompressionRatio": "5",
            "LossyImageCompressionMethod": "ISO_10918_1",
            "DerivationDescription": "Schädel; \\ gedreht",
            "SpecificCharacterSet": "ISO_IR 192",
        },
    )
    before[tag_of("DerivationDescription")] = ("Schädel \\ gedreht",)
    edits = conversion_edits(before, BASELINE, LOSSY_J2K, grey, grey, lossy=LossyCompression(2))
    after = changes(edits)
    assert after[tag_of("LossyImageCompressionRatio")] == ("5", "2")
    assert after[tag_of("LossyImageCompressionMethod")] == ("ISO_10918_1", "ISO_15444_1")
    (description,) = after[tag_of("DerivationDescription")]
    assert description.startswith("Schädel \\ gedreht; Lossy compression, JPEG 2000")
    # And a lossless conversion after that leaves all as it is.
    assert changes(conversion_edits(before, LOSSY_J2K, EXPLICIT, grey, grey)) == {}


def test_what_comes_out_of_lossy_jpeg_is_lossy_even_if_it_never_said(grey):
    edits = conversion_edits(
        attributes(GREY, {"LossyImageCompression": "00"}), BASELINE, EXPLICIT, grey, grey
    )
    assert changes(edits) == named(
        LossyImageCompression=("01",), LossyImageCompressionMethod=("ISO_10918_1",)
    )


def test_a_jpeg_that_is_recompressed_is_as_lossy_as_it_was(grey):
    for source, target in ((BASELINE, RECOMPRESSED), (RECOMPRESSED, BASELINE)):
        edits = conversion_edits(attributes(GREY), source, target, grey, grey)
        assert changes(edits) == {}
    edits = conversion_edits(attributes(GREY), RECOMPRESSED, EXPLICIT, grey, grey)
    assert changes(edits) == named(
        LossyImageCompression=("01",), LossyImageCompressionMethod=("ISO_10918_1",)
    )


@pytest.mark.parametrize("flag", ["00", "01"])
def test_a_method_that_is_known_is_not_said_twice(grey, flag):
    before = {"LossyImageCompression": flag, "LossyImageCompressionMethod": "ISO_10918_1"}
    edits = conversion_edits(attributes(GREY, before), BASELINE, EXPLICIT, grey, grey)
    said_now = {"00": named(LossyImageCompression=("01",)), "01": {}}
    assert changes(edits) == said_now[flag]


def test_an_image_that_says_it_is_lossy_is_left_as_it_is(grey):
    before = attributes(GREY, {"LossyImageCompression": "01"})
    assert changes(conversion_edits(before, BASELINE, EXPLICIT, grey, grey)) == {}


@pytest.mark.parametrize(
    ("said", "source", "purpose"),
    [("01", EXPLICIT, "121330"), ("00", EXPLICIT, "121320"), ("00", BASELINE, "121330")],
)
def test_the_purpose_of_the_source_says_whether_it_was_lossy(grey, said, source, purpose):
    before = attributes(GREY, INSTANCE, {"LossyImageCompression": said})
    lossy = LossyCompression(3, new_uid="2.25.7")
    after = changes(conversion_edits(before, source, LOSSY_J2K, grey, grey, lossy=lossy))
    (item,) = after[tag_of("SourceImageSequence")]
    (code,) = item[tag_of("PurposeOfReferenceCodeSequence")]
    assert code[tag_of("CodeValue")] == (purpose,)


def test_a_new_instance_names_its_source(grey):
    before = attributes(GREY, INSTANCE)
    older = {tag_of("ReferencedSOPInstanceUID"): ("1.2",)}
    before[tag_of("SourceImageSequence")] = (older,)
    lossy = LossyCompression(3, new_uid="2.25.7")
    after = changes(conversion_edits(before, EXPLICIT, LOSSY_J2K, grey, grey, lossy=lossy))
    assert after[tag_of("SOPInstanceUID")] == ("2.25.7",)
    first, second = after[tag_of("SourceImageSequence")]
    assert first == older
    assert second[tag_of("ReferencedSOPInstanceUID")] == ("1.2.3",)
    assert second[tag_of("ReferencedSOPClassUID")] == (INSTANCE["SOPClassUID"],)
    (purpose,) = second[tag_of("PurposeOfReferenceCodeSequence")]
    assert purpose[tag_of("CodeValue")] == ("121320",)


def test_a_new_instance_of_one_without_a_name_is_refused(grey):
    lossy = LossyCompression(3, new_uid="2.25.7")
    with pytest.raises(ImageError, match="SOP Instance UID"):
        conversion_edits(attributes(GREY), EXPLICIT, LOSSY_J2K, grey, grey, lossy=lossy)


def test_text_that_does_not_fit_its_character_set_does_not_stop_a_conversion(grey):
    before = attributes(GREY) | {tag_of("DerivationDescription"): ("☃" * 2000,)}
    lossy = LossyCompression(3)
    after = changes(conversion_edits(before, EXPLICIT, LOSSY_J2K, grey, grey, lossy=lossy))
    (description,) = after[tag_of("DerivationDescription")]
    assert description.endswith("ratio 3")
    assert len(description) <= 1024


def test_all_that_is_read_is_asked_for(grey):
    read = set()

    class Watched(dict):
        def get(self, tag, default=None):
            read.add(tag)
            return super().get(tag, default)

    conversion_edits(
        Watched(attributes(GREY, INSTANCE)),
        BASELINE,
        LOSSY_J2K,
        grey,
        evolve(grey, bits_stored=8),
        lossy=LossyCompression(3, "2.25.7"),
    )
    assert read <= CONVERSION_TAGS
