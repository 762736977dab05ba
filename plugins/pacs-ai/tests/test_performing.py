"""Work items that others create on the node by N-CREATE: performed by asking a service."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from attrs import define
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage, generate_uid
from pynetdicom import AE

from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

PUSH = "1.2.840.10008.5.1.4.34.6.1"
RESULTS = {SegmentationStorage, ComprehensiveSRStorage}
STATE, PROGRESS, PERFORMED = "00741000", "00741002", "00741216"
OUTPUT, SERIES, REFERENCED, REASON = "00404033", "0020000E", "00081199", "00741238"
RULES = [
    {
        "service": "lesion",
        "on": "ups",
        "step": {"ScheduledWorkitemCodeSequence": {"CodeValue": "LESION"}},
        "where": {"Modality": "CT"},
    },
    {"service": "broken", "on": "ups", "step": {"ProcedureStepLabel": "Broken*"}},
    {"service": "away", "on": "ups", "step": {"ProcedureStepLabel": "Away*"}},
]


def code(value: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", "of the tests"
    return item


def work_item(**own: Any) -> Dataset:
    """Return what N-CREATE sends (PS3.4 Table CC.2.5-3)."""
    step = Dataset()
    step.ScheduledProcedureStepPriority, step.InputReadinessState = "HIGH", "READY"
    step.ProcedureStepLabel, step.ProcedureStepState = "Find lesions", "SCHEDULED"
    step.ScheduledProcedureStepStartDateTime = "20260131093000"
    step.ScheduledWorkitemCodeSequence = [code("LESION")]
    step.InputInformationSequence = []
    for keyword, value in own.items():
        setattr(step, keyword, value)
    return step


def named(image: Dataset, *instances: Dataset) -> Dataset:
    """Return an item of Input Information Sequence."""
    item = Dataset()
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID, item.SeriesInstanceUID = image.StudyInstanceUID, image.SeriesInstanceUID
    item.ReferencedSOPSequence = []
    for each in instances:
        reference = Dataset()
        reference.ReferencedSOPClassUID = each.SOPClassUID
        reference.ReferencedSOPInstanceUID = each.SOPInstanceUID
        item.ReferencedSOPSequence.append(reference)
    return item


def create(port: int, step: Dataset) -> str:
    """Create a work item by N-CREATE, with pynetdicom, and return its UID."""
    uid, entity = str(generate_uid()), AE(ae_title="PLANNER")
    entity.add_requested_context(PUSH)
    association = entity.associate("127.0.0.1", port, ae_title="PACS")
    assert association.is_established
    status, _ = association.send_n_create(step, PUSH, uid)
    association.release()
    assert status.Status in {0, 0xB300}
    return uid


def request_cancel(port: int, uid: str, **own: Any) -> int:
    """Ask by N-ACTION that a work item be canceled (PS3.4 CC.2.2); return the status."""
    entity, wanted = AE(ae_title="PLANNER"), Dataset()
    for keyword, value in own.items():
        setattr(wanted, keyword, value)
    entity.add_requested_context(PUSH)
    association = entity.associate("127.0.0.1", port, ae_title="PACS")
    assert association.is_established
    status, _ = association.send_n_action(wanted, 2, PUSH, uid)
    association.release()
    return int(status.Status)


def read(web: int, uid: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{web}/dicom-web/workitems/{uid}"
    headers = {"Accept": "application/dicom+json"}
    found = httpx.get(url, headers=headers, timeout=60, trust_env=False).json()
    return found[0] if isinstance(found, list) else found


def end(web: int, uid: str) -> dict[str, Any]:
    """Wait until a work item has ended, and return it as UPS-RS tells of it."""
    until(lambda: read(web, uid)[STATE]["Value"][0] in {"COMPLETED", "CANCELED"}, 120)
    return read(web, uid)


@define
class Place:
    site: Any
    web: int
    port: int


def plugins(web: int) -> dict[str, Any]:
    return {"web": {"port": web}, "sop-ups": {}}


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    web, port = tools.find_free_port(), tools.find_free_port()
    with tools.run_example("--http", "0") as example:
        url = f"http://127.0.0.1:{example.http}"
        services = {
            "lesion": {"adapter": "rest-push", "url": f"{url}/infer", "version": "1"},
            "broken": {"adapter": "rest-push", "url": f"{url}/nowhere", "attempts": 1},
            # Nobody listens there: it is tried again for a long time.
            "away": {"adapter": "rest-push", "url": f"http://127.0.0.1:{tools.find_free_port()}"},
        }
        directory = tmp_path_factory.mktemp("site")
        more: dict[str, Any] = {"plugin": plugins(web), "ai": {"poll_steps": 0.3}, "port": port}
        opened = tools.open_site(directory, services, rules=RULES, plugins=("sop-ups",), **more)
        with opened as site:
            yield Place(site, web, port)


def test_a_work_item_is_claimed_performed_and_completed_with_its_results(
    place: Place, tools: Any
) -> None:
    """PS3.4 CC.2.5 to CC.2.1: what it names is asked about, and it names what came of that."""
    images = tools.make_series()
    study = str(images[0].StudyInstanceUID)
    place.site.store(images)
    given = [named(images[0], *images[1:])]
    uid = create(place.port, work_item(InputInformationSequence=given))
    # Not ready, or of other work: nobody's yet.
    waits = create(place.port, work_item(InputReadinessState="INCOMPLETE", StudyInstanceUID=study))
    other = work_item(ScheduledWorkitemCodeSequence=[code("LUNG")], StudyInstanceUID=study)
    others = create(place.port, other)
    step = end(place.web, uid)
    assert step[STATE]["Value"] == ["COMPLETED"]
    (request,) = place.site.requests(study_uid=study)
    assert request.asked_by == f"work item {uid}"
    assert request.priority == 1
    assert {e.instance_uid for e in request.inputs} == {e.SOPInstanceUID for e in images[1:]}
    (performed,) = step[PERFORMED]["Value"]
    output = performed[OUTPUT]["Value"]
    answered = {
        reference["00081155"]["Value"][0]
        for each in output
        for reference in each[REFERENCED]["Value"]
    }
    found = place.site.instances(study)
    assert {found[each] for each in answered} == RESULTS
    assert {read(place.web, each)[STATE]["Value"][0] for each in (waits, others)} == {"SCHEDULED"}
    # The same again: its model is not asked twice, and the item has the results.
    again = end(place.web, create(place.port, work_item(InputInformationSequence=given)))
    (performed,) = again[PERFORMED]["Value"]
    assert len(performed[OUTPUT]["Value"]) == len(output)
    assert len(place.site.requests(study_uid=study)) == 1


def test_a_work_item_that_cannot_be_done_is_canceled_and_says_why(place: Place, tools: Any) -> None:
    images = tools.make_series(1)
    study = str(images[0].StudyInstanceUID)
    place.site.store(images)
    unknown = work_item(StudyInstanceUID="1.2.3.4.5")
    broken = work_item(
        ProcedureStepLabel="Broken today",
        ScheduledWorkitemCodeSequence=[code("OTHER")],
        StudyInstanceUID=study,
    )
    for step, reason in ((unknown, "1.2.3.4.5 has nothing"), (broken, "request")):
        ended = end(place.web, create(place.port, step))
        assert ended[STATE]["Value"] == ["CANCELED"]
        (progress,) = ended[PROGRESS]["Value"]
        assert reason in progress[REASON]["Value"][0]
    # Wanted once more, the service is asked once more.
    assert len(place.site.requests(study_uid=study)) == 1
    end(place.web, create(place.port, broken))
    assert [e.state for e in place.site.requests(study_uid=study)] == ["failed", "failed"]


def test_a_work_item_that_is_not_wanted_any_more_is_canceled(place: Place, tools: Any) -> None:
    """PS3.4 CC.2.2: the node performs it, and hears that somebody wants it canceled."""
    images = tools.make_series(1)
    study = str(images[0].StudyInstanceUID)
    place.site.store(images)
    other = [code("OTHER")]
    step = work_item(
        ProcedureStepLabel="Away", ScheduledWorkitemCodeSequence=other, StudyInstanceUID=study
    )
    uid = create(place.port, step)
    until(lambda: place.site.requests(study_uid=study), 120)
    assert request_cancel(place.port, uid, ReasonForCancellation="the patient has left") == 0
    ended = end(place.web, uid)
    assert ended[STATE]["Value"] == ["CANCELED"]
    (progress,) = ended[PROGRESS]["Value"]
    assert progress[REASON]["Value"] == ["the patient has left"]
    (request,) = place.site.requests(study_uid=study)
    assert (request.state, request.reason) == ("cancelled", "cancelled by PLANNER")
    again = request_cancel(place.port, uid, ReasonForCancellation="the patient has left")
    assert again == 0xB304  # it is canceled already


@pytest.mark.long
def test_a_node_that_is_killed_while_it_performs_a_work_item_goes_on_with_it(
    tools: Any, tmp_path: Any
) -> None:
    """SIGKILL while the service works: the next node holds the same item, and completes it."""
    images, directory = tools.make_series(), tmp_path / "data"
    web, port, served = (tools.find_free_port() for _ in range(3))
    service = {"adapter": "rest-push", "url": f"http://127.0.0.1:{port}/infer"}
    own: dict[str, Any] = {"services": {"lesion": service}, "rules": RULES[:1], "poll_steps": 0.3}
    tables = {
        "node": {"port": served},
        "plugin": {"ai": own, "jobs": {"lease": 3.0, "poll": 0.1}, **plugins(web)},
    }
    given = (*tools.PLUGINS, "sop-ups")
    with (
        tools.run_example("--http", str(port), "--delay", "60"),
        node_process(directory, tables, plugins=given) as node,
    ):
        tools.Site(node).store(images)
        uid = create(served, work_item(InputInformationSequence=[named(images[0])]))
        until(lambda: PROGRESS in read(web, uid) and "Value" in read(web, uid)[PROGRESS], 120)
        assert read(web, uid)[STATE]["Value"] == ["IN PROGRESS"]
        node.kill()
    with (
        tools.run_example("--http", str(port)),
        node_process(directory, tables, plugins=given) as node,
    ):
        step = end(web, uid)
        assert step[STATE]["Value"] == ["COMPLETED"], step
        (performed,) = step[PERFORMED]["Value"]
        assert len(performed[OUTPUT]["Value"]) == 2
