"""``pacs deidentify --vault`` and ``pacs reidentify``, from the command line."""

import pytest
from pacs_deidentify.vault import Identifiers, Ledger, Originals, Vault
from pydicom import dcmread

from pacs_core.api.commands import CommandError, main

from .samples import INSTANCE, SECRETS, make_instance, make_report
from .test_files import DEFLATED, IMPLICIT, JPEG, save

RESTORED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID",
    "FrameOfReferenceUID",
)  # fmt: skip
KEY = "a key of some length"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACS_CONFIG", raising=False)
    monkeypatch.setenv("PACS_DEIDENTIFY_KEY", KEY)

    def run_command(*arguments):
        capsys.readouterr()
        return main([*map(str, arguments)]), *capsys.readouterr()

    return run_command


@pytest.mark.parametrize("syntax", ["", IMPLICIT, DEFLATED, JPEG])
def test_who_an_instance_is_of_comes_back(run, tmp_path, syntax):
    source = save(tmp_path / "in" / "a", make_instance(), syntax)
    assert run("deidentify", "in", "out", "--vault", "v", "--report", "r")[0] == 0
    sealed = (tmp_path / "v").read_bytes() + (tmp_path / "r").read_bytes()
    assert not [text for text in SECRETS if text.encode() in sealed]
    before = {each: each.read_bytes() for each in (tmp_path / "out").rglob("*.dcm")}
    assert run("reidentify", "out", "back", "--vault", "v")[:2] == (0, "1 instance re-identified\n")
    assert {each: each.read_bytes() for each in (tmp_path / "out").rglob("*.dcm")} == before
    (path,) = (tmp_path / "back").rglob("*.dcm")
    given, made = dcmread(source), dcmread(path)
    assert path.relative_to(tmp_path / "back").parts == (
        given.StudyInstanceUID, given.SeriesInstanceUID, f"{given.SOPInstanceUID}.dcm",
    )  # fmt: skip
    assert {k: made.get(k) for k in RESTORED} == {k: given.get(k) for k in RESTORED}
    assert "IssuerOfPatientID" not in made
    assert made.file_meta.MediaStorageSOPInstanceUID == given.SOPInstanceUID
    assert bytes(made.PixelData) == bytes(given.PixelData)
    assert made.PatientIdentityRemoved == "NO"


def test_uids_in_sequences_come_back(run, tmp_path):
    save(tmp_path / "in" / "a", make_report())
    option = ("--option", "clean-structured-content")
    assert run("deidentify", "in", "out", "--vault", "v", *option)[0] == 0
    (path,) = (tmp_path / "out").rglob("*.dcm")
    replaced = dcmread(path).ContentSequence[3].ContentSequence[0].UID
    assert replaced.startswith("2.25.")
    assert run("reidentify", "out", "back", "--vault", "v")[0] == 0
    (path,) = (tmp_path / "back").rglob("*.dcm")
    assert dcmread(path).ContentSequence[3].ContentSequence[0].UID == INSTANCE


def test_runs_add_to_what_is_there_and_instances_may_differ(run, tmp_path):
    save(tmp_path / "one" / "a", make_instance())
    save(tmp_path / "two" / "b", make_instance(SOPInstanceUID="1.2.826.99.2", PatientName="Né^Eve"))
    other = make_instance(
        SOPInstanceUID="1.2.826.99.3", PatientID="OTHER", StudyInstanceUID="1.2.826.98"
    )
    save(tmp_path / "two" / "c", other)
    for folder in ("one", "two"):
        assert run("deidentify", folder, "out", "--vault", "v")[0] == 0
    assert run("reidentify", "out", "back", "--vault", "v")[0] == 0
    back = {
        str(made.SOPInstanceUID): (str(made.PatientName), made.PatientID)
        for made in map(dcmread, (tmp_path / "back").rglob("*.dcm"))
    }
    assert back == {
        "1.2.826.99.1.1.1": ("Ruiz^Marisol", "MRN-77120"),
        "1.2.826.99.2": ("Né^Eve", "MRN-77120"),
        "1.2.826.99.3": ("Ruiz^Marisol", "OTHER"),
    }
    code, out, err = run("reidentify", "out", "back", "--vault", "v")
    assert (code, out) == (1, "0 instances re-identified, 3 refused\n")
    assert err.count("exists; replace it with --overwrite") == 3


def test_a_wrong_key_and_a_changed_vault_are_named_before_anything_is_made(
    run, tmp_path, monkeypatch
):
    save(tmp_path / "in" / "a", make_instance())
    assert run("deidentify", "in", "out", "--vault", "v")[0] == 0
    vault = (tmp_path / "v").read_bytes()
    monkeypatch.setenv("PACS_DEIDENTIFY_KEY", "another key of some length")
    for command in (("deidentify", "in", "more"), ("reidentify", "out", "back")):
        code, _, err = run(*command, "--vault", "v")
        assert code == 1
        assert "v: the key is not that of this vault" in err
    monkeypatch.setenv("PACS_DEIDENTIFY_KEY", KEY)
    for place in (30, len(vault) // 2, len(vault) - 1):
        changed = bytearray(vault)
        changed[place] ^= 1
        (tmp_path / "v").write_bytes(changed)
        assert "or the file was damaged" in run("reidentify", "out", "back", "--vault", "v")[2]
    (tmp_path / "v").write_bytes(b"anything else")
    assert "is no vault" in run("deidentify", "in", "more", "--vault", "v")[2]
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "more").exists()


def test_what_cannot_be_done_is_refused(run, tmp_path, monkeypatch):
    save(tmp_path / "in" / "a", make_instance())
    assert run("deidentify", "in", "out", "--vault", "out/v")[0] == 2
    assert run("reidentify", "in", "back", "--vault", "none")[0] == 2
    (tmp_path / "empty").mkdir()
    assert run("deidentify", "empty", "out", "--vault", "v")[0] == 3
    assert not (tmp_path / "v").exists()
    save(tmp_path / "others" / "a", make_instance(PatientID="somebody else"))
    assert run("deidentify", "others", "out", "--vault", "v")[0] == 0
    code, _, err = run("reidentify", "in", "back", "--vault", "v")
    assert code == 1
    assert "the vault does not say whose it is" in err
    monkeypatch.delenv("PACS_DEIDENTIFY_KEY")
    assert run("deidentify", "in", "out", "--vault", "w")[0] == 2
    assert run("reidentify", "in", "back", "--vault", "v")[0] == 2
    assert not list(tmp_path.rglob("*.part"))


def test_a_vault_that_cannot_be_written_stays_whole(tmp_path, monkeypatch):
    vault = Vault(tmp_path / "v", KEY.encode())
    vault.add([Originals("1.1", "1", {"PatientID": "A"}, {"1": "2"})])
    before = (tmp_path / "v").read_bytes()

    def fail(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pacs_deidentify.vault.Draft.finish", fail)
    with pytest.raises(CommandError, match="No space left"):
        vault.add([Originals("1.2", "2", {}, {})])
    assert (tmp_path / "v").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["v"]
    assert vault.read() == Identifiers({"1": "2"}, {"1": {"PatientID": "A"}})


def test_whose_an_instance_is_that_is_not_known_is_not_guessed():
    held = Identifiers()
    one, other = {"PatientID": "A"}, {"PatientID": "B"}
    held.add(Originals("1.1", "1", one, {"1.1": "9.1"}))
    assert held.find("1", "1.7") == one
    held.add(Originals("1.2", "1", other, {"1.2": "9.2"}))
    assert [held.find("1", each) for each in ("1.1", "1.2", "1.7")] == [one, other, None]
    held.add(Originals("3.1", "", one, {"3.1": "9.3"}))
    assert (held.find("", "3.1"), held.find("", "3.2")) == (one, None)


def test_a_run_that_was_killed_is_made_good_by_the_next(run, tmp_path):
    """Instances that are there already get their entry, which the key tells (PS3.15 E.1.2)."""
    source = save(tmp_path / "in" / "a", make_instance())
    assert run("deidentify", "in", "out")[0] == 0
    code, _, err = run("deidentify", "in", "out", "--vault", "v")
    assert (code, "exists; replace it" in err) == (1, True)
    assert run("reidentify", "out", "back", "--vault", "v")[0] == 0
    (path,) = (tmp_path / "back").rglob("*.dcm")
    assert dcmread(path).PatientName == dcmread(source).PatientName


def test_a_vault_is_written_while_a_folder_is_gone_through(tmp_path, monkeypatch):
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr("pacs_deidentify.vault.monotonic", lambda: next(now))
    vault, held = Vault(tmp_path / "v", b"k" * 16), []
    with Ledger(vault) as ledger:
        for number in range(4):
            ledger.add(
                Originals(f"1.{number}", "1.2", {"PatientID": f"P{number}"}, {f"1.{number}": "9"})
            )
            held.append(len(vault.read().instances) + len(vault.read().studies))
    assert held[0] == 0
    assert held[-1] > 0
    found = vault.read()
    assert [found.find("1.2", f"1.{n}")["PatientID"] for n in range(4)] == ["P0", "P1", "P2", "P3"]


@pytest.mark.parametrize("option", ["--vault", "--report", "--key-file"])
def test_nothing_that_names_people_is_given_out(run, tmp_path, option):
    save(tmp_path / "in" / "a", make_instance())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_bytes(b"0123456789abcdef")
    code, _, err = run("deidentify", "in", "out", option, "out/x")
    assert (code, "would be given out" in err) == (2, True)
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["x"]


def test_a_report_replaces_no_file_of_the_input(run, tmp_path):
    source = save(tmp_path / "in" / "a", make_instance())
    before = source.read_bytes()
    code, _, err = run("deidentify", "in", "out", "--report", source)
    assert (code, "is no report" in err) == (2, True)
    assert source.read_bytes() == before
    for _ in range(2):
        run("deidentify", "in", "out", "--report", "r")
        assert (tmp_path / "r").read_text().startswith('{"edition"')
