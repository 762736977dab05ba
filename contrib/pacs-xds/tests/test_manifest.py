"""Manifests: made of studies, and read by others (PS3.16 TID 2010, RAD TF-3 4.68)."""

from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO

import highdicom as hd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from pacs_xds.manifest import (
    Location,
    StudyContent,
    UnreadableManifest,
    build_manifest,
    encode_manifest,
    make_uid,
    read_manifest,
    shared,
    value_type,
)

CT, SR, ECG, KOS = (f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("2", "88.11", "9.1.1", "88.59"))
NOW = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)
LOCATION = Location("1.3.6.1.4.1.21367.13.80.110", "PACS", "https://pacs.example/dicom-web")
STUDY = {"StudyInstanceUID": "1.2.3", "PatientID": "4711", "PatientName": "Müller^Jürgen"}

uids = st.integers(1, 10**12).map("1.2.{}".format)
instances = st.lists(
    st.tuples(uids, st.sampled_from([CT, SR, ECG, "1.2.3.4.5"]), uids),
    min_size=1,
    max_size=12,
    unique_by=lambda each: each[2],
)


def build(listed, **more):
    content = StudyContent({**STUDY, **more}, shared(listed))
    return encode_manifest(build_manifest(content, LOCATION, make_uid("x"), NOW))


@settings(max_examples=15, deadline=None)
@given(instances)
def test_what_is_read_is_what_was_written(listed):
    found = read_manifest(build(listed))
    assert {
        (each.series_instance_uid, each.sop_class_uid, each.sop_instance_uid) for each in found
    } == set(listed)
    for each in found:
        assert each.study_instance_uid == "1.2.3"
        assert each.retrieve_location_uid == LOCATION.location_uid
        assert each.retrieve_ae_title == "PACS"
        assert each.retrieve_url == (
            f"https://pacs.example/dicom-web/studies/1.2.3/series/{each.series_instance_uid}"
        )


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from(["PatientName", "PatientID", "StudyDate", "StudyTime",
    "AccessionNumber", "PatientSex", "StudyDescription"]), st.text(max_size=80)))  # fmt: skip
def test_whatever_a_study_says_of_itself_makes_a_manifest(given_values):
    """What is against PS3.5 is left out; the manifest can be read by pydicom with a hard eye."""
    made = dcmread(BytesIO(build([("1.2.4", CT, "1.2.5")], **given_values)))
    for element in made:
        if element.VR != "SQ":
            type(element)(element.tag, element.VR, element.value, validation_mode=2)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, about what is damaged
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2000), st.booleans())
def test_what_is_no_manifest_is_refused(noise, at, cut):
    """Whatever is made of one is read, or refused with the error that says so."""
    file = build([("1.2.4", CT, "1.2.5")])
    damaged = file[:at] + noise + (b"" if cut else file[at + len(noise) :])
    with suppress(UnreadableManifest):
        assert read_manifest(damaged)


def test_highdicom_reads_it():
    file = build([("1.2.4", CT, "1.2.5"), ("1.2.4", CT, "1.2.6"), ("1.2.7", SR, "1.2.8")])
    document = hd.ko.KeyObjectSelectionDocument.from_dataset(dcmread(BytesIO(file)))
    title = document.content[0].ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113030", "DCM")
    assert len(document.content.get_references()) == 3
    assert len(document.content.get_references(value_type=hd.sr.ValueTypeValues.IMAGE)) == 2
    assert document.resolve_reference("1.2.8") == ("1.2.3", "1.2.7", "1.2.8")
    assert str(document.PatientName) == "Müller^Jürgen"


def test_manifests_are_not_in_manifests():
    assert shared([("1", KOS, "2"), ("1", CT, "3")]) == (("1", CT, "3"),)
    with pytest.raises(ValueError, match="no instances"):
        build([("1.2.4", KOS, "1.2.5")])


def test_the_digest_tells_contents_apart():
    def digest(listed, **more):
        return StudyContent({**STUDY, **more}, tuple(listed)).digest()

    one, two = ("1.2.4", CT, "1.2.5"), ("1.2.4", CT, "1.2.6")
    assert digest([one, two]) == digest([two, one])
    assert len({digest([one]), digest([one, two]), digest([one], PatientID="4712")}) == 3


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [(CT, "IMAGE"), (SR, "COMPOSITE"), (ECG, "WAVEFORM"), ("1.2.3", "COMPOSITE")],
)
def test_value_types(sop_class, expected):
    assert value_type(sop_class) == expected


def test_another_document_is_no_manifest():
    made = build_manifest(StudyContent(STUDY, (("1.2.4", CT, "1.2.5"),)), LOCATION, "1.2.9", NOW)
    made.SOPClassUID = SR
    with pytest.raises(UnreadableManifest, match="no Key Object Selection"):
        read_manifest(encode_manifest(made))
