"""AI services in the browser: they are asked, their results released, discarded and assessed."""

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from .conftest import run_web, wait_for
from .test_accessibility import violations_of

sys.path.append(str(Path(__file__).parents[3] / "contrib" / "pacs-ai-example" / "src"))

from pacs_ai_example.multipart import read_parts, write_parts
from pacs_ai_example.results import infer, write
from pacs_ai_example.samples import make_series

PLUGINS = ("web-ui", "dicomweb", "database", "jobs", "ai")
XSS = "<script>alert(1)</script>"


class Service(BaseHTTPRequestHandler):
    """The example service, but one of its segmentations is of another patient.

    Under ``/hold`` it does not end with a request before the tests do.
    """

    ended = threading.Event()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hold":
            self.ended.wait(120)
            self.close_connection = True
            return
        results = infer(list(read_parts(self.headers["Content-Type"], body)))
        wrong = dcmread(BytesIO(results[0]))
        wrong.PatientID, wrong.SOPInstanceUID = XSS, generate_uid()
        wrong.file_meta.MediaStorageSOPInstanceUID = wrong.SOPInstanceUID
        kind, answer = write_parts([*results, write(wrong)])
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A node with pages, and a service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        services = {
            "lesion": {"adapter": "rest-push", "url": url, "version": "1.0.0"},
            "unhurried": {"adapter": "rest-push", "url": f"{url}hold"},
        }
        tables = {
            "plugin": {"web": {"port": 0}, "ai": {"services": services}, "jobs": {"poll": 0.1}}
        }
        folder = tmp_path_factory.mktemp("ai")
        with run_web(folder, plugins=PLUGINS, node={"port": 0}, **tables) as running:
            yield running
            Service.ended.set()
        server.shutdown()


def store(web, name):
    """Store a study, and return its UID."""
    images = make_series(2, PatientName=f"Doe^{name}")
    kind, body = write_parts([write(each) for each in images])
    with web.client() as client:
        answer = client.post("/dicom-web/studies", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    return images[0].StudyInstanceUID


def results_of(web, study):
    """Return the results about a study, by state."""
    found = web.get(f"/api/ai/results?study={study}").json()["results"]
    return [(each["state"], each["number"]) for each in found]


def test_a_form_of_another_site_is_refused_and_what_is_not_there_is_said(web):
    study = store(web, "csrf")
    with web.client() as client:
        for path in (f"studies/{study}", "requests/1/cancel", "results/1/assess"):
            assert client.post(f"/ui/ai/{path}", data={"csrf": "guessed"}).status_code == 403
    assert web.get(f"/api/ai/requests?study={study}").json()["requests"] == []
    for path in ("requests/9999", "results/9999", "studies/nonsense"):
        assert web.get(f"/ui/ai/{path}").status_code == 404
    for wrong in ("before=x", "request=-1", f"before={'9' * 40}", "nonsense=1", "limit=0"):
        assert web.get(f"/api/ai/requests?{wrong}").status_code == 400
    assert 'role="alert"' in web.get("/ui/ai/?before=x").text


def test_a_request_is_cancelled_on_its_page(web):
    """With the form that its page has, which is gone once it is cancelled."""
    study = store(web, "cancel")
    with web.client() as client:
        answer = client.post("/api/ai/requests", json={"service": "unhurried", "study": study})
        (asked,) = answer.json()["requests"]
        page = f"/ui/ai/requests/{asked['number']}"
        form = f'action="{page}/cancel"'
        shown = client.get(page).text
        assert form in shown
        (token,) = set(re.findall(r'name="csrf" value="([^"]+)"', shown))
        answer = client.post(f"{page}/cancel", data={"csrf": token}, follow_redirects=True)
        assert answer.status_code == 200, answer.text
        assert "Cancelled" in answer.text
        assert form not in answer.text
        again = client.post(f"{page}/cancel", data={"csrf": token})
        assert again.status_code == 409
        assert "cancelled already" in again.text
    found = web.get(f"/api/ai/requests/{asked['number']}").json()
    assert (found["state"], found["results"]) == ("cancelled", [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("requests", b""),
        ("requests", b"[]"),
        ("requests", b"[" * 90_000),
        ("requests", b'{"service": "lesion", "study": "../../etc"}'),
        ("requests", b'{"service": "lesion", "study": "1.2", "series": [{}], "colour": 1}'),
        ("requests", b'{"service": "lesion", "study": "1.2", "series": ["1.2", "\\ud800"]}'),
        ("requests", b'{"service": "lesion", "study": "1.2", "priority": %d}' % 10**30),
        ("requests", b'{"service": "lesion", "study": "1.2", "priority": true}'),
        ("results/1/assess", b'{"assessment": "fine"}'),
        ("results/1/assess", b'{"assessment": "accepted", "finding": ""}'),
        ("results/1/assess", b'{"assessment": "accepted", "comment": "\\ud800"}'),
        ("results/1/assess", b'{"assessment": "accepted", "comment": "\\u0000"}'),
        ("results/1/assess", b'{"assessment": "accepted", "comment": "%s"}' % (b"x" * 20_000)),
    ],
    ids=lambda given: repr(given[:70]),
)
def test_what_makes_no_sense_is_refused_with_a_reason(web, path, body):
    with web.client() as client:
        answer = client.post(f"/api/ai/{path}", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("state=%00", 400), ("service=%00", 400), ("study=%ED%A0%80", 200), ("state=a,b", 200)],
)
def test_what_nothing_can_match_is_found_nowhere(web, query, status):
    for path in ("requests", "results"):
        answer = web.get(f"/api/ai/{path}?{query}")
        assert answer.status_code == status, answer.text
        assert not answer.json().get(path)


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(
    ("scheme", "language"),
    [pytest.param("light", "en-US", marks=pytest.mark.long), ("dark", "de-DE")],
)
def test_a_service_is_asked_and_its_results_are_judged_in_a_browser(web, browser, scheme, language):
    """By what one sees; axe finds nothing on any page, and no page is wider than a phone."""
    german = language == "de-DE"
    study = store(web, scheme)
    size = {"width": 1280, "height": 800}
    context = browser.new_context(
        color_scheme=scheme, locale=language, base_url=web.url, viewport=size
    )
    page = context.new_page()
    problems, found = [], {}
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))

    def look(name):
        found[name] = violations_of(page)
        if shots := os.environ.get("SHOTS"):
            page.screenshot(path=f"{shots}/ai-{name}-{scheme}.png", full_page=True)

    page.goto(f"/ui/studies/{study}")
    page.get_by_role("link", name="KI-Dienst fragen" if german else "Ask an AI service").click()
    page.get_by_role("button", name="Fragen" if german else "Ask", exact=True).click()
    page.get_by_role("heading", name="KI-Dienste" if german else "AI services").wait_for()
    wait_for(lambda: len(results_of(web, study)) == 3, "there are not three results")
    page.reload()
    look("study")
    states = dict(results_of(web, study))
    page.locator(f"#result-{states['archived']}").click()
    chosen, button = page.locator("select[name=assessment]"), "Beurteilen" if german else "Assess"
    chosen.first.select_option("modified" if german else "accepted")
    page.locator("[name=comment]").first.fill(f"{XSS} its edge was smoothed")
    page.get_by_role("button", name=button).first.click()
    page.get_by_text(f"{XSS} its edge was smoothed").wait_for()
    chosen.last.select_option("rejected")  # a finding of it
    page.locator("[name=comment]").last.fill(f"{XSS} no lesion")
    page.get_by_role("button", name=button).last.click()
    page.get_by_text(f"{XSS} no lesion").wait_for()
    look("result")
    page.goto("/ui/ai/")
    look("requests")
    page.get_by_role("link", name=study).wait_for()
    page.get_by_role("link", name="Quarantäne" if german else "Quarantine").click()
    look("quarantine")
    page.locator(f"#result-{states['quarantined']}").click()
    page.get_by_text(f"PatientID is {XSS}, not 4711").wait_for()
    look("quarantined")
    if german:
        page.get_by_role("button", name="Löschen").click()
        page.get_by_text("Verworfen").wait_for()
    else:
        page.get_by_role("button", name="Archive it all the same").click()
        page.get_by_text("Released").wait_for()
    end = "discarded" if german else "released"
    assert dict(results_of(web, study))[end] == states["quarantined"]
    page.get_by_role("link", name="Anfrage" if german else "Request").last.click()
    page.get_by_role("heading", name="Anfrage" if german else "Request").wait_for()
    look("request")
    page.goto("/ui/ai/totals")
    page.get_by_text("1 Mit Änderungen angenommen" if german else "1 Accepted").wait_for()
    page.get_by_text("1 Abgelehnt" if german else "1 Rejected").first.wait_for()
    look("totals")
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("", "results", "totals", f"studies/{study}", f"results/{states['archived']}"):
        page.goto(f"/ui/ai/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    context.close()
    assert {name: each for name, each in found.items() if each} == {}
    assert problems == []
