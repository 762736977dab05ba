"""The connector with the example service: over HTTP and DIMSE, killed and slowed during work."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from attrs import frozen
from pacs_jobs.api import JobFilter, JobQueue
from pacs_sop_ups.api import UnifiedProcedureSteps
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pacs_core.dataset import tag_of
from pacs_core.testing.waiting import until

RESULTS = {SegmentationStorage, ComprehensiveSRStorage}


@frozen
class Place:
    """The site, and the service."""

    site: Any
    example: Any


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    port = tools.find_free_port()
    serving = ("--http", "0", "--dicom", "0", "--archive", f"PACS@127.0.0.1:{port}")
    with tools.run_example(*serving) as example:
        services = {
            "lesion": {
                "adapter": "rest-push",
                "url": f"http://127.0.0.1:{example.http}/infer",
                "version": "1.0.0",
                "concurrency": 2,
            },
            "lesion-dimse": {"adapter": "dimse", "peer": "example", "version": "1.0.0"},
            "small": {
                "adapter": "rest-push",
                "url": f"http://127.0.0.1:{example.http}/infer",
                "results_from": ["AI_SMALL"],
                "max_size": 20_000,
            },
            "steps": {
                "adapter": "ups",
                "code": ["LESION", "99TEST", "Find lesions"],
                "results_from": ["AI_STEPS"],
            },
        }
        peers = {"example": {"ae_title": "AI_EXAMPLE", "host": "127.0.0.1", "port": example.dicom}}
        where = {"Modality": "CT", "BodyPartExamined": "CHEST"}
        rules = [{"service": "lesion", "where": where, "sources": ["CT?"]}]
        directory = tmp_path_factory.mktemp("site")
        opened = tools.open_site(
            directory,
            services,
            rules=rules,
            peers=peers,
            port=port,
            plugins=("sop-ups", "sop-query-retrieve"),
        )
        with opened as site:
            yield Place(site, example)


def test_a_complete_study_is_asked_about_once_and_its_results_stand_beside_it(
    place: Place, tools: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results make the study complete again; they are no reason to ask again, and no input."""
    site, images = place.site, tools.make_series()
    study = images[0].StudyInstanceUID
    *images, besides = images
    assert site.store([besides], "WORKSTATION") == [0]  # of which no rule is about
    assert site.store(images) == [0] * len(images)
    until(lambda: site.requests(study_uid=study), 120)
    (request,) = site.requests(study_uid=study)
    request = site.finish(request.number)
    assert request.state == "answered", request.reason
    assert {each.instance_uid for each in request.inputs} == {i.SOPInstanceUID for i in images}
    images = [*images, besides]
    found = site.instances(study)
    assert set(found.values()) >= RESULTS
    assert len(found) == len(images) + 2
    results = site.results(request=request.number)
    assert {each.state for each in results} == {"archived"}
    assert "Largest bright component 1.0.0 (pacs-core)" in {each.algorithm for each in results}
    # Asking again finds the request that there is, until it is wanted again.
    assert site.ask("lesion", study).number == request.number
    again = site.finish(site.ask("lesion", study, again=True).number)
    assert again.state == "answered"
    assert len(site.instances(study)) == len(images) + 4
    capsys.readouterr()
    assert site.run("ai", "show", str(request.number), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert {each["instance"] for each in shown["results"]} <= found.keys()
    assert len(shown["inputs"]) == len(images) - 1
    assert shown["version"] == "1.0.0"


def test_results_come_back_by_c_store(place: Place, tools: Any) -> None:
    site, images = place.site, tools.make_series(BodyPartExamined="HEAD")
    study = images[0].StudyInstanceUID
    site.store(images)
    request = site.finish(site.ask("lesion-dimse", study).number)
    assert request.state == "answered", request.reason
    until(lambda: len(site.results(request=request.number)) == 2, 120)
    until(lambda: set(site.instances(study).values()) >= RESULTS, 120)
    # What comes from the service and nobody has asked for is no result of anything.
    others = tools.make_series()
    statuses = site.store(others[:1], calling="AI_EXAMPLE")
    assert statuses == [0xA900]
    (stray,) = site.results(study_uid=others[0].StudyInstanceUID)
    assert (stray.state, stray.request) == ("quarantined", 0)
    assert any(reason.startswith("unasked") for reason in stray.reasons)
    assert not site.instances(others[0].StudyInstanceUID)


def test_what_is_too_large_for_a_result_is_in_quarantine_also_by_c_store(
    place: Place, tools: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A900H with the reason, and the next one is taken; who has looked at it has it archived."""
    site = place.site
    images = tools.make_series(1, BodyPartExamined="HEAD")
    study = str(images[0].StudyInstanceUID)
    site.store(images)
    site.finish(site.ask("small", study).number)
    results = []
    for size in (30_000, 60_000, 100):
        (result,) = tools.make_series(1)
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "StudyID"):
            setattr(result, keyword, images[0].get(keyword))
        result.ContentDate, result.Manufacturer = "20260103", "ACME"
        result.ManufacturerModelName, result.SoftwareVersions = "Small", "1"
        result.add_new(0x00090010, "LO", "ACME")
        result.add_new(0x00091001, "UN", bytes(size))
        results.append(result)
    assert site.store(results, calling="AI_SMALL") == [0xA900, 0xA900, 0]
    found = {each.instance_uid: each for each in site.results(study_uid=study)}
    large, cut, _ = (found.get(str(each.SOPInstanceUID)) for each in results)
    assert large.reasons == ("size: it is larger than 20000 bytes",)
    assert cut is None  # its header is not whole, so that nobody knows its UID
    assert site.run("ai", "list", "--state", "quarantined", "--service", "small") == 0
    assert "it was not taken further than 40000 bytes" in capsys.readouterr().out
    assert site.run("ai", "release", str(large.number)) == 0
    assert str(results[0].SOPInstanceUID) in site.instances(study)


def test_a_work_item_is_performed_without_http(place: Place, tools: Any) -> None:
    """IHE AIW-I over DIMSE alone: the inputs are read by C-GET, since there is no DICOMweb."""
    site, images = place.site, tools.make_series(BodyPartExamined="HEAD")
    study = images[0].StudyInstanceUID
    site.store(images)
    request = site.ask("steps", study)
    serving = ("--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS")
    with tools.run_example(*serving, "--archive", f"PACS@127.0.0.1:{site.node.port}"):
        assert site.finish(request.number).state == "answered"
        until(lambda: set(site.instances(study).values()) >= RESULTS, 120)
    assert [each.state for each in site.results(request=request.number)] == ["archived"] * 2


def test_a_work_item_that_is_performed_may_be_unwanted(place: Place, tools: Any) -> None:
    """PS3.4 CC.2.2.3: its performer may go on; what it then stores nobody has asked for."""
    site, images = place.site, tools.make_series(BodyPartExamined="HEAD")
    study = images[0].StudyInstanceUID
    site.store(images)
    request = site.finish(site.ask("steps", study).number, "asked")
    serving = ("--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS", "--delay", "8")
    node = site.node.node.opened.node
    steps, state = node.find(UnifiedProcedureSteps), tag_of("ProcedureStepState")

    def state_of_step() -> Any:
        return site.node.call(steps.find, request.note.split()[-1]).attributes[state]

    with tools.run_example(*serving, "--archive", f"PACS@127.0.0.1:{site.node.port}"):
        until(lambda: state_of_step() == ("IN PROGRESS",), 120)
        site.node.call(site.inferences.cancel, request.number, "somebody")
        until(lambda: len(site.results(study_uid=study)) == 2, 120)
        until(lambda: state_of_step() == ("COMPLETED",), 120)
    results = site.results(study_uid=study)
    assert {each.state for each in results} == {"quarantined"}
    assert all("unasked" in " ".join(each.reasons) for each in results)
    cancelled = site.finish(request.number)
    assert (cancelled.state, cancelled.reason) == ("cancelled", "cancelled by somebody")
    assert cancelled.note.endswith("is not canceled: nobody has subscribed to the step")
    assert len(site.instances(study)) == len(images)
    jobs = site.node.call(_jobs_of, node, "ai.cancel")
    assert {str(each.state) for each in jobs} <= {"waiting", "running", "succeeded"}, jobs


def test_a_performer_that_has_subscribed_is_told_of_work_items_and_that_one_is_not_wanted(
    place: Place, tools: Any
) -> None:
    """PS3.4 CC.2.3, CC.2.4: on an association that it holds, for the node does not know it."""
    site, images = place.site, tools.make_series(BodyPartExamined="HEAD")
    study = str(images[0].StudyInstanceUID)
    site.store(images)
    serving = ("--http", "0", "--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS")
    archive = ("--archive", f"PACS@127.0.0.1:{site.node.port}")
    steps, state = site.node.node.opened.node.find(UnifiedProcedureSteps), "ProcedureStepState"

    def attributes_of(number: int) -> Any:
        uid = site.finish(number, "asked", "cancelled", "answered").note.split()[2]
        return site.node.call(steps.find, uid).attributes

    with tools.run_example(*serving, *archive, "--subscribe", "--delay", "600") as example:
        unwanted = site.ask("steps", study)
        until(lambda: attributes_of(unwanted.number)[tag_of(state)] == ("IN PROGRESS",), 120)
        site.node.call(site.inferences.cancel, unwanted.number, "somebody")
        until(lambda: attributes_of(unwanted.number)[tag_of(state)] == ("CANCELED",), 120)
        (progress,) = attributes_of(unwanted.number)[
            tag_of("ProcedureStepProgressInformationSequence")
        ]
        assert progress[tag_of("ReasonForCancellation")] == ("it is not wanted any more",)
        assert not site.results(study_uid=study)
        url = f"http://127.0.0.1:{example.http}/hurry"
        assert httpx.post(url, trust_env=False, timeout=60).status_code == 204
        wanted = site.finish(site.ask("steps", study, again=True).number)
        assert wanted.state == "answered", wanted.reason
        until(lambda: len(site.results(request=wanted.number)) == 2, 120)
    assert [each.state for each in site.results(request=wanted.number)] == ["archived"] * 2


async def _jobs_of(node: Any, kind: str) -> Any:
    return [job async for job in node.find(JobQueue).jobs(JobFilter(kinds=(kind,)))]


def test_a_service_that_is_killed_and_slow_loses_nothing_and_blocks_nobody(
    place: Place, tools: Any, tmp_path: Any
) -> None:
    """Killed while it works, away for a while, back again: the answer comes; others go on."""
    port = tools.find_free_port()
    url = f"http://127.0.0.1:{port}/infer"
    services = {
        "slow": {"adapter": "rest-push", "url": url, "attempts": 5, "breaker": 2},
        "quick": {"adapter": "rest-push", "url": f"http://127.0.0.1:{place.example.http}/infer"},
    }
    with tools.open_site(tmp_path / "data", services) as site:
        images = tools.make_series()
        study = images[0].StudyInstanceUID
        site.store(images)
        with tools.run_example("--http", str(port), "--delay", "60") as slow:
            request = site.ask("slow", study)
            until(lambda: site.finish(request.number, "waiting").asked, 120)
            cancelled = site.ask("slow", study, again=True)
            site.node.call(site.inferences.cancel, cancelled.number, "somebody")
            assert site.finish(site.ask("quick", study).number).state == "answered"
            assert site.finish(request.number, "waiting").state == "waiting"
            slow.kill()
        until(lambda: site.finish(request.number, "waiting").reason, 120)
        breakers = site.node.call(_breakers, site)
        until(lambda: "slow" in site.node.call(_breakers, site), 120)
        assert "quick" not in breakers
        with tools.run_example("--http", str(port)):
            assert site.finish(request.number).state == "answered"
        assert "slow" not in site.node.call(_breakers, site)
        assert site.finish(cancelled.number).state == "cancelled"
        assert not site.results(request=cancelled.number)


async def _breakers(site: Any) -> Any:
    from pacs_ai.desk import AiDesk

    return await site.node.node.opened.node.find(AiDesk).breakers.opened()


@pytest.mark.long
def test_a_node_that_is_killed_while_a_service_works_asks_it_again(
    place: Place, tools: Any, tmp_path: Any
) -> None:
    """SIGKILL between the request and its answer: the next node has the results, once."""
    from pacs_core.testing.node import node_process

    images, directory = tools.make_series(), tmp_path / "data"
    study, port = str(images[0].StudyInstanceUID), tools.find_free_port()
    service = {"adapter": "rest-push", "url": f"http://127.0.0.1:{port}/infer"}
    tables = {
        "plugin": {
            "ai": {"services": {"lesion": service}, "rules": [{"service": "lesion"}]},
            "jobs": {"lease": 3.0, "poll": 0.1},
        },
        "archive": {"study_quiet_time": 1.0},
    }
    with (
        tools.run_example("--http", str(port), "--delay", "60") as slow,
        node_process(directory, tables, plugins=tools.PLUGINS) as node,
    ):
        tools.Site(node).store(images)
        trail = directory / "audit"
        until(lambda: any(b"ai.asked" in f.read_bytes() for f in trail.rglob("*.jsonl")), 120)
        node.kill()
        slow.kill()
    with tools.run_example("--http", str(port)):
        own = {"services": {"lesion": service}, "rules": [{"service": "lesion"}]}
        with tools.open_site(directory, own["services"], rules=own["rules"]) as site:
            until(lambda: site.requests(study_uid=study), 120)
            (request,) = site.requests(study_uid=study)
            assert site.finish(request.number).state == "answered"
            assert len(site.instances(study)) == len(images) + 2
