"""Services steered and watched from outside: commands, HTTP, C-FIND, C-MOVE, tokens, numbers."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import httpx
import pytest
from attrs import define, field
from pacs_ai import metering
from pacs_ai.desk import AiDesk
from pacs_ai.forgetting import Forgetter
from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import infer, write
from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage
from pynetdicom import AE, StoragePresentationContexts, evt
from xxhash import xxh3_128

from pacs_core.dataset import read_file_meta
from pacs_core.testing.waiting import until

FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"  # Study Root


@define
class Services:
    """What services do, each under a path of its own."""

    go_on: threading.Event = field(factory=threading.Event)
    working: int = 0
    most: int = 0
    asked: list[int] = field(factory=list)
    told: dict[str, Any] = field(factory=dict)
    answered: dict[str, str] = field(factory=dict)
    """Digests of datasets of results, by SOP Instance UID."""
    lock: Any = field(factory=threading.Lock)

    def hold(self, number: int) -> None:
        with self.lock:
            self.asked.append(number)
            self.working += 1
            self.most = max(self.most, self.working)
        self.go_on.wait(60)
        with self.lock:
            self.working -= 1

    def infer(self, kind: str, body: bytes, patient: str = "") -> tuple[str, bytes]:
        results = infer(list(read_parts(kind, body)))
        if patient:
            wrong = dcmread(BytesIO(results[0]))
            wrong.PatientID = patient
            results = [write(wrong)]
        for each in results:
            meta = read_file_meta(each)
            digest = hashlib.sha256(each[meta.dataset_offset :]).hexdigest()
            self.answered[meta.sop_instance_uid] = digest
        return write_parts(results)


@define
class Place:
    site: Any
    services: Services
    tools: Any
    url: str
    received: dict[str, list[Dataset]]
    """What came by C-MOVE, by AE title."""

    def store(self, **values: Any) -> tuple[str, list[Dataset]]:
        images = self.tools.make_series(**values)
        self.site.store(images)
        return str(images[0].StudyInstanceUID), images

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}/{path}", headers=headers, timeout=60, trust_env=False)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/ai/{path}", json=body, timeout=60, trust_env=False)

    def steered(self) -> list[tuple[str, int]]:
        """Return what the audit trail has of acts on results."""
        found = []
        for path in (self.site.node.data_directory / "audit").rglob("*.jsonl"):
            for line in path.read_text().splitlines():
                event = json.loads(line)
                if event["event"] == "ai.steered" and "result" in event["details"]:
                    found.append((event["details"]["do"], event["details"]["result"]))
        return found

    def associate(self, title: str, sop_class: str) -> Any:
        entity = AE(title)
        entity.add_requested_context(sop_class)
        return entity.associate("127.0.0.1", self.site.node.port, ae_title="PACS")

    def find(self, title: str, **keys: str) -> list[Dataset]:
        association = self.associate(title, FIND)
        found = [m for _, m in association.send_c_find(dataset_of(**keys), FIND) if m]
        association.release()
        return found

    def move(self, title: str, study: str) -> list[Dataset]:
        """Have a study sent to who asks, and return what has come."""
        self.received[title] = []
        association = self.associate(title, MOVE)
        keys = dataset_of(QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
        *_, (status, _) = association.send_c_move(keys, title, MOVE)
        association.release()
        assert status.Status == 0
        return self.received[title]


def dataset_of(**values: str) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture(scope="module")
def place(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    services = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind, answer, status = "", b"", 204
            if self.path == "/hold":
                services.hold(int(self.headers["Request-Number"]))
            elif self.path == "/pull":
                services.told, status = json.loads(body), 202
            else:
                patient = "4799" if self.path == "/wrong" else ""
                kind, answer = services.infer(self.headers["Content-Type"], body, patient)
                status = 200
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    received: dict[str, list[Dataset]] = {}

    def take(event: Any) -> int:
        received[event.assoc.acceptor.ae_title].append(event.dataset)
        return 0

    servers, peers = [], {}
    for title in ("READER", "RADIOLOGY"):
        entity = AE(title)
        entity.supported_contexts = StoragePresentationContexts[:120]
        entity.add_supported_context(SegmentationStorage)
        handlers: list[Any] = [(evt.EVT_C_STORE, take)]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        servers.append(server)
        where = {"ae_title": title, "host": "127.0.0.1", "port": server.server_address[1]}
        peers[title.lower()] = where
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
        pytest.MonkeyPatch.context() as p,
    ):
        server.daemon_threads = True
        p.setattr(metering, "_LOOK", 0.2)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base, web = f"http://127.0.0.1:{server.server_address[1]}", tools.find_free_port()
        push = {"adapter": "rest-push", "version": "1.0.0"}
        tables = {
            "hold": {**push, "url": f"{base}/hold", "concurrency": 2},
            "good": {**push, "url": f"{base}/good"},
            "wrong": {**push, "url": f"{base}/wrong"},
            "hider": {**push, "url": f"{base}/good", "unassessed": "hide"},
            "marker": {**push, "url": f"{base}/good", "unassessed": "mark"},
            "puller": {"adapter": "dicomweb-pull", "url": f"{base}/pull", "answer_within": 8.0},
            "away": {**push, "url": "http://127.0.0.1:1/", "breaker": 1},
        }
        opened = tools.open_site(
            tmp_path_factory.mktemp("site"),
            tables,
            peers=peers,
            plugins=("sop-query-retrieve", "metrics"),
            plugin={"web": {"port": web}},
            ai={
                "dicomweb_url": f"http://127.0.0.1:{web}/dicom-web",
                "assessors": ["RADIOLOGY"],
            },
        )
        with opened as site:
            yield Place(site, services, tools, f"http://127.0.0.1:{web}", received)
        services.go_on.set()
        server.shutdown()
    for each in servers:
        each.shutdown()


def test_a_command_asks_and_requests_are_cancelled_by_command_and_over_http(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that the service works on, and one that waits; what was cancelled stays so."""
    site, services = place.site, place.services
    services.go_on.clear()
    study, _ = place.store()
    assert site.run("ai", "ask", "hold", study, "--priority", "3", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["service"], first["instances"], first["priority"]) == ("hold", 4, 3)
    assert first["asked_by"]
    assert site.run("ai", "ask", "hold", study) == 0
    assert f"request {first['number']}: hold 1.0.0, 4 instances" in capsys.readouterr().out
    numbers = [first["number"]]
    for _ in range(3):
        assert site.run("ai", "ask", "hold", study, "--again", "--json") == 0
        numbers.append(json.loads(capsys.readouterr().out)["number"])
    assert len(set(numbers)) == 4
    until(lambda: services.working == 2)
    at_work = services.asked[-2:]
    waiting = [each for each in numbers if each not in at_work]
    cancelled = place.post(f"requests/{waiting[0]}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = place.post(f"requests/{waiting[0]}/cancel")
    assert (again.status_code, "cancelled already" in again.text) == (409, True)
    assert place.post("requests/9999/cancel").status_code == 404
    assert site.run("ai", "cancel", str(at_work[0])) == 0
    assert f"request {at_work[0]} is cancelled" in capsys.readouterr().out
    assert site.run("ai", "cancel", str(at_work[0])) == 1
    assert "is cancelled already" in capsys.readouterr().err
    # The place of the one that was at work is free at once: the other that waits is asked.
    until(lambda: waiting[1] in services.asked)
    assert waiting[0] not in services.asked
    services.go_on.set()
    for number in (at_work[1], waiting[1]):
        assert site.finish(number).state == "answered"
    assert site.finish(at_work[0]).state == "cancelled"
    assert site.finish(at_work[0]).reason.startswith("cancelled by ")
    unknown = site.run("ai", "ask", "nobody", study), site.run("ai", "ask", "hold", "1.2.3")
    assert unknown == (1, 1)
    said = capsys.readouterr().err
    assert "there is no service 'nobody'" in said
    assert "has nothing that hold could be asked about" in said


def test_a_service_works_on_no_more_requests_at_once_than_it_is_given(place: Place) -> None:
    site, services = place.site, place.services
    until(lambda: services.working == 0)
    services.go_on.clear()
    services.most = 0
    requests = [site.ask("hold", place.store()[0]).number for _ in range(5)]
    until(lambda: services.working == 2)
    other = site.ask("good", place.store()[0])
    assert site.finish(other.number).state == "answered"  # and the others' places are their own
    services.go_on.set()
    assert [site.finish(each).state for each in requests] == ["answered"] * 5
    assert services.most == 2


def test_quarantine_is_emptied_over_http(place: Place) -> None:
    site = place.site
    (study, _), (other, _) = place.store(), place.store()
    for each in (study, other):
        assert site.finish(site.ask("wrong", each).number).state == "answered"
    (one,), (two,) = (
        place.get(f"api/ai/results?study={s}&state=quarantined").json()["results"]
        for s in (study, other)
    )
    assert one["reasons"] == ["patient: PatientID is 4799, not 4711"]
    released = place.post(f"results/{one['number']}/release")
    assert (released.status_code, released.json()["state"]) == (200, "released")
    assert site.read(study, one["instance"]).PatientID == "4711"
    who = released.json()["changed_by"]
    assert who  # and the audit trail says that as well
    until(lambda: {("release", one["number"])} <= set(place.steered()))
    discarded = place.post(f"results/{two['number']}/discard")
    assert (discarded.status_code, discarded.json()["state"]) == (200, "discarded")
    assert two["instance"] not in site.instances(other)
    for number, act in ((one["number"], "release"), (two["number"], "discard")):
        again = place.post(f"results/{number}/{act}")
        assert (again.status_code, "quarantine" in again.text) == (409, True)
    assert place.post("results/9999/release").status_code == 404
    assert place.post(f"results/{one['number']}/praise").status_code == 404


def test_a_token_is_good_until_it_expires(place: Place) -> None:
    """`answer_within` after the service was asked, whatever it still does with it."""
    study, _ = place.store()
    began = time.time()
    place.services.told.clear()
    request = place.site.ask("puller", study)
    place.site.finish(request.number, "asked")
    told = place.services.told
    assert told["study"] == study
    headers = {"Authorization": f"Bearer {told['token']}", "Accept": "application/dicom+json"}
    path = f"dicom-web/studies/{study}/instances"
    assert len(place.get(path, **headers).json()) == 4
    until(lambda: place.get(path, **headers).status_code == 401)
    assert time.time() > began + 8.0
    stored = httpx.post(
        f"{place.url}/dicom-web/studies",
        content=write(place.tools.make_series(1)[0]),
        headers={**headers, "Content-Type": "application/dicom"},
        trust_env=False,
        timeout=60,
    )
    assert stored.status_code == 401


def test_provenance_has_the_digests_of_inputs_and_results(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the datasets as they were sent by the modality, and by the service."""
    study, images = place.store()
    request = place.site.finish(place.site.ask("good", study).number)
    capsys.readouterr()
    assert place.site.run("ai", "show", str(request.number), "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    over_http = place.get(f"api/ai/requests/{request.number}").json()
    for each in (shown, over_http):
        wanted = {}
        for image in images:
            data = write(image)
            dataset = data[read_file_meta(data).dataset_offset :]
            wanted[str(image.SOPInstanceUID)] = xxh3_128(dataset).hexdigest()
        assert {e["instance"]: e["digest"] for e in each["inputs"]} == wanted
        results = {e["instance"]: e["sha256"] for e in each["results"]}
        assert len(results) == 2
        assert results == {uid: place.services.answered[uid] for uid in results}
        assert {e["algorithm"] for e in each["results"]} == {
            "Largest bright component 1.0.0 (pacs-core)"
        }
        assert each["asked_by"] == request.asked_by
        assert each["version"] == "1.0.0"


def test_what_is_hidden_is_found_and_sent_to_assessors_alone(place: Place) -> None:
    """C-FIND at each level and C-MOVE (PS3.4 C.4.1, C.4.2), until somebody has accepted it."""
    site = place.site
    study, images = place.store()
    request = site.finish(site.ask("hider", study).number)
    until(lambda: len(site.instances(study)) == len(images) + 2)

    def modalities(title: str) -> set[str]:
        keys = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": study, "Modality": ""}
        return {each.Modality for each in place.find(title, **keys)}

    assert modalities("READER") == {"CT"}
    assert modalities("RADIOLOGY") == {"CT", "SEG", "SR"}
    counted = {
        "QueryRetrieveLevel": "STUDY",
        "StudyInstanceUID": study,
        "NumberOfStudyRelatedInstances": "",
    }
    seen = [int(place.find(t, **counted)[0][0x00201208].value) for t in ("READER", "RADIOLOGY")]
    assert seen == [len(images), len(images) + 2]
    assert {each.Modality for each in place.move("READER", study)} == {"CT"}
    assert len(place.move("RADIOLOGY", study)) == len(images) + 2
    by_class = {r.sop_class_uid: r for r in site.results(request=request.number)}
    assert site.run("ai", "assess", str(by_class[SegmentationStorage].number), "accepted") == 0
    until(lambda: modalities("READER") >= {"CT", "SEG"})
    sent = place.move("READER", study)
    assert {each.SOPInstanceUID for each in sent} >= {by_class[SegmentationStorage].instance_uid}


def test_what_is_marked_says_so_by_c_find_and_c_move(place: Place) -> None:
    site = place.site
    study, images = place.store()
    request = site.finish(site.ask("marker", study).number)
    until(lambda: len(site.instances(study)) == len(images) + 2)
    keys = {
        "QueryRetrieveLevel": "SERIES",
        "StudyInstanceUID": study,
        "Modality": "SEG",
        "SeriesDescription": "",
    }

    def described() -> set[str]:
        (found,) = place.find("READER", **keys)
        moved = [e for e in place.move("READER", study) if e.Modality == "SEG"]
        return {found.SeriesDescription, *(each.SeriesDescription for each in moved)}

    marked = "AI, not accepted: Largest bright component"
    assert described() == {marked}
    segmentation = next(
        r for r in site.results(request=request.number) if r.sop_class_uid == SegmentationStorage
    )
    assert site.run("ai", "assess", str(segmentation.number), "accepted") == 0
    until(lambda: described() == {"Largest bright component"})


def test_monitors_see_queue_times_failures_and_results_by_model(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """In /metrics, in /api/ai/totals and by command: the same numbers."""
    site = place.site
    assert site.finish(site.ask("good", place.store()[0]).number).state == "answered"
    waiting = site.ask("away", place.store()[0])
    until(lambda: site.finish(waiting.number, "waiting").reason)

    def value(name: str, **labels: str) -> float:
        for line in place.get("metrics").text.splitlines():
            if line.startswith(f"pacs_{name}{{") and all(
                f'{key}="{text}"' in line for key, text in labels.items()
            ):
                return float(line.rpartition(" ")[2])
        return -1.0

    good = {"service": "good", "version": "1.0.0"}
    away = {"service": "away", "version": "1.0.0"}
    totals = {e["service"]: e for e in place.get("api/ai/totals").json()["totals"]}
    answered, archived = (totals["good"][k] for k in ("requests", "results"))
    until(lambda: value("ai_requests", **good, state="answered") == answered["answered"])
    until(lambda: value("ai_results", **good, state="archived") == archived["archived"])
    until(lambda: value("ai_requests", **away, state="waiting") == 1)
    assert value("ai_requests", **away, state="answered") == 0
    assert value("ai_failures_total", **away, kind="away") >= 1
    until(lambda: value("ai_services_left_alone", service="away") == 1)
    assert value("ai_services_left_alone", service="good") == 0
    assert value("ai_answer_seconds_count", **good) == answered["answered"]
    took = value("ai_answer_seconds_sum", **good) / answered["answered"]
    assert took == pytest.approx(totals["good"]["mean_seconds"], abs=0.01)
    assert took > 0
    capsys.readouterr()
    assert site.run("ai", "list", "--totals", "--json") == 0
    rows = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert {e["service"]: e["requests"] for e in rows} == {
        name: each["requests"] for name, each in totals.items()
    }
    # Of a version of which nothing is known any more nothing is told.
    node = site.node.node.opened.node
    site.node.call(site.inferences.cancel, waiting.number, "somebody")
    until(lambda: value("ai_requests", **away, state="cancelled") == 1)
    forgetter = Forgetter(node.find(AiDesk).records, node.archive)
    assert site.node.call(forgetter.forget, 0.0) > 0
    until(lambda: value("ai_requests", **away, state="cancelled") == 0)
