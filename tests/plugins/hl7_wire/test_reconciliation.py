"""Patients reconciled (IHE RAD TF-1 6), as every door shows them."""

import json
import threading

import anyio
import anyio.to_thread
import pytest
from pacs_hl7.database_messages import DatabaseMessages
from pacs_hl7.reconciling import Reconciler

from pacs_core.api.commands import main

from .conftest import Sender, framed, message, port_of
from .site import FIND, STUDY, Site, image

pytestmark = [
    pytest.mark.peer,
    # pynetdicom fails in a thread of its own if an association ends while it answers.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def everywhere(patient):
    names = "C-FIND C-GET C-MOVE QIDO metadata WADO worklist MPPS UPS"
    return {door: {patient} for door in names.split()}


def test_an_unidentified_patient_is_found_under_the_right_identifier_at_every_door(
    serve, destination, capsys
):
    """Use case of RAD TF-1 6.3: imaged as TRAUMA-1, then known as 4711; and back again."""
    order = message(
        "ORM^O01", "O1", "PID|1||TRAUMA-1^^^HOSPITAL||Doe^John", "ORC|NW|P1|F1",
        "OBR|1|P1|F1|CTH^CT Head||||||||||||||A1|RP1|SPS1||||CT", f"ZDS|{STUDY}",
    )  # fmt: skip
    merge = message(
        "ADT^A40", "M1", "PID|1||4711^^^HOSPITAL||Roe^Jane||19700101|F", "MRG|TRAUMA-1^^^HOSPITAL"
    )
    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        assert his.send(order) == [("AA", "O1")]
        site.store(image(1), image(2, other_id="TAG-9"))
        steps, work = [site.perform("TRAUMA-1")], site.ask_for_work("TRAUMA-1")
        assert site.patients(steps, work) == everywhere("TRAUMA-1")

        assert his.send(merge) == [("AA", "M1")]
        assert site.patients(steps, work) == everywhere("4711")
        # The modality goes on with what it was given.
        site.store(image(3))
        steps.append(site.perform("TRAUMA-1"))
        late = message("ORM^O01", "O2", *order.split("\r")[1:-1]).replace("RP1|SPS1", "RP1|SPS2")
        assert his.send(late) == [("AA", "O2")]
        assert site.patients(steps, work) == everywhere("4711")
        # What comes again under another control ID is known.
        assert his.send(merge.replace("M1|", "M2|")) == [("AA", "M2")]
        for each, others in zip(site.get(), ([], ["TAG-9"], []), strict=True):
            (original,) = each.OriginalAttributesSequence
            assert original.ModifiedAttributesSequence[0].PatientID == "TRAUMA-1"
            assert original.ReasonForTheAttributeModification == "COERCE"
            found = [item.PatientID for item in each.OtherPatientIDsSequence]
            assert found == [*others, "TRAUMA-1"]
        (study,) = site.find(FIND, QueryRetrieveLevel="STUDY", PatientID="4711", PatientName="")
        assert str(study.PatientName) == "Roe^Jane"

    assert main(["index", "rebuild", *serve.config]) == 0
    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        assert site.patients(steps, work) == everywhere("4711")
    with serve():
        pass
    capsys.readouterr()
    assert main(["hl7", "list", "--patient", "4711", *serve.config]) == 0
    number = capsys.readouterr().out.splitlines()[-1].split()[0]  # of the first merge
    assert main(["hl7", "undo", number, *serve.config]) == 0
    assert "undone: " in capsys.readouterr().out
    with serve() as node, Site(node, destination) as site:
        doors = site.patients(steps[:1], work)
        # The order that came after the merge was made for the one who remained.
        assert doors.pop("worklist") == {"TRAUMA-1", "4711"}
        assert doors == {k: v for k, v in everywhere("TRAUMA-1").items() if k in doors}
        assert not any("OtherPatientIDsSequence" in each for each in site.get()[::2])
    assert main(["hl7", "replay", number, *serve.config]) == 0
    with serve() as node, Site(node, destination) as site:
        assert site.patients(steps, work) == everywhere("4711")


def test_links_leave_both_patients_and_say_that_they_are_one(serve, destination):
    """A24 and A37: Other Patient IDs Sequence of each names the other."""
    one, two = "1.2.826.0.1.17.21", "1.2.826.0.1.17.22"
    pair = ("PID|1||L1^^^HOSPITAL", "PV1|1", "PID|2||L2^^^HOSPITAL~L2C^^^CITY", "PV1|2")

    def others(site):
        (first,), (second,) = site.get(one), site.get(two)
        return [
            [
                (item.PatientID, item.get("IssuerOfPatientID"))
                for item in each.OtherPatientIDsSequence
            ]
            if "OtherPatientIDsSequence" in each
            else []
            for each in (first, second)
        ]

    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        site.store(image(1, "L1", one), image(1, "L2", two))
        assert his.send(message("ADT^A24", "K1", *pair)) == [("AA", "K1")]
        assert others(site) == [[("L2", None), ("L2C", "CITY")], [("L1", None)]]
        assert [each.PatientID for each in (*site.get(one), *site.get(two))] == ["L1", "L2"]
        assert his.send(message("ADT^A24", "K2", *pair)) == [("AA", "K2")]
        assert his.send(message("ADT^A37", "K3", *pair)) == [("AA", "K3")]
        assert others(site) == [[], []]
        assert his.send(message("ADT^A37", "K4", *pair)) == [("AE", "K4")]
        assert his.send(message("ADT^A24", "K5", pair[0])) == [("AE", "K5")]


def test_merges_that_contradict_each_other_are_answered_and_listed(serve, capsys):
    def merge(control_id, prior, target):
        segments = (f"PID|1||{target}^^^HOSPITAL", f"MRG|{prior}^^^HOSPITAL")
        return message("ADT^A40", control_id, *segments)

    with serve() as node, Sender(port_of(node)) as his:
        answers = his.send(
            merge("C1", "CA", "CB"),  # of somebody whom nobody knows: for what may come
            merge("C2", "CA", "CC"),  # merged already
            merge("C3", "CC", "CA"),  # into one that is no more
            merge("C4", "CB", "CA"),  # a circle
            merge("C5", "CD", "CD"),
            merge("C6", "CA", "CB"),  # the same again
            merge("C7", "CB", "CE"),  # a chain is none
        )
        assert [code for code, _ in answers] == ["AA", "AE", "AE", "AE", "AE", "AA", "AA"]
        his.write(b"\x0b" + merge("C8", "CB", "CA").encode() + b"\x1c\r")
        answer = his.answer()
        assert answer["MSA"][1] == "AE"
        assert answer["ERR"][3].startswith("205^")
        assert "CB was merged into" in answer["MSA"][3] or "before" in answer["MSA"][3]
    capsys.readouterr()
    assert main(["hl7", "conflicts", *serve.config]) == 0
    listed = [line.split()[4:6] for line in capsys.readouterr().out.splitlines()[1:9]]
    kinds = [line[1] if line[0].startswith("ADT") else line[0] for line in listed]
    wanted = ["cycle", "unknown-patient", "itself", "cycle", "merged", "merged", "unknown-patient"]
    assert kinds[:7] == wanted, json.dumps(listed)


def test_a_message_that_merges_two_patients_merges_both(serve):
    """HL7 V2.5.1 3.3.40: PID and MRG may come again, for another patient each."""
    both = (
        "PID|1||GB^^^HOSPITAL",
        "MRG|GA^^^HOSPITAL",
        "PID|2||GD^^^HOSPITAL",
        "MRG|GC^^^HOSPITAL",
    )
    with serve() as node, Sender(port_of(node)) as his:
        answers = his.send(
            message("ADT^A40", "G1", *both),
            message("ADT^A40", "G2", "PID|1||GX^^^HOSPITAL", "MRG|GA^^^HOSPITAL"),  # merged already
            message("ADT^A40", "G3", "PID|1||GX^^^HOSPITAL", "MRG|GC^^^HOSPITAL"),
        )
    assert [code for code, _ in answers] == ["AA", "AE", "AE"]


def test_what_was_done_before_a_crash_is_known_when_the_message_comes_again(
    serve, monkeypatch, capsys
):
    """The node dies after the correction, before it is noted: it can be undone all the same."""
    noted = DatabaseMessages.note

    async def die(*_):
        raise RuntimeError("killed")

    merge = message("ADT^A40", "D1", "PID|1||DB^^^HOSPITAL", "MRG|DA^^^HOSPITAL")
    with serve() as node:
        monkeypatch.setattr(DatabaseMessages, "note", die)
        with Sender(port_of(node)) as his:
            his.write(framed(merge))
            assert his.is_closed  # nothing was answered: the sender comes again
        monkeypatch.setattr(DatabaseMessages, "note", noted)
        with Sender(port_of(node)) as his:
            assert his.send(merge) == [("AA", "D1")]
    capsys.readouterr()
    assert main(["hl7", "list", "--patient", "DB", "--limit", "1", *serve.config]) == 0
    number = capsys.readouterr().out.splitlines()[1].split()[0]
    assert main(["hl7", "undo", number, *serve.config]) == 0
    assert "taken back" in capsys.readouterr().out
    assert main(["hl7", "undo", number, *serve.config]) == 1


def test_the_same_control_id_with_other_content_is_another_message(serve, destination, capsys):
    """MSH-10 is to be unique; a sender that counts anew each day would lose what it sends."""
    uid = "1.2.826.0.1.17.31"

    def update(name):
        return message("ADT^A08", "1", f"PID|1||S1^^^HOSPITAL||{name}")

    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        site.store(image(1, "S1", uid))
        for name in ("One^Jane", "Two^Jane"):
            assert his.send(update(name)) == [("AA", "1")]
            assert {str(each.PatientName) for each in site.get(uid)} == {name}
        # The first of them once more is a repetition, whatever has come since.
        assert his.send(update("One^Jane")) == [("AA", "1")]
        assert {str(each.PatientName) for each in site.get(uid)} == {"Two^Jane"}
    capsys.readouterr()
    assert main(["hl7", "list", "--patient", "S1", *serve.config]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2


@pytest.mark.parametrize("command", ["replay", "undo"])
def test_who_replays_or_undoes_a_message_waits_for_the_one_that_is_heeded(
    serve, destination, monkeypatch, capsys, command
):
    """By a command, in another process than the listener: neither overtakes the other."""
    uid, patient = f"1.2.826.0.1.17.4{len(command)}", f"T-{command}"
    entered, go_on = threading.Event(), threading.Event()
    follow = Reconciler.follow

    async def wait(self, update):
        if self.comment.endswith("LATER"):
            entered.set()
            await anyio.to_thread.run_sync(go_on.wait)
        await follow(self, update)

    def update(control_id, name):
        return message("ADT^A08", f"{command}{control_id}", f"PID|1||{patient}^^^HOSPITAL||{name}")

    monkeypatch.setattr(Reconciler, "follow", wait)
    with serve() as node, Site(node, destination) as site, Sender(port_of(node)) as his:
        site.store(image(1, patient, uid))
        assert his.send(update("FIRST", "First^Jane"))[0][0] == "AA"
        assert main(["hl7", "list", "--patient", patient, *serve.config]) == 0
        number = capsys.readouterr().out.splitlines()[1].split()[0]
        his.write(framed(update("LATER", "Later^Jane")))
        assert entered.wait(60)
        codes = []
        words = ["hl7", command, number, *serve.config]
        thread = threading.Thread(target=lambda: codes.append(main(words)))
        thread.start()
        thread.join(3.0)
        assert thread.is_alive()
        assert {str(each.PatientName) for each in site.get(uid)} == {"First^Jane"}
        go_on.set()
        assert his.answers(1) == [("AA", f"{command}LATER")]
        thread.join(60)
        assert codes == [0]
        # What was undone was beneath: what came later stays.
        last = "First^Jane" if command == "replay" else "Later^Jane"
        assert {str(each.PatientName) for each in site.get(uid)} == {last}
