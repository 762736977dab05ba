"""Services that read and store by DICOMweb, claim work items, or see pseudonyms; assessments."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from attrs import define
from pacs_ai.api import RequestState
from pacs_ai.desk import AiDesk
from pacs_ai.tokens import make_token
from pacs_ai_example.results import infer, write
from pacs_sop_ups.api import StepState, UnifiedProcedureSteps
from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pacs_core.contracts import SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.waiting import until

RESULTS = {SegmentationStorage, ComprehensiveSRStorage}


@define
class Place:
    """The site, and its DICOMweb."""

    site: Any
    url: str
    taps: dict[str, Any]
    """What services with pseudonyms were told."""

    def study(self, tools: Any, **values: Any) -> tuple[str, list[Dataset]]:
        images = tools.make_series(**values)
        self.site.store(images)
        return str(images[0].StudyInstanceUID), images

    def search(self, path: str, token: str = "") -> httpx.Response:
        headers = {"Accept": "application/dicom+json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{self.url}/{path}", headers=headers, timeout=60, trust_env=False)


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    web, port = tools.find_free_port(), tools.find_free_port()
    serving = ("--http", "0", "--dicom", "0", "--archive", f"PACS@127.0.0.1:{port}")
    with (
        tools.run_example(*serving) as example,
        tools.tap(example.http) as over_http,
        tools.tap(example.dicom) as over_dimse,
    ):
        base = f"http://127.0.0.1:{example.http}"
        services = {
            "puller": {"adapter": "dicomweb-pull", "url": f"{base}/pull"},
            "worker": {
                "adapter": "ups",
                "code": ["LESION", "99TEST", "Find lesions"],
                "results_from": ["AI_WORKER"],
                "unassessed": "hide",
            },
            "hider": {"adapter": "rest-push", "url": f"{base}/infer", "unassessed": "hide"},
            "marker": {"adapter": "rest-push", "url": f"{base}/infer", "unassessed": "mark"},
            "stranger": {
                "adapter": "rest-push",
                "url": f"http://127.0.0.1:{over_http.port}/infer",
                "deidentify": "trial",
                "attempts": 1,
            },
            "stranger-dimse": {"adapter": "dimse", "peer": "example", "deidentify": "trial"},
        }
        peers = {
            "example": {"ae_title": "AI_EXAMPLE", "host": "127.0.0.1", "port": over_dimse.port}
        }
        plugin = {
            "web": {"port": web},
            "sop-ups": {},
            "deidentify": {
                "profiles": {"trial": {"options": ["retain-modified-dates"]}},
            },
        }
        url = f"http://127.0.0.1:{web}/dicom-web"
        with tools.open_site(
            tmp_path_factory.mktemp("site"),
            services,
            peers=peers,
            port=port,
            plugins=("sop-ups", "deidentify"),
            plugin=plugin,
            ai={"dicomweb_url": url},
        ) as site:
            yield Place(site, url, {"stranger": over_http, "stranger-dimse": over_dimse})


def test_a_service_reads_and_stores_with_a_token_for_what_it_was_asked_about(
    place: Place, tools: Any
) -> None:
    site = place.site
    study, images = place.study(tools)
    other, _ = place.study(tools)
    request = site.finish(site.ask("puller", study).number)
    assert request.state == "answered", request.reason
    assert set(site.instances(study).values()) >= RESULTS
    assert {r.state for r in site.results(request=request.number)} == {"archived"}

    async def new_token() -> str:
        desk = site.node.node.opened.node.find(AiDesk)
        await desk.records.change(request.number, RequestState, state="asked")
        return await make_token(desk, request)

    token = site.node.call(new_token)
    series = str(images[0].SeriesInstanceUID)
    (found,) = place.search("series", token).json()
    assert found["0020000E"]["Value"] == [series]
    assert place.search(f"studies/{other}/metadata", token).status_code == 404
    assert len(place.search("studies").json()) >= 2
    # Whatever it stores is a result, and no way into other studies.
    body = write(tools.make_series(1)[0])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/dicom"}
    answer = httpx.post(
        f"{place.url}/studies", content=body, headers=headers, timeout=60, trust_env=False
    )
    assert answer.status_code == 409
    assert site.results(request=request.number)[0].state == "quarantined"
    assert place.search("series", token + "x").status_code == 401

    async def end() -> None:
        desk = site.node.node.opened.node.find(AiDesk)
        await desk.records.change(request.number, RequestState, state="cancelled")

    site.node.call(end)
    assert place.search("series", token).status_code == 401


def test_a_work_item_is_claimed_and_its_results_hidden_until_they_are_assessed(
    place: Place, tools: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    site = place.site
    study, images = place.study(tools)
    request = site.finish(site.ask("worker", study).number, "asked")
    node = site.node.node.opened.node
    steps = node.find(UnifiedProcedureSteps)

    async def claim() -> Any:
        condition = SingleValue(tag_of("StudyInstanceUID"), study)
        (step,) = [each async for each in steps.search((condition,))]
        uid = step.instance_uid
        await steps.change_state(uid, StepState.IN_PROGRESS, "1.2.3.4")
        return step

    step = site.node.call(claim)
    (item,) = step.attributes[tag_of("InputInformationSequence")]
    assert len(item[tag_of("ReferencedSOPSequence")]) == len(images)
    results = [dcmread(BytesIO(each)) for each in infer([write(i) for i in images])]
    assert site.store(results, calling="AI_WORKER") == [0, 0]
    assert site.finish(request.number).state == "answered"
    segmentation, report = (str(each.SOPInstanceUID) for each in results)

    def seen() -> set[str]:
        answer = place.search(f"studies/{study}/instances")
        return {each["00080018"]["Value"][0] for each in answer.json()}

    assert len(seen()) == len(images)
    assert place.search(f"studies/{study}/series").json()[0]["00080060"]["Value"] == ["CT"]
    numbers = {r.instance_uid: str(r.number) for r in site.results(request=request.number)}
    wanted = ("accepted", "--comment", "seen on both slices")
    assert site.run("ai", "assess", numbers[segmentation], *wanted) == 0
    assert site.run("ai", "assess", numbers[report], "rejected") == 0
    until(lambda: segmentation in seen())
    assert report not in seen()
    api = place.url.replace("dicom-web", "api/ai")
    said = {"assessment": "modified", "comment": "its edge was smoothed"}
    path = f"{api}/results/{numbers[segmentation]}/assess"
    answer = httpx.post(path, json=said, timeout=60, trust_env=False)
    assert answer.json()["assessment"] == "modified", answer.text
    assert httpx.post(path, json={"assessment": "fine"}, trust_env=False).status_code == 400
    shown = httpx.get(f"{api}/requests/{request.number}", timeout=60, trust_env=False).json()
    assert {each["instance"] for each in shown["results"]} == {segmentation, report}
    (latest,) = [r for r in site.results(study_uid=study) if r.instance_uid == segmentation]
    assert latest.assessment == "modified"
    document = site.read(study, latest.assessment_uid)
    (evidence,) = document.CurrentRequestedProcedureEvidenceSequence
    (about,) = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert about.ReferencedSOPInstanceUID == segmentation
    assert document.PredecessorDocumentsSequence
    capsys.readouterr()
    assert site.run("ai", "list", "--totals", "--service", "worker") == 0
    assert "1 modified" in capsys.readouterr().out
    # What was said of results is no input of the next request.
    again = site.ask("worker", study, again=True)
    assert len(again.inputs) == len(images)
    site.node.call(site.inferences.cancel, again.number, "somebody")


def test_each_finding_is_assessed_by_itself_and_the_document_says_all_that_stands(
    place: Place, tools: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A segment by its number, a measurement group by its UID; over HTTP and by command."""
    site = place.site
    study, _ = place.study(tools)
    request = site.finish(site.ask("puller", study).number)
    until(lambda: set(site.instances(study).values()) >= RESULTS)
    by_class = {r.sop_class_uid: r for r in site.results(request=request.number)}
    segmentation, report = by_class[SegmentationStorage], by_class[ComprehensiveSRStorage]
    api = place.url.replace("dicom-web", "api/ai")

    def findings(number: int) -> list[dict[str, Any]]:
        answer = httpx.get(f"{api}/results/{number}/findings", timeout=60, trust_env=False)
        return answer.json()["findings"]

    def assess(number: int, **body: str) -> httpx.Response:
        path = f"{api}/results/{number}/assess"
        return httpx.post(path, json=body, timeout=60, trust_env=False)

    (segment,), (group,) = findings(segmentation.number), findings(report.number)
    stored = site.read(study, segmentation.instance_uid)
    tracking = stored.SegmentSequence[0].TrackingUID
    assert (segment["finding"], segment["segment"]) == (tracking, 1)
    assert group["label"].startswith("Bright component")
    rejected = assess(
        segmentation.number, finding="1", assessment="rejected", comment="an artefact"
    )
    assert rejected.status_code == 200, rejected.text
    assert rejected.json()["assessment"] == ""  # nobody has judged the whole
    assert assess(segmentation.number, assessment="modified").status_code == 200
    assert assess(segmentation.number, finding="2", assessment="accepted").status_code == 404
    wanted = ("accepted", "--finding", group["finding"], "--comment", "measured again")
    assert site.run("ai", "assess", str(report.number), *wanted) == 0
    (segment,), (group,) = findings(segmentation.number), findings(report.number)
    assert (segment["assessment"], segment["comment"]) == ("rejected", "an artefact")
    assert (group["assessment"], group["comment"]) == ("accepted", "measured again")

    def document(number: int) -> Dataset:
        (result,) = [r for r in site.results(request=request.number) if r.number == number]
        return site.read(study, result.assessment_uid)

    latest = document(segmentation.number)
    assert latest.PredecessorDocumentsSequence
    codes = [
        e.ConceptCodeSequence[0].CodeValue for e in latest.ContentSequence if e.ValueType == "CODE"
    ]
    assert "AI-MODIFIED" in codes
    (container,) = [e for e in latest.ContentSequence if e.ValueType == "CONTAINER"]
    inner = {e.ValueType: e for e in container.ContentSequence}
    assert inner["CODE"].ConceptCodeSequence[0].CodeValue == "AI-REJECTED"
    assert inner["IMAGE"].ReferencedSOPSequence[0].ReferencedSegmentNumber == 1
    assert tracking == inner["UIDREF"].UID
    (container,) = [
        e for e in document(report.number).ContentSequence if e.ValueType == "CONTAINER"
    ]
    assert [e.UID for e in container.ContentSequence if e.ValueType == "UIDREF"] == [
        group["finding"]
    ]
    capsys.readouterr()
    assert site.run("ai", "list", "--totals", "--json") == 0
    totals = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (own,) = [each for each in totals if each["service"] == "puller"]
    assert own["findings"] == {"accepted": 1, "rejected": 1}
    assert own["assessments"] == {"modified": 1}


def described(place: Place, study: str) -> dict[str, str]:
    """Return the Series Description by modality, as QIDO-RS has it."""
    found = place.search(f"studies/{study}/series?includefield=SeriesDescription").json()
    return {
        each["00080060"]["Value"][0]: "".join(each.get("0008103E", {}).get("Value", [""]))
        for each in found
    }


def test_results_are_hidden_until_each_of_their_findings_is_assessed(
    place: Place, tools: Any
) -> None:
    """Each finding rejected: the result is; one of them accepted: it is seen."""
    site = place.site
    study, _ = place.study(tools)
    request = site.finish(site.ask("hider", study).number)
    by_class = {r.sop_class_uid: r for r in site.results(request=request.number)}
    segmentation, report = by_class[SegmentationStorage], by_class[ComprehensiveSRStorage]
    until(lambda: len(site.instances(study)) >= 4)
    assert set(described(place, study)) == {"CT"}
    assert site.run("ai", "assess", str(segmentation.number), "rejected", "--finding", "1") == 0
    assert "SEG" not in described(place, study)
    assert site.run("ai", "assess", str(segmentation.number), "modified", "--finding", "1") == 0
    until(lambda: "SEG" in described(place, study))
    assert site.run("ai", "assess", str(segmentation.number), "rejected") == 0  # of the whole
    until(lambda: "SEG" not in described(place, study))
    assert site.run("ai", "assess", str(report.number), "accepted") == 0
    # The documents of assessments are SR as well, and hidden from nobody.
    assert report.instance_uid in str(place.search(f"studies/{study}/instances").json())


def test_results_are_marked_until_they_are_accepted(place: Place, tools: Any) -> None:
    """The series says so at every door, and what is stored stays (PS3.3 C.12.1.1.9)."""
    site = place.site
    study, _ = place.study(tools)
    request = site.finish(site.ask("marker", study).number)
    by_class = {r.sop_class_uid: r for r in site.results(request=request.number)}
    segmentation = by_class[SegmentationStorage]
    until(lambda: "SEG" in described(place, study))
    own = described(place, study)["SEG"]
    assert own.startswith("AI, not accepted")
    marked = site.read(study, segmentation.instance_uid)
    assert marked.SeriesDescription == own
    (original,) = marked.OriginalAttributesSequence
    before = original.ModifiedAttributesSequence[0].SeriesDescription
    assert own == f"AI, not accepted: {before}"
    number = str(segmentation.number)
    assert site.run("ai", "assess", number, "accepted") == 0
    until(lambda: described(place, study)["SEG"] == before)
    assert site.run("ai", "assess", number, "rejected") == 0
    until(lambda: described(place, study)["SEG"] == own)
    assert site.run("ai", "assess", number, "accepted", "--finding", "1") == 0
    assert described(place, study)["SEG"] == own  # the whole counts
    assert site.run("ai", "assess", number, "modified") == 0
    until(lambda: described(place, study)["SEG"] == before)
    assert "OriginalAttributesSequence" not in site.read(study, segmentation.instance_uid)


@pytest.mark.parametrize("service", ["stranger", "stranger-dimse"])
def test_a_service_sees_pseudonyms_and_its_results_get_their_own_names_again(
    place: Place, tools: Any, service: str
) -> None:
    site = place.site
    identity = {"PatientID": "PAT-4711", "PatientName": "Doe^Jane", "AccessionNumber": "ACC-17"}
    study, images = place.study(tools, **identity)
    request = site.finish(site.ask(service, study).number)
    assert request.state == "answered", request.reason
    told = bytes(place.taps[service].said)
    assert len(told) > sum(len(each.PixelData) for each in images)
    dates = ("PatientBirthDate", "StudyDate")
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    secrets = {str(each[name].value) for each in images for name in (*identity, *dates, *uids)}
    assert [secret for secret in secrets if secret.encode() in told] == []
    until(lambda: len(site.instances(study)) == len(images) + 2, 120)  # rows come before
    results = site.results(request=request.number)
    assert {each.state for each in results} == {"archived"}, [r.reasons for r in results]
    found = {
        str(dataset.SOPClassUID): dataset
        for dataset in (site.read(study, each.instance_uid) for each in results)
    }
    segmentation = found[SegmentationStorage]
    assert segmentation.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    instances = {str(each.SOPInstanceUID) for each in images}
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == images[0].SeriesInstanceUID
    named = {str(e.ReferencedSOPInstanceUID) for e in series.ReferencedInstanceSequence}
    assert named <= instances
    for dataset in found.values():
        assert dataset.StudyInstanceUID == study
        names = (*identity, *dates)
        assert [dataset[n].value for n in names] == [images[0][n].value for n in names]
        assert "OriginalAttributesSequence" not in dataset
