"""Corrections: what is stored stays, and every door hands out what was made of it."""

import json
from io import BytesIO

import anyio
import pytest
from attrs import evolve
from pydicom import dcmread

from pacs_core.archive import find_gap, rebuild_index, verify_index
from pacs_core.archive.correction_objects import CORRECTION_CLASS, write_correction
from pacs_core.association import AccessControl
from pacs_core.contracts import (
    AccessDeniedError,
    Allow,
    AuditKind,
    Authorizer,
    Correction,
    CorrectionError,
    CorrectionNotFoundError,
    Deny,
    EntityPath,
    IngestOutcome,
    InstanceNotFoundError,
    InstancePath,
    InvalidInstanceError,
    Level,
    Origin,
    Query,
    Restrict,
    SingleValue,
)
from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    tag_of,
    texts,
)
from pacs_core.testing.datasets import SampleStudy

from .conftest import CT, EXPLICIT, WholeFileConversion, make_dataset

pytestmark = pytest.mark.anyio
WHO = Origin("HL7", "ADT", host="10.0.0.2")
PATIENT = EntityPath("P1")
STUDY = EntityPath(study_instance_uid="1.2.3")
ID, NAME, STUDY_UID = map(tag_of, ("PatientID", "PatientName", "StudyInstanceUID"))
MERGE = {ID: ("P2",), NAME: ("Roe^Jane",)}


@pytest.fixture
def parts():
    return WholeFileConversion()


async def find(archive, level, *keywords, **conditions):
    query = Query(
        level,
        tuple(SingleValue(tag_of(k), v) for k, v in conditions.items()),
        frozenset(map(tag_of, keywords)),
    )
    return [
        tuple("\\".join(texts(found, tag_of(k))) for k in keywords)
        async for found in archive.search(query)
    ]


async def read_object(archive, uid="1.2.3.4", study="1.2.3"):
    """Return all that `open` hands out of an instance, by single reads of all sizes."""
    instance = await archive.locate(InstancePath(study, uid))
    async with await archive.open(instance) as reader:
        whole = await reader.read(0, reader.size)
        assert len(whole) == reader.size
        assert await reader.read(reader.size, 10) == b""
        for size in (1, 7, 130, 1 << 20):
            pieces = [chunk async for chunk in reader.chunks(0, size)]
            assert b"".join(pieces) == whole
    return whole


async def read(archive, uid="1.2.3.4", study="1.2.3"):
    return dcmread(BytesIO(await read_object(archive, uid, study)))


async def test_every_door_hands_out_the_correction_and_the_object_stays(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset(PatientComments="old"))
    before, original = await parts.objects(), await read_object(archive)
    changes = {**MERGE, tag_of("PatientComments"): None, tag_of("AccessionNumber"): ("A1",)}
    report = await archive.update(PATIENT, changes, WHO, comment="wrong patient chosen")
    assert (report.correction.number, report.instances) == (1, 1)
    after = await parts.objects()
    assert {key: after[key] for key in before} == before

    assert await find(archive, Level.PATIENT, "PatientID", "PatientName") == [("P2", "Roe^Jane")]
    assert await find(archive, Level.STUDY, "AccessionNumber", PatientID="P2") == [("A1",)]
    assert await find(archive, Level.STUDY, "AccessionNumber", PatientID="P1") == []
    assert await archive.count(Query(Level.PATIENT, (SingleValue(NAME, "Doe^Jane"),))) == 0

    whole = await read(archive)
    assert (whole.PatientID, whole.PatientName, whole.AccessionNumber) == ("P2", "Roe^Jane", "A1")
    assert "PatientComments" not in whole
    assert whole.PixelData == b"\1\2" * 50
    (item,) = whole.OriginalAttributesSequence
    (previous,) = item.ModifiedAttributesSequence
    assert (previous.PatientID, previous.PatientName) == ("P1", "Doe^Jane")
    assert (previous.PatientComments, previous.AccessionNumber) == ("old", "")
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("PACS", "MODALITY")
    assert item.ReasonForTheAttributeModification == "CORRECT"

    instance = await archive.locate(InstancePath("1.2.3", "1.2.3.4"))
    assert instance.corrections == (1,)
    assert (await archive.read_dataset(instance)).PatientID == "P2"
    header = await archive.header(instance)
    assert header.elements.texts(ID) == ("P2",)
    pixels = header.elements.elements[tag_of("PixelData")].value
    if not isinstance(pixels, bytes):
        pixels = b"".join([chunk async for chunk in archive.bulk_data(instance, pixels)])
    assert pixels == b"\1\2" * 50
    reader, head = await archive.open_and_read(instance, 100)
    async with reader:
        assert head == (await reader.read(instance.dataset_offset, 100))
        assert reader.size > len(original)


SYNTAXES = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)


@pytest.mark.parametrize("syntax", SYNTAXES)
async def test_frames_and_elements_are_read_in_each_transfer_syntax(parts, syntax):
    archive = parts.archive()
    sample = SampleStudy().make("CT", PatientID="P1", PatientName="Doe^Jane")
    data = sample.encode(syntax)
    await archive.ingest(
        _one(data),
        transfer_syntax_uid=syntax,
        sop_class_uid=CT,
        sop_instance_uid=sample.sop_instance_uid,
        origin=WHO,
    )
    (before,) = [i async for i in archive.instances(Query(Level.IMAGE))]
    frames = [frame async for frame in archive.frames(before, [1])]
    await archive.update(PATIENT, {NAME: ("山田^太郎",)}, WHO)
    (after,) = [i async for i in archive.instances(Query(Level.IMAGE))]
    assert [frame async for frame in archive.frames(after, [1])] == frames
    path = after.identity.path
    dataset = await read(archive, path.sop_instance_uid, path.study_instance_uid)
    assert dataset.PatientName == "山田^太郎"
    async with await archive.open(before) as reader:
        old = dcmread(BytesIO(await reader.read(0, reader.size)))
    for element in old:
        if element.keyword not in ("PatientName", "SpecificCharacterSet"):
            assert dataset[element.tag].value == element.value


async def _one(data):
    yield data


async def test_what_arrives_later_is_corrected_as_if_it_had_been_there(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    await archive.update(EntityPath("P2"), {NAME: ("Roe^Joan",)}, WHO)
    result = await parts.send(archive, make_dataset("1.2.3.5"), "1.2.3.5")
    assert result.instance.corrections == (1, 2)
    assert await find(archive, Level.PATIENT, "PatientID", "PatientName") == [("P2", "Roe^Joan")]
    assert (await read(archive, "1.2.3.5")).PatientName == "Roe^Joan"
    again = await parts.send(archive, make_dataset("1.2.3.5"), "1.2.3.5")
    assert again.outcome is IngestOutcome.IDENTICAL
    other = await parts.send(archive, make_dataset("9.1", PatientID="P9", study="9.2"), "9.1")
    assert other.instance.corrections == ()


async def test_patients_are_merged_and_the_merge_is_taken_back(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(
        archive, make_dataset("8.1", study="8.2", PatientID="P2", PatientName="Roe^Jane"), "8.1"
    )
    original = await read_object(archive)
    await archive.update(PATIENT, MERGE, WHO)
    assert await find(archive, Level.PATIENT, "PatientID") == [("P2",)]
    assert await archive.count(Query(Level.STUDY, (SingleValue(ID, "P2"),))) == 2
    report = await archive.revert(1, WHO, comment="it was right")
    assert (report.correction.reverts, report.instances) == (1, 1)
    assert await find(archive, Level.STUDY, "PatientID", StudyInstanceUID="1.2.3") == [("P1",)]
    assert await read_object(archive) == original
    entries = [c async for c in archive.corrections(PATIENT)]
    assert [(c.number, c.reverts, c.reverted_by) for c in entries] == [(1, 0, 2), (2, 1, 0)]
    assert entries[0].origin == WHO
    with pytest.raises(CorrectionNotFoundError):
        await archive.revert(1, WHO)
    with pytest.raises(CorrectionNotFoundError):
        await archive.revert(2, WHO)


async def test_only_one_of_several_corrections_is_taken_back(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(STUDY, {NAME: ("First",)}, WHO)
    await archive.update(STUDY, {tag_of("AccessionNumber"): ("A2",)}, WHO)
    await archive.revert(1, WHO)
    dataset = await read(archive)
    assert (dataset.PatientName, dataset.AccessionNumber) == ("Doe^Jane", "A2")


async def test_a_study_moves_to_another_patient_and_into_another_study(parts):
    archive = parts.archive()
    for uid in ("1.2.3.4", "1.2.3.5"):
        await parts.send(archive, make_dataset(uid), uid)
    await archive.update(STUDY, {ID: ("P7",)}, WHO, reason="COERCE")
    assert await find(archive, Level.STUDY, "PatientID") == [("P7",)]
    await archive.update(STUDY, {STUDY_UID: ("7.7",)}, WHO)
    assert await archive.locate(InstancePath("1.2.3", "1.2.3.4")) is None
    assert (await read(archive, study="7.7")).StudyInstanceUID == "7.7"
    # A series is split off again.
    report = await archive.update(
        EntityPath(study_instance_uid="7.7", sop_instance_uid="1.2.3.5"),
        {STUDY_UID: ("7.8",), tag_of("SeriesInstanceUID"): ("7.8.1",)},
        WHO,
    )
    assert report.instances == 1
    assert await find(archive, Level.STUDY, "StudyInstanceUID") == [("7.7",), ("7.8",)]
    late = await parts.send(archive, make_dataset("1.2.3.6"), "1.2.3.6")
    assert late.instance.identity.study_instance_uid == "7.7"
    assert (await parts.send(archive, make_dataset())).outcome is IngestOutcome.IDENTICAL
    await archive.delete(InstancePath("7.7", "1.2.3.4"), WHO)
    assert await archive.locate(InstancePath("7.7", "1.2.3.4")) is None
    differences = [d async for d in verify_index(parts.store, parts.index)]
    assert differences == []


async def test_an_instance_never_takes_the_path_of_another(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(archive, make_dataset(study="2.2", PatientID="P2"))
    with pytest.raises(CorrectionError, match=r"study 2\.2 has an instance 1\.2\.3\.4 already"):
        await archive.update(STUDY, {STUDY_UID: ("2.2",)}, WHO)
    await archive.update(STUDY, {STUDY_UID: ("3.3",)}, WHO)
    await parts.send(archive, make_dataset(study="4.4"))
    assert [c.number async for c in archive.corrections()] == [1]
    await archive.update(EntityPath(study_instance_uid="4.4"), {STUDY_UID: ("1.2.3",)}, WHO)
    with pytest.raises(CorrectionError, match="already"):
        await archive.revert(1, WHO)


ISSUER = tag_of("IssuerOfPatientID")


@pytest.mark.parametrize(
    ("entity", "changes", "message"),
    [
        (PATIENT, {}, "nothing is to be changed"),
        (PATIENT, {ID: ("P1",)}, "would change"),
        (PATIENT, {ID: ("P1",), ISSUER: ()}, "would change"),
        (PATIENT, {STUDY_UID: ("1.9",)}, "all studies of a patient"),
        (STUDY, {tag_of("SeriesInstanceUID"): ("1.9",)}, "all series"),
        (STUDY, {STUDY_UID: None}, "needs a UID"),
        (STUDY, {STUDY_UID: ("a",)}, "needs a UID"),
        (STUDY, {tag_of("SOPInstanceUID"): ("1.9",)}, "names the instance"),
        (STUDY, {tag_of("SOPClassUID"): ("1.9",)}, "what the instance is"),
        (STUDY, {tag_of("Rows"): ("1",)}, "describes Pixel Data"),
        (STUDY, {tag_of("PixelData"): None}, "cannot be changed"),
        (STUDY, {tag_of("SpecificCharacterSet"): ("ISO_IR 100",)}, "cannot be changed"),
        (STUDY, {tag_of("PatientBirthDate"): ("yesterday",)}, "PatientBirthDate"),
        (STUDY, {tag_of("PatientID"): ("a" * 65,)}, "PatientID"),
        (STUDY, {tag_of("PatientID"): ("a", "b")}, "one value"),
        (STUDY, {tag_of("SeriesNumber"): ("x",)}, "SeriesNumber"),
        (STUDY, {tag_of("TextValue"): ("x" * (5 << 20),)}, "longer than 4 MiB"),
    ],
)
async def test_what_cannot_be_corrected_is_refused_and_leaves_nothing(
    parts, entity, changes, message
):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    before = await parts.objects()
    with pytest.raises(CorrectionError, match=message):
        await archive.update(entity, changes, WHO)
    assert await parts.objects() == before
    assert [c async for c in archive.corrections()] == []


async def test_a_reason_is_one_of_the_standard(parts):
    with pytest.raises(CorrectionError, match="COERCE"):
        await parts.archive().update(STUDY, MERGE, WHO, reason="WHIM")


async def test_issuers_tell_patients_apart(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(archive, make_dataset("5.1", study="5.2", IssuerOfPatientID="H"), "5.1")
    await archive.update(EntityPath("P1", "H"), {NAME: ("Other",)}, WHO)
    found = await find(archive, Level.STUDY, "StudyInstanceUID", "PatientName")
    assert sorted(found) == [("1.2.3", "Doe^Jane"), ("5.2", "Other")]
    await archive.update(EntityPath("P1", "H"), {ID: ("P1",), ISSUER: ("G",)}, WHO)
    found = await find(archive, Level.PATIENT, "PatientID", "IssuerOfPatientID")
    assert sorted(found) == [("P1", ""), ("P1", "G")]


async def test_what_is_not_there_is_corrected_only_in_advance(parts):
    archive = parts.archive()
    with pytest.raises(InstanceNotFoundError, match="there is no patient P1"):
        await archive.update(PATIENT, MERGE, WHO)
    report = await archive.update(PATIENT, MERGE, WHO, in_advance=True)
    assert report.instances == 0
    await parts.send(archive, make_dataset())
    assert await find(archive, Level.PATIENT, "PatientID") == [("P2",)]


async def test_an_empty_patient_name_does_not_keep_a_study_from_being_corrected(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset(PatientName="", PatientID=""))
    await parts.send(archive, make_dataset("6.1", study="6.2", PatientName="", PatientID=""), "6.1")
    await archive.update(STUDY, {tag_of("StudyDescription"): ("Knee",)}, WHO)
    found = await find(archive, Level.STUDY, "StudyInstanceUID", "StudyDescription")
    assert sorted(found) == [("1.2.3", "Knee"), ("6.2", "")]


async def test_corrections_survive_the_loss_of_the_index(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(archive, make_dataset("1.2.3.5"), "1.2.3.5")
    await archive.update(PATIENT, MERGE, WHO)
    await archive.update(STUDY, {STUDY_UID: ("7.7",)}, WHO)
    await archive.update(EntityPath("P2"), {NAME: ("Taken^Back",)}, WHO)
    await archive.revert(3, WHO)
    rows = [i async for i in archive.instances(Query(Level.IMAGE))]
    entries = [c async for c in archive.corrections()]
    for _ in range(2):
        report = await rebuild_index(parts.store, parts.index)
        assert (report.indexed, report.corrections, report.differences) == (2, 4, [])
        archive = parts.archive()
        assert [i async for i in archive.instances(Query(Level.IMAGE))] == rows
        assert [c async for c in archive.corrections()] == entries
        assert (await read(archive, study="7.7")).PatientName == "Roe^Jane"
        assert [d async for d in verify_index(parts.store, parts.index)] == []


async def test_an_entry_that_was_never_acknowledged_is_named_and_adopted(parts):
    """A crash left it in the store; another got its number meanwhile."""
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    leftover = Correction(1, 5.0, STUDY, {tag_of("StudyID"): ("S",)}, WHO)
    key = (await write_correction(parts.store, leftover, "PACS")).key
    await archive.update(PATIENT, MERGE, WHO)
    found = [d async for d in verify_index(parts.store, parts.index)]
    assert [(d.kind.value, d.key, d.detail) for d in found] == [("orphan", key, "a correction")]
    await rebuild_index(parts.store, parts.index)
    entries = [c async for c in parts.archive().corrections()]
    assert [(c.number, sorted(c.changes)) for c in entries] == [
        (1, [tag_of("StudyID")]),
        (2, sorted(MERGE)),
    ]
    assert [d async for d in verify_index(parts.store, parts.index)] == []
    dataset = await read(parts.archive())
    assert (dataset.StudyID, dataset.PatientID) == ("S", "P2")


async def test_the_loss_of_an_entry_in_the_store_is_found(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    ((key, data),) = [each for each in (await parts.objects()).items() if b"CORRECT" in each[1]]
    parts.store._objects[key] = data.replace(b"CORRECT", b"CORRUPT")
    found = [d async for d in verify_index(parts.store, parts.index)]
    assert [(d.kind.value, d.key) for d in found] == [("damaged", key)]
    await parts.store.delete(key)
    found = [d async for d in verify_index(parts.store, parts.index)]
    assert [(d.kind.value, d.key, d.detail) for d in found] == [("missing", key, "correction 1")]


async def test_an_archive_from_which_all_was_deleted_lacks_nothing(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    await archive.delete_all(Query(Level.PATIENT), WHO)
    assert len(await parts.objects()) == 1
    assert await find_gap(parts.store, parts.index) == ""
    await parts.send(archive, make_dataset())
    assert await find(archive, Level.PATIENT, "PatientID") == [("P2",)]


async def test_nobody_sends_an_entry_of_the_log(parts):
    """After a rebuild it would be one."""
    archive = parts.archive()
    data = make_dataset(SOPClassUID=CORRECTION_CLASS)
    with pytest.raises(InvalidInstanceError, match="log of corrections"):
        await archive.ingest(
            _one(data),
            transfer_syntax_uid=EXPLICIT,
            sop_class_uid=CORRECTION_CLASS,
            sop_instance_uid="1.2.3.4",
            origin=WHO,
        )
    assert await parts.objects() == {}


async def test_patients_are_merged_there_and_back_again_and_again(parts):
    """Some systems repeat merges with prior and target exchanged."""
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(archive, make_dataset("8.1", study="8.2", PatientID="P2"), "8.1")
    for number in range(1, 9):
        prior, target = ("P1", "P2") if number % 2 else ("P2", "P1")
        report = await archive.update(EntityPath(prior), {ID: (target,)}, WHO)
        assert report.instances == (1 if number == 1 else 2)
        numbers = ("PatientID", "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedInstances")
        assert await find(archive, Level.PATIENT, *numbers) == [(target, "2", "2")]
    late = await parts.send(archive, make_dataset("1.2.3.5"), "1.2.3.5")
    assert late.instance.corrections == tuple(range(1, 9))
    assert (await read(archive)).PatientID == "P1"
    assert (await read(archive, "8.1", "8.2")).PatientID == "P1"


async def test_what_is_deleted_and_stored_again_for_another_patient_is_that_patients(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    await archive.delete_all(Query(Level.STUDY, STUDY.conditions), WHO)
    await parts.send(archive, make_dataset(PatientID="P5"))
    assert await find(archive, Level.PATIENT, "PatientID", "PatientName") == [("P5", "Doe^Jane")]


async def test_padding_makes_no_other_patient(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await parts.send(archive, make_dataset("8.1", study="8.2", PatientID="P2"), "8.1")
    changes = {ID: (" P2  ",), tag_of("SeriesNumber"): ("07 ",), tag_of("PatientSex"): ("",)}
    await archive.update(EntityPath(" P1 "), changes, WHO)
    assert await find(archive, Level.PATIENT, "PatientID") == [("P2",)]
    assert await archive.count(Query(Level.STUDY, (SingleValue(ID, "P2"),))) == 2
    (entry,) = [c async for c in archive.corrections(EntityPath("P1"))]
    assert entry.changes[tag_of("PatientSex")] == ()


async def test_what_a_duplicate_would_be_after_a_correction_is_set_aside(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(STUDY, {STUDY_UID: ("7.7",)}, WHO)
    other = await parts.send(archive, make_dataset(pixels=b"\7\7" * 50, study="7.7"))
    assert other.outcome is IngestOutcome.SET_ASIDE
    report = await rebuild_index(parts.store, parts.index)
    assert (report.indexed, report.set_aside) == (1, 1)
    assert [d.kind.value async for d in verify_index(parts.store, parts.index)] == ["set-aside"]


async def test_deleting_leaves_what_was_set_aside_and_is_another_instance_by_now(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    other = await parts.send(archive, make_dataset(pixels=b"\7\7" * 50, PatientID="P2"))
    assert other.outcome is IngestOutcome.SET_ASIDE
    study = EntityPath("P2", study_instance_uid="1.2.3")
    await archive.update(study, {STUDY_UID: ("7.7",)}, WHO, in_advance=True)
    await archive.delete_all(Query(Level.STUDY, (SingleValue(ID, "P1"),)), WHO)
    await rebuild_index(parts.store, parts.index)
    assert await find(archive, Level.STUDY, "StudyInstanceUID") == [("7.7",)]
    assert (await read(archive, study="7.7")).PatientID == "P2"


@pytest.mark.parametrize("promoted", [False, True])
@pytest.mark.parametrize("level", ["study", "series"])
async def test_deleting_finds_what_was_set_aside_under_another_name(parts, level, promoted):
    """The two lie at keys of different studies or series, whichever of them is served."""
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    if level == "study":
        entity, changes, name = STUDY, {STUDY_UID: ("7.7",)}, {"study": "7.7"}
    else:
        entity = EntityPath(study_instance_uid="1.2.3", series_instance_uid="1.2.3.1")
        changes, name = {tag_of("SeriesInstanceUID"): ("7.1",)}, {"series": "7.1"}
    await archive.update(entity, changes, WHO)
    await parts.send(archive, make_dataset("1.2.3.5", **name), "1.2.3.5")
    await parts.send(archive, make_dataset(pixels=b"\7\7" * 50, **name))
    if promoted:
        (item,) = [item async for item in archive.aside.find_all()]
        await archive.aside.promote(item.instance.key, WHO)
    path = InstancePath(name.get("study", "1.2.3"), "1.2.3.4")
    assert len(await parts.objects()) == 4  # with the correction
    await archive.delete(path, WHO)
    assert len(await parts.objects()) == 2
    await rebuild_index(parts.store, parts.index)
    assert await archive.locate(path) is None
    assert await archive.locate(path._replace(sop_instance_uid="1.2.3.5")) is not None


class Killed(BaseException):
    """The end of the process, as far as the code that it meets can tell."""


async def test_what_a_killed_process_has_not_finished_is_finished_by_the_next(parts):
    archive = parts.archive()
    for n in range(5):
        await parts.send(archive, make_dataset(f"1.2.3.{n}"), f"1.2.3.{n}")
    index, replace, failing = parts.index, parts.index.replace, iter(range(99))

    async def die(record):
        if next(failing) == 2:
            raise Killed
        return await replace(record)

    index.replace = die
    with pytest.raises(BaseExceptionGroup):
        await archive.update(PATIENT, MERGE, WHO)
    index.replace = replace
    assert [entry.is_settled for entry in await index.correction_log.corrections()] == [False]
    archive = parts.archive()
    async with anyio.create_task_group() as group:
        await archive.start(group)
        await archive.stop()
    assert await find(archive, Level.PATIENT, "PatientID") == [("P2",)]
    assert [entry.is_settled for entry in await index.correction_log.corrections()] == [True]


async def test_an_instance_that_arrives_during_a_correction_does_not_slip_through(parts):
    """Whoever adds it after the entry is in the log sees that it did not know it."""
    first, second = parts.archive(), parts.archive()
    await parts.send(first, make_dataset())
    add = parts.index.add

    async def correct_first(record, **options):
        parts.index.add = add
        await second.update(PATIENT, MERGE, WHO)
        return await add(record, **options)

    parts.index.add = correct_first
    result = await parts.send(first, make_dataset("1.2.3.5"), "1.2.3.5")
    assert result.instance.corrections == (1,)
    assert await find(first, Level.PATIENT, "PatientID") == [("P2",)]


async def test_two_processes_correct_at_the_same_time(parts):
    first, second = parts.archive(), parts.archive()
    for n in range(10):
        await parts.send(first, make_dataset(f"1.2.3.{n}"), f"1.2.3.{n}")
    async with anyio.create_task_group() as group:
        for number in range(4):
            archive = (first, second)[number % 2]
            tag = tag_of(("AccessionNumber", "StudyID", "StudyDescription", "PatientSex")[number])
            group.start_soon(archive.update, STUDY, {tag: ("O",)}, WHO)
    rows = [i async for i in first.instances(Query(Level.IMAGE))]
    assert [i.corrections for i in rows] == [(1, 2, 3, 4)] * 10
    found = await find(
        second, Level.STUDY, "AccessionNumber", "StudyID", "StudyDescription", "PatientSex"
    )
    assert found == [("O",) * 4]


async def test_corrections_are_audited_and_told(parts):
    archive = parts.archive()
    async with parts.listening() as listener:
        await parts.send(archive, make_dataset())
        await archive.update(PATIENT, MERGE, WHO, comment="why")
        await archive.revert(1, WHO)
    told = [kind for kind, _ in listener.seen]
    assert told == ["received", "stored", "updated", "updated"]
    events = [event for event in parts.trail.events if event.kind is AuditKind.UPDATE]
    assert [event.details["comment"] for event in events] == ["why", ""]
    assert events[0].details["changes"] == ["PatientID", "PatientName"]
    assert (events[0].action.value, events[0].origin) == ("U", WHO)
    assert [each.id for each in events[0].objects] == ["P1"]
    assert events[1].details["reverts"] == 1


async def test_what_cannot_be_recorded_is_not_corrected(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    before = await parts.objects()
    parts.trail.failure = RuntimeError("full")
    with pytest.raises(RuntimeError):
        await archive.update(PATIENT, MERGE, WHO)
    assert await parts.objects() == before
    assert await find(archive, Level.PATIENT, "PatientID") == [("P1",)]


async def test_damage_of_what_is_corrected_is_found(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    instance = await archive.locate(InstancePath("1.2.3", "1.2.3.4"))
    held = parts.store._objects[instance.key]
    parts.store._objects[instance.key] = held[:-1] + b"\xff"
    with pytest.raises(OSError, match="damaged"):
        await archive.open(instance)


async def test_original_attributes_can_be_left_out(parts):
    archive = parts.archive(original_attributes=False)
    await parts.send(archive, make_dataset())
    await archive.update(PATIENT, MERGE, WHO)
    assert "OriginalAttributesSequence" not in await read(archive)


async def test_all_that_a_query_finds_is_deleted_and_recorded_by_study(parts):
    archive = parts.archive()
    for n in range(3):
        await parts.send(archive, make_dataset(f"1.2.3.{n}"), f"1.2.3.{n}")
    await parts.send(archive, make_dataset("5.1", study="5.2"), "5.1")
    await parts.send(archive, make_dataset("9.1", study="9.2", PatientID="P9"), "9.1")
    report = await archive.delete_all(Query(Level.STUDY, (SingleValue(ID, "P1"),)), WHO)
    assert (report.instances, report.studies) == (4, {"1.2.3": 3, "5.2": 1})
    assert report.failures == {}
    assert await find(archive, Level.STUDY, "StudyInstanceUID") == [("9.2",)]
    assert len(await parts.objects()) == 1
    events = [event for event in parts.trail.events if event.kind is AuditKind.DELETE]
    assert [(e.details["study_instance_uid"], e.details["instances"]) for e in events] == [
        ("1.2.3", 3),
        ("5.2", 1),
    ]
    assert [each.id for each in events[0].objects] == ["1.2.3", "P1"]
    assert events[0].objects[0].sop_classes == {CT: 3}


async def test_what_cannot_be_deleted_is_reported(parts):
    archive = parts.archive()
    for n in range(2):
        await parts.send(archive, make_dataset(f"1.2.3.{n}"), f"1.2.3.{n}")
    remove = parts.index.remove

    async def fail(path):
        if path.sop_instance_uid == "1.2.3.0":
            raise OSError("no way")
        return await remove(path)

    parts.index.remove = fail
    report = await archive.delete_all(Query(Level.STUDY), WHO)
    assert (report.instances, report.failures) == (
        1,
        {InstancePath("1.2.3", "1.2.3.0"): "OSError: no way"},
    )


class Rules(Authorizer):
    """Gives one verdict, and keeps what was asked."""

    def __init__(self, verdict):
        self.verdict = verdict
        self.asked = []

    async def authorize(self, access):
        self.asked.append(str(access.action))
        return self.verdict


def guarded(parts, verdict):
    rules = Rules(verdict)
    archive = parts.archive(access=AccessControl(parts.trail, (rules,)))
    return archive.on_behalf_of(WHO), rules


async def test_authorizers_are_asked_for_corrections_and_deletions(parts):
    await parts.send(parts.archive(), make_dataset())
    archive, rules = guarded(parts, Deny("no"))
    with pytest.raises(AccessDeniedError):
        await archive.update(PATIENT, MERGE, WHO)
    with pytest.raises(AccessDeniedError):
        await archive.revert(1, WHO)
    with pytest.raises(AccessDeniedError):
        [c async for c in archive.corrections()]
    with pytest.raises(AccessDeniedError):
        await archive.delete_all(Query(Level.STUDY), WHO)
    assert rules.asked == ["update", "update", "update", "delete"]
    archive, _ = guarded(parts, Allow())
    assert (await archive.update(PATIENT, MERGE, WHO)).instances == 1
    assert [c.number async for c in archive.corrections()] == [1]
    assert (await archive.revert(1, WHO)).instances == 1
    assert (await archive.delete_all(Query(Level.STUDY), WHO)).instances == 1


async def test_who_is_restricted_corrects_only_what_is_permitted_as_a_whole(parts):
    whole = parts.archive()
    await parts.send(whole, make_dataset())
    await parts.send(whole, make_dataset("5.1", study="5.2", Modality="MR"), "5.1")
    await parts.send(whole, make_dataset("9.1", study="9.2", PatientID="P9", Modality="MR"), "9.1")
    archive, _ = guarded(parts, Restrict((SingleValue(tag_of("Modality"), "CT"),)))
    with pytest.raises(AccessDeniedError):
        await archive.update(PATIENT, MERGE, WHO)
    with pytest.raises(InstanceNotFoundError):
        await archive.update(EntityPath("P9"), {ID: ("P1",)}, WHO)
    with pytest.raises(InstanceNotFoundError):
        await archive.update(EntityPath("P10"), {ID: ("P1",)}, WHO, in_advance=True)
    assert (await archive.update(STUDY, {NAME: ("Roe",)}, WHO)).instances == 1
    await whole.update(EntityPath("P9"), {NAME: ("Nine",)}, WHO)
    assert [c.number async for c in archive.corrections()] == [1]
    with pytest.raises(AccessDeniedError):
        await archive.revert(1, WHO)
    report = await archive.delete_all(Query(Level.PATIENT), WHO)
    assert report.studies == {"1.2.3": 1}
    assert await whole.count(Query(Level.IMAGE)) == 2


async def test_metadata_are_those_of_what_goes_out(parts):
    archive = parts.archive()
    await parts.send(archive, make_dataset())

    async def metadata():
        # As they are kept, once they are.
        prepared = archive.preparation.source.prepared
        async with anyio.create_task_group() as group:
            group.start_soon(archive.preparation.run, lambda: None)
            while (await prepared.lacking(1)).instances:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert [kept async for _, kept in prepared.find(Query(Level.IMAGE))] != [None]
        return [json.loads(m) async for _, m in archive.metadata(Query(Level.IMAGE))]

    (before,) = await metadata()
    assert before["00100020"]["Value"] == ["P1"]
    await archive.update(PATIENT, MERGE, WHO)
    (after,) = await metadata()
    assert after["00100020"]["Value"] == ["P2"]
    previous = after["04000561"]["Value"][0]["04000550"]["Value"][0]
    assert previous["00100020"]["Value"] == ["P1"]
    await archive.revert(1, WHO)
    assert await metadata() == [before]


async def test_an_index_without_a_log_says_that_nothing_can_be_corrected(parts):
    class Bare(type(parts.index)):
        correction_log = None

    parts = evolve(parts, index=Bare())
    archive = parts.archive()
    await parts.send(archive, make_dataset())
    with pytest.raises(CorrectionError, match="the index keeps no corrections"):
        await archive.update(PATIENT, MERGE, WHO)
