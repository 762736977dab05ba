"""The worklist in the browser and over HTTP, and what a modality then finds on it (PS3.4 K)."""

import json
import os

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE

from .conftest import run_web, wait_for
from .test_accessibility import violations_of

PLUGINS = ("web-ui", "database", "sop-worklist")
MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
XSS = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A node with pages, and a worklist."""
    tables = {"plugin": {"web": {"port": 0}, "sop-worklist": {}}}
    with run_web(
        tmp_path_factory.mktemp("worklist"), plugins=PLUGINS, node={"port": 0}, **tables
    ) as running:
        yield running


def entry(patient, **own):
    """Return an entry with one step."""
    dataset, step = Dataset(), Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "Müller^Jürgen", patient
    dataset.StudyInstanceUID = f"1.2.3.{sum(patient.encode())}"
    dataset.RequestedProcedureID = "R1"
    step.Modality, step.ScheduledProcedureStepID = "CT", "S1"
    step.ScheduledStationAETitle = "CT1"
    step.ScheduledProcedureStepStartDate = "20990131"
    step.ScheduledProcedureStepStartTime = "093000"
    for keyword, value in own.items():
        setattr(step if keyword in step else dataset, keyword, value)
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


def post(web, path, **arguments):
    with web.client() as client:
        return client.post(path, **arguments)


def ask_as_modality(web, **keys):
    """Return the matches of a C-FIND."""
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    identifier.PatientName = ""
    ae = AE("CT1")
    ae.add_requested_context(MODALITY_WORKLIST)
    association = ae.associate("127.0.0.1", web.node.port, ae_title="PACS")
    assert association.is_established
    answers = list(association.send_c_find(identifier, MODALITY_WORKLIST))
    association.release()
    assert answers[-1][0].Status == 0x0000
    return [match for _, match in answers if match is not None]


def test_an_order_in_json_is_found_by_a_modality_until_it_is_cancelled(web):
    added = post(web, "/api/worklist", json=entry("J1").to_json_dict())
    assert added.status_code == 201, added.text
    (number,) = added.json()["numbers"]
    (match,) = ask_as_modality(web, PatientID="J1")
    assert str(match.PatientName) == "Müller^Jürgen"
    shown = web.get(f"/api/worklist/{number}").json()
    assert (shown["state"], shown["source"], shown["performed"]) == ("SCHEDULED", "web", "")
    attributes = Dataset.from_json(json.dumps(shown["attributes"]))
    assert str(attributes.PatientName) == "Müller^Jürgen"
    assert attributes.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStatus == "SCHEDULED"
    cancelled = post(web, f"/api/worklist/{number}/cancel")
    assert cancelled.json() == {"number": number, "state": "CANCELED"}
    assert ask_as_modality(web, PatientID="J1") == []
    assert post(web, f"/api/worklist/{number}/cancel").status_code == 409
    assert web.get("/api/worklist?PatientID=J1").json()["steps"] == []
    assert len(web.get("/api/worklist?PatientID=J1&all=true").json()["steps"]) == 1


def test_orders_in_a_list_and_in_dicom(web):
    several = [entry("L1").to_json_dict(), entry("L2", Modality="MR").to_json_dict()]
    assert len(post(web, "/api/worklist", json=several).json()["numbers"]) == 2
    buffer = DicomBytesIO()
    entry("L3").save_as(buffer, implicit_vr=False, little_endian=True)
    added = post(web, "/api/worklist", content=buffer.getvalue())
    assert added.status_code == 201, added.text
    found = web.get("/api/worklist?PatientID=L*&limit=2").json()
    assert (len(found["steps"]), found["has_more"]) == (2, True)
    narrowed = web.get("/api/worklist?PatientID=L*&Modality=MR").json()["steps"]
    assert [each["attributes"]["00100020"]["Value"] for each in narrowed] == [["L2"]]
    assert web.get("/api/worklist?PatientID=L*&ScheduledStationAETitle=MR1").json()["steps"] == []


def test_an_order_that_is_sent_again_is_the_same_step(web):
    (first,) = post(web, "/api/worklist", json=entry("T1").to_json_dict()).json()["numbers"]
    changed = entry("T1", ScheduledProcedureStepStartTime="101500").to_json_dict()
    assert post(web, "/api/worklist", json=changed).json()["numbers"] == [first]
    (step,) = web.get("/api/worklist?PatientID=T1").json()["steps"]
    assert step["attributes"]["00400100"]["Value"][0]["00400003"]["Value"] == ["101500"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/worklist?Nonsense=1", 400),
        ("/api/worklist?ScheduledProcedureStepStartDate=soon", 400),
        ("/api/worklist?limit=0", 400),
        ("/api/worklist?limit=000000001999", 400),
        ("/api/worklist?all=perhaps", 400),
        ("/api/worklist/99999999", 404),
        ("/api/worklist/" + "9" * 40, 404),
        ("/api/worklist/²", 404),
        ("POST /api/worklist/99999999/cancel", 404),
        ("DELETE /api/worklist/1", 405),
    ],
)
def test_what_cannot_be_meant_is_refused(web, path, status):
    method, _, path = path.rpartition(" ")
    with web.client() as client:
        response = client.request(method or "GET", path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[{}]",
        b"[" * 100_000,
        b'{"00400100": {"vr": "SQ", "Value": []}}',
        json.dumps(entry("").to_json_dict()).encode(),
        json.dumps({"00400100": {"vr": "SQ", "Value": [{}] * 10_000}}).encode(),
        bytes(5000),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_order_is_refused_with_a_reason(web, body):
    before = len(web.get("/api/worklist?limit=1000").json()["steps"])
    response = post(web, "/api/worklist", content=body)
    assert response.status_code == 400, response.text
    assert response.json()["detail"]
    assert len(web.get("/api/worklist?limit=1000").json()["steps"]) == before


def test_the_document_describes_it(web):
    document = web.get("/openapi.json").json()
    assert set(document["paths"]["/api/worklist/"]) == {"get", "post"}
    described = set(document["components"]["schemas"]["WorklistStep"]["properties"])
    assert all(set(s) == described for s in web.get("/api/worklist?all=true").json()["steps"])


def test_a_form_of_another_site_is_refused(web):
    (number,) = post(web, "/api/worklist", json=entry("C1").to_json_dict()).json()["numbers"]
    for fields in ({}, {"csrf": "guessed"}):
        for path in ("/ui/worklist/add", f"/ui/worklist/{number}/cancel"):
            assert post(web, path, data=fields).status_code == 403
    assert web.get(f"/api/worklist/{number}").json()["state"] == "SCHEDULED"


def test_nothing_of_an_entry_is_markup(web):
    body = entry("X1", PatientName=f"{XSS}^Eve", PatientComments=XSS).to_json_dict()
    (number,) = post(web, "/api/worklist", json=body).json()["numbers"]
    for path in ("/ui/worklist/", f"/ui/worklist/{number}", f"/ui/worklist/?PatientID={XSS}"):
        assert "<script>alert" not in web.get(path).text
    assert "&lt;script&gt;" in web.get(f"/ui/worklist/{number}").text


def test_who_did_what_is_recorded(web):
    (number,) = post(web, "/api/worklist", json=entry("A1").to_json_dict()).json()["numbers"]
    post(web, f"/api/worklist/{number}/cancel")
    trail = web.node.data_directory / "audit" / "audit.jsonl"

    def changes():
        lines = [line for line in trail.read_text().splitlines() if '"worklist.changed"' in line]
        return [json.loads(line)["details"] for line in lines]

    cancelled = {"do": "cancel", "patients": "A1", "step": number}
    wait_for(lambda: cancelled in changes(), "it is not recorded")
    assert {"do": "add", "patients": "A1"} in changes()


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(("scheme", "language"), [("light", "en-US"), ("dark", "de-DE")])
def test_a_step_is_added_and_cancelled_in_a_browser(web, browser, scheme, language):
    """By what one sees; axe finds nothing on any page, and no page is wider than a phone."""
    german = language == "de-DE"
    size = {"width": 1280, "height": 800}
    context = browser.new_context(
        color_scheme=scheme, locale=language, base_url=web.url, viewport=size
    )
    page = context.new_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/ui/")
    page.get_by_role("link", name="Arbeitsliste" if german else "Worklist").click()
    page.get_by_role("link", name="Schritt hinzufügen" if german else "Add a step").click()
    found = {"form": violations_of(page)}
    fields = {"family_name": "Doe", "given_name": scheme, "patient_id": f"B-{scheme}",
              "birth_date": "1970-01-31", "modality": "ct", "station": "CT1",
              "start": "2099-02-01T10:15", "description": "Head"}  # fmt: skip
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("select[name=sex]").select_option("F")
    page.get_by_role("button", name="Hinzufügen" if german else "Add").click()
    page.get_by_role("heading", name=f"Doe, {scheme}").wait_for()
    found["step"] = violations_of(page)
    if shots := os.environ.get("SHOTS"):
        page.screenshot(path=f"{shots}/step-{scheme}.png", full_page=True)
    (match,) = ask_as_modality(web, PatientID=f"B-{scheme}")
    assert str(match.PatientName) == f"Doe^{scheme}"
    page.goto("/ui/worklist/")
    page.locator("[name=PatientName]").press_sequentially("doe")
    page.get_by_role("link", name=f"Doe, {scheme}").wait_for()
    found["list"] = violations_of(page)
    if shots:
        page.goto("/ui/worklist/")
        page.screenshot(path=f"{shots}/worklist-{scheme}.png", full_page=True)
        page.goto("/ui/worklist/add")
        page.screenshot(path=f"{shots}/add-{scheme}.png", full_page=True)
        page.goto("/ui/worklist/?PatientName=doe")
    page.get_by_role("link", name=f"Doe, {scheme}").click()
    page.get_by_role("button", name="Von der Liste nehmen" if german else "Take off").click()
    page.get_by_text("Abgesagt" if german else "Cancelled", exact=True).wait_for()
    assert ask_as_modality(web, PatientID=f"B-{scheme}") == []
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/ui/worklist/", "/ui/worklist/add", page.url):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    context.close()
    assert {name: each for name, each in found.items() if each} == {}
    assert problems == []


@pytest.mark.peer("chromium")
def test_what_is_wrong_with_a_step_is_said_in_the_form(web, browser):
    page = browser.new_page(base_url=web.url)
    page.goto("/ui/worklist/add")
    fields = {"family_name": "a^b", "patient_id": "W1", "modality": "CT"}
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)
    page.get_by_role("button", name="Add").click()
    page.get_by_role("alert").get_by_text("a name cannot have").wait_for()
    assert page.locator("[name=patient_id]").input_value() == "W1"
    page.locator("[name=family_name]").fill("Doe")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("heading", name="Doe").wait_for()
    page.close()
