"""The example behind each adapter, killed at work, slow, or with a node that is killed."""

from copy import deepcopy
from typing import Any

import httpx
from pacs_jobs.api import JobQueue, NewJob
from pacs_sop_ups.api import UnifiedProcedureSteps
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pacs_core.dataset import tag_of
from pacs_core.testing.node import node_process
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
            until(lambda: working(http) == 3, 120)
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


def hurry(*examples: Any) -> None:
    """Have services take no more time than they need."""
    for each in examples:
        url = f"http://127.0.0.1:{each.http}/hurry"
        assert httpx.post(url, trust_env=False, timeout=60).status_code == 204


def working(http: int) -> int:
    """Return how many requests a service works on."""
    url = f"http://127.0.0.1:{http}/health"
    return int(httpx.get(url, trust_env=False, timeout=60).json()["working"])


def test_whatever_the_adapter_a_service_that_is_too_slow_is_not_waited_for(
    tools: Any, tmp_path: Any
) -> None:
    """What it still answers is not archived; asked again, when it is quick, it answers once."""
    web, port, http, dicom = (tools.find_free_port() for _ in range(4))
    base, url = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{web}/dicom-web"
    over_http = {"timeout": 2.0, "attempts": 2, "breaker": 1000}
    services = {
        "push": {"adapter": "rest-push", "url": f"{base}/infer", **over_http},
        "frames": {"adapter": "rest-push", "url": f"{base}/infer", "send": "frames", **over_http},
        "pull": {"adapter": "dicomweb-pull", "url": f"{base}/pull", **over_http},
        "dimse": {"adapter": "dimse", "peer": "example", "answer_within": 2.0},
        "steps": {
            "adapter": "ups", "code": CODE, "results_from": ["AI_STEPS"], "answer_within": 2.0,
        },
    }  # fmt: skip
    peers = {"example": {"ae_title": "AI_EXAMPLE", "host": "127.0.0.1", "port": dicom}}
    archive = ("--archive", f"PACS@127.0.0.1:{port}", "--delay", "600")
    patient = {
        name: {k: v for k, v in service.items() if k not in {"timeout", "answer_within"}}
        for name, service in services.items()
    }
    own = {
        "peers": peers,
        "port": port,
        "plugins": ("sop-ups",),
        "plugin": {"web": {"port": web}, "sop-ups": {}},
        "ai": {"dicomweb_url": url},
    }
    studies = {name: tools.make_series() for name in services}
    uids = {name: str(images[0].StudyInstanceUID) for name, images in studies.items()}
    with (
        tools.run_example("--http", str(http), "--dicom", str(dicom), *archive) as one,
        tools.run_example(
            "--http", "0", "--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS", *archive
        ) as other,
    ):
        with tools.open_site(tmp_path / "data", services, **deepcopy(own)) as site:
            for images in studies.values():
                site.store(images)
            _check_that_none_is_waited_for(site, services, uids, one, other)
        with tools.open_site(tmp_path / "data", patient, **deepcopy(own)) as site:
            for name, uid in uids.items():
                request = site.finish(site.ask(name, uid, again=True).number)
                assert request.state == "answered", (name, request.reason)
                until(lambda uid=uid: set(site.instances(uid).values()) >= RESULTS, 120)
                assert len(site.instances(uid)) == len(studies[name]) + 2, name


def _check_that_none_is_waited_for(
    site: Any, services: dict[str, Any], uids: dict[str, str], one: Any, other: Any
) -> None:
    asked = {name: site.ask(name, uid).number for name, uid in uids.items()}
    queue = site.node.node.opened.node.find(JobQueue)
    for name, number in asked.items():
        if "timeout" in services[name]:
            request = site.finish(number)
            assert (request.state, request.reason) == ("failed", "no answer in 2 s"), name
            assert request.attempts == 2
            continue
        until(lambda number=number: site.finish(number, "asked", "failed"), 120)
        site.node.call(queue.enqueue, NewJob("ai.upkeep", {}))
        request = site.finish(number)
        assert (request.state, request.reason) == ("failed", "no result in 2 s"), name
    assert not site.results()
    hurry(one, other)
    until(lambda: working(one.http) == 0, 120)
    for name in ("dimse", "steps"):
        until(lambda name=name: len(site.results(study_uid=uids[name])) == 2, 120)
        late = site.results(study_uid=uids[name])
        assert {each.state for each in late} == {"quarantined"}


def test_whatever_the_adapter_a_node_that_is_killed_has_the_answer_once(
    tools: Any, tmp_path: Any
) -> None:
    """SIGKILL of the node while all of them work; they end while it is away."""
    web, port, http, dicom = (tools.find_free_port() for _ in range(4))
    base, url = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{web}/dicom-web"
    services = {
        "push": {"adapter": "rest-push", "url": f"{base}/infer"},
        "frames": {"adapter": "rest-push", "url": f"{base}/infer", "send": "frames"},
        "pull": {"adapter": "dicomweb-pull", "url": f"{base}/pull"},
        "dimse": {"adapter": "dimse", "peer": "example"},
        "steps": {"adapter": "ups", "code": CODE, "results_from": ["AI_STEPS"]},
    }
    parts = dict(zip(services, ("CHEST", "HEAD", "NECK", "PELVIS", "HAND"), strict=True))
    studies = {name: tools.make_series(BodyPartExamined=part) for name, part in parts.items()}
    rules = [
        {"service": name, "where": {"BodyPartExamined": part}, "least": len(studies[name])}
        for name, part in parts.items()
    ]
    peers = {"example": {"ae_title": "AI_EXAMPLE", "host": "127.0.0.1", "port": dicom}}
    plugin = {"web": {"port": web}, "sop-ups": {}}
    own = {"dicomweb_url": url, "first_pause": 0.2, "longest_pause": 0.5}
    tables = {
        "node": {"port": port},
        "plugin": {
            "ai": {"services": services, "rules": rules, **own},
            "jobs": {"lease": 20.0, "poll": 0.1},
            **plugin,
        },
        "archive": {"study_quiet_time": 1.0},
        "peers": peers,
    }
    archive = ("--archive", f"PACS@127.0.0.1:{port}", "--delay", "600")
    with (
        tools.run_example("--http", str(http), "--dicom", str(dicom), *archive) as one,
        tools.run_example(
            "--http", "0", "--worklist", "LESION^99TEST", "--ae-title", "AI_STEPS", *archive
        ) as other,
    ):
        given = (*tools.PLUGINS, "sop-ups")
        with node_process(tmp_path / "data", tables, plugins=given) as node:
            for images in studies.values():
                tools.Site(node).store(images)

            def states() -> dict[str, str]:
                listed = httpx.get(
                    f"http://127.0.0.1:{web}/api/ai/requests", trust_env=False, timeout=60
                )
                return {each["service"]: each["state"] for each in listed.json()["requests"]}

            def is_performed() -> bool:
                wanted = {"ProcedureStepState": "IN PROGRESS"}
                found = httpx.get(f"{url}/workitems", params=wanted, trust_env=False, timeout=60)
                return found.status_code == 200

            later = {"dimse": "asked", "steps": "asked"}
            until(lambda: states() == {**dict.fromkeys(services, "waiting"), **later}, 120)
            # Whose lease was lost on a busy machine is asked again: there may be more.
            until(lambda: working(http) >= 3, 120)
            until(is_performed, 120)
            node.kill()
        hurry(one, other)
        with tools.open_site(
            tmp_path / "data",
            services,
            rules=rules,
            peers=peers,
            port=port,
            plugins=("sop-ups",),
            plugin=plugin,
            ai={"dicomweb_url": url},
        ) as site:
            for name, images in studies.items():
                study = str(images[0].StudyInstanceUID)
                (request,) = site.requests(study_uid=study)
                request = site.finish(request.number)
                assert request.state == "answered", (name, request.reason)
                until(lambda study=study: set(site.instances(study).values()) >= RESULTS, 120)
                assert len(site.instances(study)) == len(images) + 2, name
                results = site.results(request=request.number)
                assert [each.state for each in results] == ["archived"] * 2, (name, results)
            queue = site.node.node.opened.node.find(JobQueue)
            site.node.call(queue.enqueue, NewJob("ai.upkeep", {}))
            answers = tmp_path / "data" / "ai" / "answers"
            until(lambda: not any(answers.iterdir()), 120)
