"""Sample datasets: encodable in every native syntax, readable by pydicom, stored by a node."""

import io
import struct

import pydicom
import pytest

from pacs_core.dataset import file_meta, parse_attributes, tag_of
from pacs_core.testing.datasets import MODALITIES

pytestmark = pytest.mark.anyio

EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAXES = (EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
BULK = ("PixelData", "EncapsulatedDocument")


def read(dataset, syntax):
    meta = file_meta(
        sop_class_uid=dataset.sop_class_uid,
        sop_instance_uid=dataset.sop_instance_uid,
        transfer_syntax_uid=syntax,
    )
    return pydicom.dcmread(io.BytesIO(meta + dataset.encode(syntax)))


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_encoding_holds_the_same(pacs_dataset, modality):
    dataset = pacs_dataset(modality)
    for syntax in SYNTAXES:
        parsed = parse_attributes(dataset.encode(syntax), syntax)
        present = {tag: v for tag, v in dataset.attributes.items() if not has_bulk(v)}
        assert {tag: parsed[tag] for tag in present} == present


def has_bulk(values):
    return any(
        not isinstance(v, str) and tag_of("WaveformSampleInterpretation") in v for v in values
    )


@pytest.mark.parametrize("modality", MODALITIES)
def test_pydicom_reads_it_whole(pacs_dataset, modality):
    dataset = pacs_dataset(modality, PatientName="Doe^Jane")
    found = read(dataset, EXPLICIT)
    assert (found.SOPClassUID, found.PatientName) == (dataset.sop_class_uid, "Doe^Jane")
    assert {e.keyword for e in found} >= set(dataset.values)
    for keyword in BULK:
        if keyword in dataset.values:
            raw = dataset.values[keyword]
            assert bytes(found[keyword].value) == raw + bytes(len(raw) % 2)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_words_are_in_the_byte_order_of_the_syntax(pacs_dataset, syntax):
    """PS3.5 §7.3: 16-bit words of OW are swapped, whatever they hold."""
    big = syntax == "1.2.840.10008.1.2.2"
    pixels = struct.unpack(">16H" if big else "<16H", read(pacs_dataset("MR"), syntax).PixelData)
    assert list(pixels) == list(range(0, 4096, 256))
    waveform = read(pacs_dataset("ECG"), syntax).WaveformSequence[0].WaveformData
    assert struct.unpack(">4h" if big else "<4h", waveform) == (0, 16, 32, -16)


def test_text_beyond_ascii_needs_a_character_set(pacs_dataset):
    found = read(
        pacs_dataset("PDF", SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Ö"), EXPLICIT
    )
    assert found.PatientName == "Müller^Ö"
    assert found.EncapsulatedDocument.startswith(b"%PDF")


def test_instances_differ_and_share_their_study(pacs_dataset):
    first, second, other = pacs_dataset("CT"), pacs_dataset("CT"), pacs_dataset("MR")
    assert len({each.sop_instance_uid for each in (first, second, other)}) == 3
    assert len({each.values["StudyInstanceUID"] for each in (first, second, other)}) == 1
    assert first.values["SeriesInstanceUID"] == second.values["SeriesInstanceUID"]
    assert first.values["SeriesInstanceUID"] != other.values["SeriesInstanceUID"]


def test_an_unknown_modality_is_named(pacs_dataset):
    with pytest.raises(LookupError, match="no sample of 'CAT'"):
        pacs_dataset("CAT")


async def test_a_node_stores_them_all(pacs_node, pacs_association, pacs_dataset):
    datasets = [pacs_dataset(modality) for modality in MODALITIES]
    association = await pacs_association(pacs_node(), *(each.sop_class_uid for each in datasets))
    for each in datasets:
        response = await association.c_store(
            each.sop_class_uid, each.sop_instance_uid, each.encode(), transfer_syntax_uid=EXPLICIT
        )
        assert response.status == 0x0000
