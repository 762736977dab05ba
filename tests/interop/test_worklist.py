"""Modality Worklist (PS3.4 Annex K), asked by findscu and pynetdicom."""

import json
import os
import shutil
import time
from contextlib import AsyncExitStack, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import anyio
import pytest
from attrs import frozen
from pacs_database.testing import open_database
from pacs_sop_worklist.api import StepState
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from pacs_core.api.commands import main
from pacs_core.association import Proposal, connect
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, decode_dataset
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread, write_config
from pacs_core.testing.waiting import until

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
PLUGINS = [
    "sop-worklist",
    "database",
    "sop-storage",
    "store-filesystem",
    "index-sqlite",
    "audit-json",
]

pytestmark = [pytest.mark.peer]


def entry(number, **own):
    """An entry whose attributes can be changed by keyword, at both levels."""
    dataset, step = Dataset(), Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = f"Doe^Jane{number}", f"P{number}"
    dataset.PatientBirthDate, dataset.PatientSex = "19700101", "F"
    dataset.AccessionNumber, dataset.StudyInstanceUID = f"A{number}", f"1.2.3.{number}"
    dataset.RequestedProcedureID = f"R{number}"
    dataset.RequestedProcedureDescription = "CT of the head"
    dataset.ReferringPhysicianName = "House^Gregory"
    step.Modality, step.ScheduledProcedureStepID = "CT", f"S{number}"
    step.ScheduledStationAETitle = "CT1"
    step.ScheduledProcedureStepStartDate = "20990131"
    step.ScheduledProcedureStepStartTime = f"{8 + number:02}0000"
    step.ScheduledProcedureStepDescription = "Head"
    for keyword, value in own.items():
        target = step if keyword in step or keyword.startswith("Scheduled") else dataset
        setattr(target, keyword, value)
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


def write(path, dataset):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MODALITY_WORKLIST
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.save_as(path, enforce_file_format=True)
    return path


ENTRIES = {
    "head": entry(0),
    "two-stations": entry(1, ScheduledStationAETitle=["CT1", "CT2"]),
    "mr": entry(2, Modality="MR", ScheduledStationAETitle="MR1"),
    "late": entry(3, ScheduledProcedureStepStartDate="20990201"),
    "umlaut": entry(4, PatientName="Müller^Jürgen", ScheduledStationAETitle="CT2"),
    "anywhere": entry(5, ScheduledStationAETitle=None, ScheduledProcedureStepStartTime="235900"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worklist")
    for name, dataset in ENTRIES.items():
        write(folder / f"{name}.wl", dataset)
    return folder


@pytest.fixture(scope="module")
def node(tmp_path_factory, folder):
    tables = {
        "plugin": {"sop-worklist": {"folder": str(folder), "poll": 0.2, "max_results": 50}},
        "archive": {"space": {"reserve": 0}, "study_quiet_time": 1.0},
    }
    with node_thread(tmp_path_factory.mktemp("node"), tables, plugins=PLUGINS) as running:
        until(lambda: len(find(running, Dataset())[1]) == len(ENTRIES))
        yield running


def find(node, identifier, title="MODALITY", *, step=None, cancel_after=None):
    """Return the statuses and the identifiers of a C-FIND of pynetdicom."""
    if step is not None:
        identifier.ScheduledProcedureStepSequence = [step]
    if not identifier:
        identifier.PatientID = ""
    ae = AE(ae_title=title)
    ae.add_requested_context(MODALITY_WORKLIST)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    statuses, found = [], []
    for status, answer in association.send_c_find(identifier, MODALITY_WORKLIST, msg_id=7):
        statuses.append(status.Status)
        if answer is not None:
            found.append(answer)
        if cancel_after == len(found):
            association.send_c_cancel(7, query_model=MODALITY_WORKLIST)
    association.release()
    return statuses, found


def patients(answers):
    return [str(answer.PatientID) for answer in answers]


def query(**own):
    """Return an identifier with keys at both levels."""
    identifier, step = Dataset(), Dataset()
    identifier.PatientID = ""
    for keyword, value in own.items():
        is_of_step = keyword.startswith("Scheduled") or keyword == "Modality"
        setattr(step if is_of_step else identifier, keyword, value)
    identifier.ScheduledProcedureStepSequence = [step] if step else []
    return identifier


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, ["P0", "P1", "P2", "P4", "P5", "P3"]),
        ({"ScheduledStationAETitle": "CT1"}, ["P0", "P1", "P3"]),
        ({"ScheduledStationAETitle": "CT2"}, ["P1", "P4"]),
        ({"ScheduledStationAETitle": ["MR1", "CT2"]}, ["P1", "P2", "P4"]),
        ({"ScheduledStationAETitle": "CT*"}, ["P0", "P1", "P4", "P3"]),
        ({"Modality": "MR"}, ["P2"]),
        ({"ScheduledProcedureStepStartDate": "20990201"}, ["P3"]),
        ({"ScheduledProcedureStepStartDate": "20990201-"}, ["P3"]),
        ({"ScheduledProcedureStepStartDate": "-20990131"}, ["P0", "P1", "P2", "P4", "P5"]),
        ({"ScheduledProcedureStepStartTime": "0900-1030"}, ["P1", "P2"]),
        (
            {
                "ScheduledProcedureStepStartDate": "20990131-20990201",
                "ScheduledProcedureStepStartTime": "1200-0900",
            },
            ["P4", "P5"],
        ),
        (
            {"ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20990131"},
            ["P0", "P1"],
        ),
        ({"ScheduledProcedureStepID": "S2"}, ["P2"]),
        ({"ScheduledProcedureStepDescription": "He*"}, ["P0", "P1", "P2", "P4", "P5", "P3"]),
        ({"ScheduledProcedureStepStatus": "SCHEDULED", "Modality": "MR"}, ["P2"]),
        ({"ScheduledProcedureStepStatus": "STARTED"}, []),
        ({"PatientName": "doe^jane1"}, ["P1"]),
        ({"PatientName": "Doe*", "Modality": "MR"}, ["P2"]),
        ({"PatientID": "P3"}, ["P3"]),
        ({"PatientID": "P?", "Modality": "MR"}, ["P2"]),
        ({"AccessionNumber": "A1"}, ["P1"]),
        ({"StudyInstanceUID": ["1.2.3.1", "1.2.3.3"]}, ["P1", "P3"]),
        ({"RequestedProcedureID": "R5"}, ["P5"]),
        ({"ReferringPhysicianName": "House*", "Modality": "MR"}, ["P2"]),
        ({"PatientBirthDate": "19700101-19700102", "Modality": "MR"}, ["P2"]),
        ({"PatientSex": "M"}, []),
    ],
)
def test_keys_match_as_table_k_6_1_says(node, keys, wanted):
    statuses, answers = find(node, query(**keys))
    assert patients(answers) == wanted
    assert statuses == [0xFF00] * len(wanted) + [0x0000]


def test_what_is_returned_is_what_was_asked_for(node):
    identifier = query(
        Modality="MR", ScheduledProcedureStepStatus="", PatientName="", PatientComments=""
    )
    _, (answer,) = find(node, identifier)
    (step,) = answer.ScheduledProcedureStepSequence
    assert {element.keyword for element in step} == {"Modality", "ScheduledProcedureStepStatus"}
    assert (step.Modality, step.ScheduledProcedureStepStatus) == ("MR", "SCHEDULED")
    assert str(answer.PatientName) == "Doe^Jane2"
    assert answer.PatientComments == ""
    assert "AccessionNumber" not in answer


def test_a_sequence_without_an_item_is_returned_whole(node):
    identifier = Dataset()
    identifier.PatientID, identifier.ScheduledProcedureStepSequence = "P2", []
    _, (answer,) = find(node, identifier)
    assert answer.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "MR1"


def test_names_go_out_in_the_character_set_that_was_asked_for(node):
    for name in ("ISO_IR 100", "ISO_IR 192"):
        identifier = query(PatientName="")
        identifier.SpecificCharacterSet, identifier.PatientID = name, "P4"
        _, (answer,) = find(node, identifier)
        assert (answer.SpecificCharacterSet, str(answer.PatientName)) == (name, "Müller^Jürgen")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("ScheduledProcedureStepStartDate", "2099-01-31-"), ("StudyInstanceUID", "1.2.*")],
)
def test_a_key_that_nothing_could_match_is_a900(node, keyword, value):
    identifier = query()
    target = identifier
    if keyword.startswith("Scheduled"):
        identifier.ScheduledProcedureStepSequence = [Dataset()]
        target = identifier.ScheduledProcedureStepSequence[0]
    from pydicom.dataelem import DataElement

    target.add(DataElement(tag_for_keyword(keyword), "LO", value))
    target[keyword].VR = "LO"
    statuses, answers = find(node, identifier)
    assert (statuses, answers) == ([0xA900], [])
    assert len(find(node, query())[1]) == len(ENTRIES)


def test_findscu_agrees(node, dcmtk):
    answers = dcmtk.find(
        node,
        "-k", "(0040,0100)[0].Modality=CT",
        "-k", "(0040,0100)[0].ScheduledStationAETitle=CT1",
        "-k", "PatientName",
        "-k", "PatientID",
        model="-W",
    )  # fmt: skip
    assert patients(answers) == ["P0", "P1", "P3"]


@pytest.mark.anyio
async def test_64_stations_ask_at_once(node):
    """All hold their associations before the first asks; each gets the whole list."""
    door = anyio.CapacityLimiter(8)  # a host may begin few associations at a time
    everybody, waiting, answers = anyio.Event(), set(range(64)), {}

    async def ask(number):
        async with AsyncExitStack() as stack:
            opened = connect(node.peer, [Proposal(MODALITY_WORKLIST)])
            async with door:
                scu = await stack.enter_async_context(opened)
            waiting.discard(number)
            if not waiting:
                everybody.set()
            await everybody.wait()
            wanted = Dataset()
            wanted.PatientID = ""
            asked = scu.c_find(MODALITY_WORKLIST, wanted)
            answers[number] = [answer.PatientID async for _, answer in asked if answer is not None]

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            for number in range(64):
                tasks.start_soon(ask, number)
    expected = await anyio.to_thread.run_sync(lambda: patients(find(node, Dataset())[1]))
    assert len(expected) == len(ENTRIES)
    assert list(answers.values()) == [expected] * 64


def test_a_cancelled_query_ends(tmp_path):
    """Far more than fits into the buffers between the two, so that the node has not yet ended."""
    comments = {"PatientComments": "x" * 10_000}
    many = [entry(n % 10, RequestedProcedureID=f"R{n}", **comments) for n in range(1000)]
    fill(tmp_path, many)
    with node_thread(tmp_path, {}, plugins=PLUGINS) as node:
        statuses, answers = find(node, query(PatientComments=""), cancel_after=5)
    assert statuses[-1] == 0xFE00
    assert 5 <= len(answers) < 1000


def test_more_matches_than_are_allowed_end_with_a700(tmp_path):
    fill(tmp_path, [entry(n % 10, RequestedProcedureID=f"R{n}") for n in range(12)])
    tables = {"plugin": {"sop-worklist": {"max_results": 10}}}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
        statuses, answers = find(node, Dataset())
    assert (len(answers), statuses[-1]) == (10, 0xA700)


def test_a_station_is_shown_its_own_where_configured(tmp_path):
    fill(tmp_path, ENTRIES.values())
    tables = {"plugin": {"sop-worklist": {"own_station_only": True}}}
    with node_thread(tmp_path, tables, plugins=PLUGINS) as node:
        assert patients(find(node, Dataset(), title="CT2")[1]) == ["P1", "P4", "P5"]
        assert patients(find(node, Dataset(), title="OTHER")[1]) == ["P5"]
        asked = query(ScheduledStationAETitle="CT1")
        assert patients(find(node, asked, title="CT2")[1]) == ["P1"]


def fill(directory, datasets):
    """Put entries on the list of a data directory, by the command."""
    files = []
    source = directory / "entries"
    source.mkdir(parents=True)
    for number, dataset in enumerate(datasets):
        files.append(write(source / f"{number}.dcm", dataset))
    result = worklist(directory, "import", *map(str, files))
    assert result.code == 0, result.err


@frozen
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def worklist(directory: Path, *arguments: str) -> Said:
    config = directory / "pacs.toml"
    if not config.exists():
        write_config(directory, {"plugin": {"sop-worklist": {}}})
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["worklist", *arguments, "--config", str(config)])
    return Said(code, out.getvalue(), err.getvalue())


# The folder


def test_the_list_follows_the_folder(node, folder):
    path = write(folder / "new.wl", entry(7))
    until(lambda: patients(find(node, query(PatientID="P7"))[1]) == ["P7"])
    write(path, entry(7, PatientName="Doe^Changed"))
    until(
        lambda: (
            str(find(node, query(PatientID="P7", PatientName=""))[1][0].PatientName)
            == "Doe^Changed"
        )
    )
    path.unlink()
    until(lambda: find(node, query(PatientID="P7"))[1] == [])


def test_the_folder_of_the_called_title_is_read_as_well(node, folder):
    (folder / "PACS").mkdir()
    path = write(folder / "PACS" / "own.wl", entry(8))
    until(lambda: patients(find(node, query(PatientID="P8"))[1]) == ["P8"])
    path.unlink()
    until(lambda: find(node, query(PatientID="P8"))[1] == [])


def test_an_entry_that_is_too_long_holds_up_no_other(node, folder, tmp_path):
    codes = [Dataset() for _ in range(10_000)]
    for number, code in enumerate(codes):
        code.CodeValue, code.CodingSchemeDesignator = str(number), "99X"
    path = write(tmp_path / "a-long.wl", entry(10, RequestedProcedureCodeSequence=codes))
    os.utime(path, (time.time() - 60, time.time() - 60))
    path.rename(folder / path.name)
    after = write(folder / "b-after.wl", entry(11))
    until(lambda: (folder / "aside" / "a-long.wl.txt").exists())
    until(lambda: "P11" in patients(find(node, Dataset())[1]))
    after.unlink()
    until(lambda: "P11" not in patients(find(node, Dataset())[1]))


def test_only_regular_files_are_read(node, folder, tmp_path):
    outside = write(tmp_path / "outside.dcm", entry(12))
    odd = [folder / f"a-{kind}.wl" for kind in ("link", "loop", "fifo", "folder")]
    odd[0].symlink_to(outside)
    odd[1].symlink_to(odd[1].name)
    os.mkfifo(odd[2])
    odd[3].mkdir()
    after = write(folder / "b-after.wl", entry(13))
    try:
        until(lambda: "P13" in patients(find(node, Dataset())[1]))
        assert "P12" not in patients(find(node, Dataset())[1])
        assert all(os.path.lexists(path) for path in odd)
    finally:
        for path in (*odd[:3], after):
            path.unlink(missing_ok=True)
        shutil.rmtree(odd[3], ignore_errors=True)
    until(lambda: "P13" not in patients(find(node, Dataset())[1]))


def test_a_reason_is_not_written_through_a_link(node, folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    note = folder / "aside" / "planted.wl.txt"
    note.parent.mkdir(exist_ok=True)
    note.symlink_to(precious)
    path = tmp_path / "planted.wl"
    path.write_bytes(b"no entry")
    os.utime(path, (time.time() - 60, time.time() - 60))
    path = path.rename(folder / path.name)
    until(lambda: not path.exists())
    until(lambda: not note.is_symlink() and note.read_text().strip())
    assert precious.read_text() == "precious"


def test_what_cannot_be_set_aside_holds_up_no_other(node, folder, tmp_path):
    own = folder / "PACS"
    own.mkdir(exist_ok=True)
    (own / "aside").symlink_to(tmp_path)
    bad = own / "a-bad.wl"
    bad.write_bytes(b"no entry")
    os.utime(bad, (time.time() - 60, time.time() - 60))
    after = write(own / "b-after.wl", entry(14))
    until(lambda: "P14" in patients(find(node, Dataset())[1]))
    assert bad.exists()
    assert not list(tmp_path.iterdir())
    for path in (own / "aside", bad, after):
        path.unlink()
    until(lambda: "P14" not in patients(find(node, Dataset())[1]))


@pytest.mark.parametrize("content", [b"", b"no DICOM at all", b"\x00" * 200, b"{" * 50_000])
def test_a_bad_file_is_set_aside_with_its_reason(node, folder, tmp_path, content):
    path = tmp_path / "bad.wl"
    path.write_bytes(content)
    old = time.time() - 60
    os.utime(path, (old, old))
    path = path.rename(folder / path.name)
    until(lambda: not path.exists())
    aside = folder / "aside"
    assert (aside / "bad.wl").read_bytes() == content
    assert (aside / "bad.wl.txt").read_text().strip()
    assert len(find(node, query())[1]) == len(ENTRIES)
    shutil.rmtree(aside)


# Steps move on


def test_images_move_a_step_on_and_take_it_off_the_list(node, folder):
    path = write(folder / "moving.wl", entry(9))
    until(lambda: patients(find(node, query(PatientID="P9"))[1]) == ["P9"])
    sample = SampleStudy("1.2.3.9").make("CT")
    ae = AE(ae_title="CT1")
    ae.add_requested_context(sample.sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    image = decode_dataset(sample.encode(), EXPLICIT_VR_LITTLE_ENDIAN)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert association.send_c_store(image).Status == 0x0000
    association.release()

    def status():
        answers = find(node, query(PatientID="P9", ScheduledProcedureStepStatus=""))[1]
        return [a.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus for a in answers]

    until(lambda: status() == ["STARTED"] or status() == [])
    until(lambda: status() == [])
    path.touch()  # the file is still there: what has ended does not come back
    time.sleep(0.6)
    assert status() == []
    path.unlink()


# Commands


def test_commands(tmp_path):
    order = (
        "add", "4711", "Doe^Jane", "--modality", "CT", "--start", "2099-01-31T09:30:00",
        "--station", "CT1", "--accession", "A1", "--description",
    )  # fmt: skip
    refused = worklist(tmp_path, *order, "Head\x1b[31m")
    assert (refused.code, refused.out) == (2, ""), refused
    assert "\x1b" not in refused.err
    added = worklist(tmp_path, *order, "Head")
    assert (added.code, added.out) == (0, "1\n"), added.err
    listed = worklist(
        tmp_path, "list", "PatientID=4711", "ScheduledProcedureStepStartDate=20990131"
    )
    assert "1       20990131 093000  CT    CT1" in listed.out
    assert "\x1b" not in listed.out
    assert worklist(tmp_path, "list", "Modality=MR").out.count("\n") == 1
    shown = worklist(tmp_path, "show", "1").out
    assert json.loads(shown.partition("\n")[2])["AccessionNumber"] == ["A1"]
    assert worklist(tmp_path, "cancel", "1").out == "step 1 is cancelled\n"
    assert worklist(tmp_path, "list").out.count("\n") == 1
    assert "CANCELED" in worklist(tmp_path, "list", "--all").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "9"), 1, "there is no step 9"),
        (("list", "Nonsense=1"), 2, "'Nonsense' is no keyword"),
        (("list", "ScheduledProcedureStepStartDate=soon"), 2, "ScheduledProcedureStepStartDate"),
        (("import", "/dev/null"), 1, "/dev/null"),
        (("add", "", "Doe", "--modality", "CT"), 2, "PatientID is missing"),
    ],
)
def test_commands_say_what_is_wrong(tmp_path, arguments, code, said):
    result = worklist(tmp_path, *arguments)
    assert result.code == code, result
    assert said in result.err


def test_dicom_json_is_imported(tmp_path):
    file = tmp_path / "order.json"
    file.write_text(entry(1, ScheduledProcedureStepDescription="Head\x1b[31m").to_json())
    assert worklist(tmp_path, "import", str(file)).out == "1 of 1 steps added or changed\n"
    assert worklist(tmp_path, "import", str(file)).out == "0 of 1 steps added or changed\n"
    listed = worklist(tmp_path, "list").out
    assert "Doe^Jane1" in listed
    assert "\x1b" not in listed


def test_a_step_that_has_ended_is_not_scheduled_anew(tmp_path):
    file = write(tmp_path / "entry.dcm", entry(1))
    worklist(tmp_path, "import", str(file))
    worklist(tmp_path, "cancel", "1")
    assert worklist(tmp_path, "import", str(file)).out == "0 of 1 steps added or changed\n"
    assert worklist(tmp_path, "list").out.count("\n") == 1


def test_old_steps_are_forgotten(tmp_path):
    async def run() -> list[str]:
        async with open_database(tmp_path) as database:
            worklist = DatabaseWorklist(database)
            await worklist.start()
            await worklist.forget(ended_before=time.time() + 1, due_before="20990131 120000")
            return [listed.step.identity async for listed in worklist.search(with_ended=True)]

    fill(tmp_path, [entry(0), entry(1), entry(5), entry(6)])
    worklist(tmp_path, "cancel", "4")
    assert anyio.run(run) == ["1.2.3.5/R5/S5"]


def test_steps_that_were_begun_are_forgotten_when_nothing_more_is_heard(tmp_path):
    async def run() -> list[str]:
        async with open_database(tmp_path) as database:
            worklist = DatabaseWorklist(database)
            await worklist.start()
            for number in (1, 2):
                await worklist.set_state(number, StepState.STARTED, performed="1.2")
            await worklist.forget(ended_before=time.time() - 60, due_before="20990131 090000")
            assert (await worklist.find(1)).step.state is StepState.STARTED
            await worklist.forget(ended_before=time.time() + 1, due_before="20990131 090000")
            return [listed.step.identity async for listed in worklist.search()]

    fill(tmp_path, [entry(0), entry(1), entry(2)])
    assert anyio.run(run) == ["1.2.3.1/R1/S1", "1.2.3.2/R2/S2"]


def test_who_guesses_gives_way_to_a_performed_step(tmp_path):
    async def run() -> list[tuple[bool, str]]:
        async with open_database(tmp_path) as database:
            worklist = DatabaseWorklist(database)
            await worklist.start()
            answers = []
            for state, values in (
                (StepState.STARTED, {"unless_performed": True}),
                (StepState.STARTED, {"performed": "1.2"}),
                (StepState.COMPLETED, {"unless_performed": True}),
                (StepState.DISCONTINUED, {"performed": "1.2"}),
            ):
                changed = await worklist.set_state(1, state, **values)
                answers.append((changed, str((await worklist.find(1)).step.state)))
            return answers

    fill(tmp_path, [entry(0)])
    assert anyio.run(run) == [
        (True, "STARTED"),
        (True, "STARTED"),
        (False, "STARTED"),
        (True, "DISCONTINUED"),
    ]


def test_the_peer_reads_what_the_folder_has(folder):
    assert dcmread(folder / "umlaut.wl").PatientName == "Müller^Jürgen"
