"""What services answer, and when: later, never, not now, not at all; and who is asked first."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from attrs import define, field
from pacs_ai.desk import AiDesk
from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import infer
from pacs_jobs.api import JobQueue, NewJob
from pacs_jobs.table import JOBS
from pacs_sop_ups.api import UnifiedProcedureSteps
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage
from sqlalchemy import update

from pacs_core.dataset import tag_of
from pacs_core.testing.waiting import until

RESULTS = {SegmentationStorage, ComprehensiveSRStorage}
STATE = tag_of("ProcedureStepState")


@define
class Services:
    """What services do, each under a path of its own."""

    asked: dict[str, list[int]] = field(factory=dict)
    stored: list[int] = field(factory=list)
    go_on: threading.Event = field(factory=threading.Event)

    def answer(self, name: str, number: int, headers: Any, body: bytes) -> tuple[int, bytes]:
        """Return the status, and the body, of the answer of a service."""
        times = self.asked.setdefault(name, [])
        times.append(number)
        if name == "later":
            results = infer(list(read_parts(headers["Content-Type"], body)))
            place = (headers["Results-Location"], headers["Results-Token"])
            threading.Thread(target=self.store, args=(*place, results), daemon=True).start()
            return 202, b""
        if name == "queued":
            self.go_on.wait(60)
            return 204, b""
        if name == "slow":
            self.go_on.wait(60)
        busy = 503 if times.count(number) < 3 else 204
        return {"silent": 202, "refusing": 422, "failing": 500, "busy": busy}.get(name, 204), b""

    def store(self, url: str, token: str, results: list[bytes]) -> None:
        self.go_on.wait(60)
        kind, body = write_parts(results)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
        self.stored.append(answer.status_code)


@define
class Place:
    """The site, and its services."""

    site: Any
    services: Services
    tools: Any
    away: int
    """The port of a service that is away."""

    def store(self, **values: Any) -> str:
        self.services.go_on.clear()
        images = self.tools.make_series(**values)
        self.site.store(images)
        return str(images[0].StudyInstanceUID)

    def recorded(self, study: str) -> set[tuple[str, str]]:
        """Return what the audit trail has about a study: kinds, and digests of results."""
        found = set()
        for path in (self.site.node.data_directory / "audit").rglob("*.jsonl"):
            for line in path.read_text().splitlines():
                event = json.loads(line)
                if study in line and event["event"].startswith("ai."):
                    found.add((event["event"], event["details"].get("sha256", "")))
        return found

    def shift(self, request: Any, *, days: float, attempts: int) -> None:
        """Have a request be as old as that, and its job tried as often, in place of waiting."""
        desk = self.site.node.node.opened.node.find(AiDesk)

        async def change() -> None:
            created = time.time() - days * 86400
            assert await desk.records.change(request.number, created=created)
            async with desk.records.database.begin() as connection:
                tried = update(JOBS).where(JOBS.c.number == request.job)
                await connection.execute(tried.values(attempts=attempts))

        self.site.node.call(change)

    def step(self, request: Any) -> Any:
        """Return the attributes of the work item of a request."""
        steps = self.site.node.node.opened.node.find(UnifiedProcedureSteps)
        found = self.site.node.call(self.site.inferences.find, request.number)
        return self.site.node.call(steps.find, found.note.split()[-1]).attributes

    def look_after(self) -> None:
        """Have done what is done each minute."""
        queue = self.site.node.node.opened.node.find(JobQueue)
        self.site.node.call(queue.enqueue, NewJob("ai.upkeep", {}))


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            number, name = int(self.headers["Request-Number"]), self.path.strip("/")
            status, answer = services.answer(name, number, self.headers, body)
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base, web = f"http://127.0.0.1:{server.server_address[1]}", tools.find_free_port()
        names = ("later", "silent", "slow", "refusing", "failing", "busy", "queued")
        tables: dict[str, Any] = {
            name: {"adapter": "rest-push", "url": f"{base}/{name}", "breaker": 1000}
            for name in names
        }
        away = tools.find_free_port()
        tables["away"] = {
            "adapter": "rest-push",
            "url": f"http://127.0.0.1:{away}/",
            "timeout": 20.0,  # on a busy machine finding nobody takes its time
        }
        tables["silent"]["answer_within"] = 0.1
        tables["slow"] |= {"timeout": 0.5, "attempts": 2}
        tables["failing"]["attempts"] = 2
        tables["performer"] = {
            "adapter": "ups",
            "code": ["LESION", "99TEST", "Find lesions"],
            "results_from": ["AI_EXAMPLE"],
        }
        rule = {
            "service": "queued",
            "on": "demand",
            "each": "series",
            "least": 2,
            "unless": {"BodyPartExamined": ["HEAD", "NECK"]},
        }
        opened = tools.open_site(
            tmp_path_factory.mktemp("site"),
            tables,
            rules=[rule],
            plugins=("sop-ups",),
            plugin={"web": {"port": web}, "sop-ups": {}},
            ai={"dicomweb_url": f"http://127.0.0.1:{web}/dicom-web"},
        )
        with opened as site:
            yield Place(site, services, tools, away)
        services.go_on.set()
        server.shutdown()


def test_a_service_that_answers_202_stores_its_results_when_it_has_them(place: Place) -> None:
    study, site = place.store(), place.site
    request = site.finish(site.ask("later", study).number, "asked")
    assert not site.results(request=request.number)
    place.look_after()  # which gives nobody up who has time left
    place.services.go_on.set()
    assert site.finish(request.number).state == "answered"
    until(lambda: place.services.stored)
    assert place.services.stored == [200]
    until(lambda: set(site.instances(study).values()) >= RESULTS)
    results = site.results(request=request.number)
    assert {each.state for each in results} == {"archived"}
    assert site.run("ai", "assess", str(results[0].number), "rejected") == 0
    wanted = {("ai.asked", ""), ("ai.assessed", "")} | {("ai.result", r.digest) for r in results}
    until(lambda: wanted <= place.recorded(study))


def test_a_service_that_is_away_for_days_loses_nothing_until_it_is_given_up(place: Place) -> None:
    """Away for six days, tried more often than a float can be doubled: still asked, and others are
    answered meanwhile. What is older than `give_up_after` has failed, and that is recorded.
    """
    site = place.site
    studies = [place.store() for _ in range(3)]
    old, *others = [site.ask("away", study) for study in studies]
    until(lambda: "cannot be reached" in site.finish(old.number, "waiting").reason)
    place.shift(others[0], days=1, attempts=300)
    place.shift(others[1], days=6, attempts=1800)
    assert site.finish(site.ask("refusing", studies[0]).number).state == "failed"
    assert site.finish(site.ask("busy", studies[0]).number).state == "answered"
    place.shift(old, days=7.1, attempts=2100)
    failed = site.finish(old.number)
    assert failed.state == "failed"
    assert "cannot be reached" in failed.reason
    until(lambda: ("ai.given-up", "") in place.recorded(studies[0]))
    tried = [_attempts(site, each) for each in others]
    until(lambda: all(_attempts(site, e) > n for e, n in zip(others, tried, strict=True)))
    assert [site.finish(each.number, "waiting").state for each in others] == ["waiting"] * 2

    class Back(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", place.away), Back) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert [site.finish(each.number).state for each in others] == ["answered"] * 2
        server.shutdown()


def _attempts(site: Any, request: Any) -> int:
    queue = site.node.node.opened.node.find(JobQueue)
    attempts: int = site.node.call(queue.find, request.job).attempts
    return attempts


def test_who_never_stores_any_is_not_waited_for(place: Place) -> None:
    study, site = place.store(), place.site
    request = site.finish(site.ask("silent", study).number, "asked", "failed")
    place.look_after()
    failed = site.finish(request.number)
    assert (failed.state, failed.reason) == ("failed", "no result in 0.1 s")


@pytest.mark.parametrize(
    ("name", "state", "attempts", "times", "reason"),
    [
        ("slow", "failed", 2, 0, "no answer in 0.5 s"),
        ("failing", "failed", 2, 2, "answered 500"),
        ("refusing", "failed", 0, 1, "answered 422"),
        ("busy", "answered", 0, 3, ""),
    ],
)
def test_what_goes_wrong_is_tried_again_as_long_as_that_helps(
    place: Place, name: str, state: str, attempts: int, times: int, reason: str
) -> None:
    """Too slow and failed: `attempts` times; refused: never; busy: until it is not."""
    site, study = place.site, place.store()
    request = site.finish(site.ask(name, study).number)
    assert (request.state, request.attempts) == (state, attempts), request.reason
    assert reason in request.reason
    if times:  # the slow one may not have read a request when its time is up
        asked = place.services.asked[name]
        assert [each for each in asked if each == request.number] == [request.number] * times


def test_a_rule_divides_a_study_and_what_is_urgent_goes_first(place: Place) -> None:
    """Each series of two images or more, but for those of the neck, is a request of its own."""
    site, services = place.site, place.services
    study = place.store()
    for values in ({"slices": 2}, {"slices": 1}, {"BodyPartExamined": "NECK"}):
        site.store(place.tools.make_series(StudyInstanceUID=study, **values))

    async def ask(priority: int) -> Any:
        return await site.inferences.ask("queued", study, priority=priority, again=True)

    requests = site.node.call(ask, 0)
    assert sorted(len(each.inputs) for each in requests) == [2, 4]
    assert len({each.series_uid for r in requests for each in r.inputs}) == 2
    until(lambda: services.asked.get("queued"))  # and is busy with the first
    urgent = site.node.call(ask, 5)
    services.go_on.set()
    everything = [each.number for each in (*requests, *urgent)]
    for number in everything:
        assert site.finish(number).state == "answered"
    asked = services.asked["queued"]
    assert sorted(asked) == sorted(everything)
    assert set(asked[1:3]) == {each.number for each in urgent}


def test_a_performer_of_its_own_claims_a_work_item_and_completes_it(place: Place) -> None:
    """IHE AIW-I: by C-FIND, N-ACTION, WADO-RS, C-STORE and N-SET, from another process."""
    site, code = place.site, "LESION^99TEST"
    study, strange = place.store(), place.store(Modality="MR")
    request, given_up = (
        site.finish(site.ask("performer", each).number, "asked") for each in (study, strange)
    )
    archive = f"PACS@127.0.0.1:{site.node.port}"
    with place.tools.run_example("--worklist", code, "--archive", archive):
        assert site.finish(request.number).state == "answered"
        until(lambda: place.step(request)[STATE] == ("COMPLETED",), 120)
        until(lambda: place.step(given_up)[STATE] == ("CANCELED",), 120)
    results = site.results(request=request.number)
    assert [each.state for each in results] == ["archived"] * 2
    assert {each.instance_uid for each in results} <= site.instances(study).keys()
    (performed,) = place.step(request)[tag_of("UnifiedProcedureStepPerformedProcedureSequence")]
    named = {
        reference[tag_of("ReferencedSOPInstanceUID")][0]
        for output in performed[tag_of("OutputInformationSequence")]
        for reference in output[tag_of("ReferencedSOPSequence")]
    }
    assert named == {each.instance_uid for each in results}
    place.look_after()
    failed = site.finish(given_up.number)
    assert failed.reason == "its work item was canceled: there is no CT image"
    unwanted = site.finish(site.ask("performer", study, again=True).number, "asked")
    site.node.call(site.inferences.cancel, unwanted.number, "somebody")
    until(lambda: place.step(unwanted)[STATE] == ("CANCELED",))
