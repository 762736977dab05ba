"""The example service behind each adapter, killed while it works, and slow when it is back."""

from typing import Any

import httpx
from pacs_sop_ups.api import UnifiedProcedureSteps
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pacs_core.dataset import tag_of
from pacs_core.testing.waiting import until

RESULTS = {SegmentationStorage, ComprehensiveSRStorage}
CODE = ["LESION", "99TEST", "Find lesions"]
STATE = tag_of("ProcedureStepState")


def test_whatever_the_adapter_a_service_that_is_killed_at_work_has_answered_in_the_end(
    tools: Any, tmp_path: Any
) -> None:
    """Over HTTP it is asked again; what it has taken over DIMSE it finds when it is back."""
    web, port, http, dicom = (tools.find_free_port() for _ in range(4))
    base, url = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{web}/dicom-web"
    services = {
        "push": {"adapter": "rest-push", "url": f"{base}/infer", "attempts": 5},
        "frames": {
            "adapter": "rest-push", "url": f"{base}/infer", "attempts": 5, "send": "frames",
        },
        "pull": {"adapter": "dicomweb-pull", "url": f"{base}/pull", "attempts": 5},
        "dimse": {"adapter": "dimse", "peer": "example"},
        "steps": {"adapter": "ups", "code": CODE, "results_from": ["AI_STEPS"]},
    }  # fmt: skip
    peers = {"example": {"ae_title": "AI_EXAMPLE", "host": "127.0.0.1", "port": dicom}}
    archive = ("--archive", f"PACS@127.0.0.1:{port}", "--state", str(tmp_path / "state"))
    serving = ("--http", str(http), "--dicom", str(dicom), *archive)
    steps = ("--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS", *archive)
    with tools.open_site(
        tmp_path / "data",
        services,
        peers=peers,
        port=port,
        plugins=("sop-ups",),
        plugin={"web": {"port": web}, "sop-ups": {}},
        ai={"dicomweb_url": url},
    ) as site:
        studies = {name: tools.make_series() for name in services}
        for images in studies.values():
            site.store(images)

        def request_of(number: int) -> Any:
            return site.node.call(site.inferences.find, number)

        def step_of(number: int) -> Any:
            steps = site.node.node.opened.node.find(UnifiedProcedureSteps)
            uid = request_of(number).note.split()[-1]
            return site.node.call(steps.find, uid).attributes[STATE]

        slow = ("--delay", "600")  # longer than any machine takes to get there
        with tools.run_example(*serving, *slow) as one, tools.run_example(*steps, *slow) as other:
            asked = {
                name: site.ask(name, str(images[0].StudyInstanceUID)).number
                for name, images in studies.items()
            }
            site.finish(asked["dimse"], "asked")
            site.finish(asked["steps"], "asked")
            until(lambda: step_of(asked["steps"]) == ("IN PROGRESS",), 120)
            health = f"{base}/health"
            until(lambda: httpx.get(health, trust_env=False).json() == {"working": 3}, 120)
            until(lambda: any((tmp_path / "state" / "dicom").glob("*[!t]")), 120)
            one.kill()
            other.kill()
        assert {request_of(number).state for number in asked.values()} <= {"waiting", "asked"}
        assert not site.results()
        late = ("--delay", "1")
        with tools.run_example(*serving, *late), tools.run_example(*steps, *late):
            for name, number in asked.items():
                request = site.finish(number)
                assert request.state == "answered", (name, request.reason)
                study = str(studies[name][0].StudyInstanceUID)
                until(lambda study=study: set(site.instances(study).values()) >= RESULTS, 120)
                results = site.results(request=number)
                assert [each.state for each in results] == ["archived"] * 2, (name, results)
            until(lambda: step_of(asked["steps"]) == ("COMPLETED",), 120)
