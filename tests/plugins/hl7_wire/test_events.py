"""Each event and each kind of order over MLLP, and what a modality or workstation then sees."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom import Dataset

from .conftest import Sender, message, port_of
from .site import FIND, WORKLIST, Site, image

STUDY = "1.2.826.0.1.18.1"
TELLING = ("A01", "A02", "A03", "A04", "A05", "A08", "A28", "A31")
SAYING_NOTHING = ("A06", "A11", "A12", "A13", "A60")


@pytest.fixture(scope="module")
def site(serve, destination):
    with serve() as node, Site(node, destination) as site:
        site.store(image(1, "E1", STUDY))
        yield site


@pytest.fixture
def his(site):
    with Sender(port_of(site.node)) as sender:
        yield sender


def patient_of(site):
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
    (study,) = site.find(FIND, **keys, PatientID="", PatientName="")
    return study.PatientID, str(study.PatientName)


def adt(event, name, patient="E1", *more, control_id=None):
    pid = f"PID|1||{patient}^^^HOSPITAL||{name}"
    return message(f"ADT^{event}", control_id or f"{event}-{name}", pid, *more)


@pytest.mark.parametrize("event", TELLING)
def test_what_an_event_says_of_a_patient_is_what_is_found(site, his, event):
    """IHE RAD TF-2 4.1 (RAD-1), 4.12 (RAD-12)."""
    assert his.send(adt(event, f"By^{event}")) == [("AA", f"{event}-By^{event}")]
    assert patient_of(site) == ("E1", f"By^{event}")


@pytest.mark.parametrize("event", SAYING_NOTHING)
def test_what_is_not_heeded_is_acknowledged_and_changes_nothing(site, his, event):
    before = patient_of(site)
    assert his.send(adt(event, "Nobody", "E1", "ZPI|1|vendor")) == [("AA", f"{event}-Nobody")]
    assert patient_of(site) == before


@pytest.mark.parametrize("event", ["A39", "A40"])
def test_older_events_merge_as_well(site, his, event):
    site.store(image(1, f"P{event}", f"{STUDY}.{event[1:]}"))
    assert his.send(adt(event, "Roe", f"Q{event}", f"MRG|P{event}^^^HOSPITAL"))[0][0] == "AA"
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": f"{STUDY}.{event[1:]}"}
    assert [each.PatientID for each in site.find(FIND, **keys, PatientID="")] == [f"Q{event}"]


@pytest.mark.parametrize("kind", ["ORM^O01", "OMG^O19", "OMI^O23"])
def test_an_order_comes_changes_and_goes(site, his, kind):
    """IHE RAD TF-2 4.2 (RAD-2), 4.4 (RAD-4)."""
    number = kind[-2:]

    def order(control, modality, station):
        identifiers = f"A{number}|R{number}|S{number}"
        segments = [
            "PID|1||E1^^^HOSPITAL||Doe^John",
            f"ORC|{control}|P{number}|F{number}",
            f"OBR|1|P{number}|F{number}|X^Head||||||||||||||{identifiers}||||{modality}",
        ]
        if kind == "OMI^O23":
            study = f"{STUDY}.9{number}"
            segments.append(f"IPC|A{number}|R{number}|{study}|S{number}|{modality}|||{station}")
        return message(kind, f"{control}-{number}", *segments)

    def steps():
        keys, wanted = {"AccessionNumber": f"A{number}", "PatientID": ""}, Dataset()
        wanted.Modality = ""
        return site.find(WORKLIST, **keys, ScheduledProcedureStepSequence=[wanted])

    assert his.send(order("NW", "CT", "CT1"))[0][0] == "AA"
    assert [each.PatientID for each in steps()] == ["E1"]
    assert his.send(order("XO", "MR", "MR1"))[0][0] == "AA"
    (step,) = steps()
    assert step.ScheduledProcedureStepSequence[0].Modality == "MR"
    assert his.send(order("DC", "CT", "CT1"))[0][0] == "AA"
    assert steps() == []


def test_what_two_connections_say_of_one_patient_is_done_one_after_the_other(site):
    """None fails for the other; what is found is what one of them said last."""

    def say(who):
        with Sender(port_of(site.node)) as sender:
            names = [f"{who}^{number}" for number in range(15)]
            return sender.send(*[adt("A08", name, control_id=f"{who}{name}") for name in names])

    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(say, ("Anna", "Bert"))]
    assert {code for each in answers for code, _ in each} == {"AA"}
    assert patient_of(site) in {("E1", "Anna^14"), ("E1", "Bert^14")}
