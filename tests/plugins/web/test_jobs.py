"""Jobs in the browser and over HTTP, on a node that does those of a third party's distribution."""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from pacs_database.testing import open_database
from pacs_jobs.api import NewJob
from pacs_jobs.database_queue import DatabaseJobQueue

from .conftest import run_web, wait_for
from .test_accessibility import violations_of

CHORES = Path(__file__).parents[2] / "distributions" / "pacs-chores"
PLUGINS = ("web-ui", "database", "jobs", "chores")
TOMORROW = datetime.now(UTC) + timedelta(days=1)
XSS = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def web(site, tmp_path_factory):
    """A node with pages, and with jobs of every state."""
    site.link(CHORES)
    tables = {"plugin": {"web": {"port": 0}, "jobs": {"poll": 0.05}}}
    with run_web(tmp_path_factory.mktemp("jobs"), plugins=PLUGINS, **tables) as running:
        yield running


@pytest.fixture
def enqueue(web):
    """Return a function that enqueues a chore, as another process of the site does."""

    def enqueue(due=None, **arguments):
        async def call():
            async with open_database(web.node.data_directory) as database:
                queue = DatabaseJobQueue(database)
                await queue.start()
                key = f"<{arguments}>"
                return await queue.enqueue(NewJob("chores.append", arguments, due=due, key=key))

        with ThreadPoolExecutor(1) as pool:  # the browser has a loop in this thread
            return pool.submit(anyio.run, call).result()

    return enqueue


@pytest.fixture
def become(web):
    """Return a function that waits until a job is in a state, and returns it."""

    def become(number, state):
        def is_so():
            job = web.get(f"/api/jobs/{number}").json()
            return job if job["state"] == state else None

        return wait_for(is_so, f"job {number} is not {state}")

    return become


def post(web, path, **arguments):
    with web.client() as client:
        return client.post(path, **arguments)


def test_a_job_is_followed_and_cancelled(web, enqueue, become):
    number = enqueue(line="long", seconds=60.0)
    running = become(number, "running")
    wait_for(lambda: web.get(f"/api/jobs/{number}").json()["note"] == "half of it", "no progress")
    assert (running["kind"], running["arguments"]["line"]) == ("chores.append", "long")
    assert web.get("/api/jobs?state=running").json()["jobs"][0]["number"] == number
    asked = post(web, f"/api/jobs/{number}/cancel").json()
    assert asked["cancel_requested"] is True
    assert become(number, "cancelled")["done"] == 1
    again = post(web, f"/api/jobs/{number}/cancel")
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")


def test_what_was_given_up_is_tried_again(web, enqueue, become):
    number = enqueue(line="bad", failures=99)
    assert "try 3 fails" in become(number, "failed")["error"]
    assert post(web, f"/api/jobs/{number}/retry").json()["state"] == "waiting"
    assert become(number, "failed")["attempts"] == 3
    assert post(web, f"/api/jobs/{enqueue(TOMORROW, line='x')}/retry").status_code == 409


def test_pages_of_the_list(web, enqueue):
    numbers = [enqueue(line=f"n{n}") for n in range(5)]
    seen, query = [], "limit=2"
    while len(seen) < 5:
        page = web.get(f"/api/jobs?{query}").json()
        seen += [job["number"] for job in page["jobs"]]
        query = f"limit=2&before={seen[-1]}"
        assert page["has_more"] or len(page["jobs"]) < 2 or seen[-1] == 1
    assert seen[:5] == numbers[::-1]
    one = web.get("/api/jobs", params={"key": "<{'line': 'n3'}>", "kind": "chores.append,other"})
    assert [job["number"] for job in one.json()["jobs"]] == [numbers[3]]


def test_jobs_that_have_ended_are_forgotten(web, enqueue, become):
    number = enqueue(line="short")
    become(number, "succeeded")
    assert post(web, "/api/jobs/purge?older_than=1").json() == {"forgotten": 0}
    assert post(web, "/api/jobs/purge?kind=other").json() == {"forgotten": 0}
    assert post(web, "/api/jobs/purge").json()["forgotten"] >= 1
    assert web.get(f"/api/jobs/{number}").status_code == 404
    trail = web.node.data_directory / "audit" / "audit.jsonl"

    def steered():
        lines = [line for line in trail.read_text().splitlines() if '"jobs.steered"' in line]
        return [json.loads(line)["details"] for line in lines]

    purged = {"do": "purge", "states": "succeeded"}
    wait_for(lambda: purged in steered(), "it is not recorded")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/jobs?state=nonsense", 400),
        ("/api/jobs?states=failed", 400),
        ("/api/jobs?limit=0", 400),
        ("/api/jobs?before=x", 400),
        ("/api/jobs?before=" + "9" * 30, 400),
        ("/api/jobs/99999999", 404),
        ("/api/jobs/-1", 404),
        ("/api/jobs/²", 404),
        ("POST /api/jobs/purge?state=waiting", 400),
        ("POST /api/jobs/purge?state=", 400),
        ("POST /api/jobs/purge?older_than=-1", 400),
        ("POST /api/jobs/purge?older_than=nan", 400),
        ("POST /api/jobs/99999999/retry", 404),
        ("DELETE /api/jobs/1", 405),
    ],
)
def test_what_cannot_be_meant_is_refused(web, path, status):
    method, _, path = path.rpartition(" ")
    with web.client() as client:
        response = client.request(method or "GET", path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


def test_the_document_describes_it(web):
    document = web.get("/openapi.json").json()
    assert set(document["paths"]["/api/jobs/{number}/retry"]) == {"post"}
    described = document["components"]["schemas"]["Job"]["properties"]
    for job in web.get("/api/jobs").json()["jobs"]:
        assert set(job) == set(described)


def test_a_form_of_another_site_is_refused(web, enqueue):
    number = enqueue(TOMORROW, line="kept")
    for fields in ({}, {"csrf": "guessed"}):
        for path in (f"/ui/jobs/{number}/cancel", f"/ui/jobs/{number}/retry", "/ui/jobs/purge"):
            assert post(web, path, data=fields).status_code == 403
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert post(web, f"/api/jobs/{number}/cancel", headers=evil).status_code == 403
    assert web.get(f"/api/jobs/{number}").json()["cancel_requested"] is False


def test_nothing_of_a_job_is_markup(web, enqueue, become):
    number = enqueue(line=XSS, pointless=True)
    become(number, "failed")
    for path in (f"/ui/jobs/{number}", "/ui/jobs/", f"/ui/jobs/?kind={XSS}&key={XSS}&state=x"):
        page = web.get(path).text
        assert "<script>alert" not in page
    assert "&lt;script&gt;" in web.get(f"/ui/jobs/{number}").text


def test_every_text_is_in_german(web, enqueue, become):
    """No English text is left in the pages but what jobs themselves say."""
    become(enqueue(line="deutsch", failures=99), "failed")
    german = web.get("/ui/jobs/?lang=de").text
    assert '<html lang="de">' in german
    assert all(word in german for word in ("Gescheitert", "Wiederholen", "Vergessen", "Zustand"))
    assert re.findall(r">(Failed|Retry|Forget|State|Kind|Error)<", german) == []


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(("scheme", "language"), [("light", "en-US"), ("dark", "de-DE")])
def test_jobs_in_a_browser(web, browser, enqueue, become, scheme, language):
    """A job is followed and cancelled by what one sees, and tried again; axe finds nothing."""
    german = language == "de-DE"
    failed, running = enqueue(line="bad", failures=99), enqueue(line="slow", seconds=60.0)
    become(failed, "failed")
    become(running, "running")
    size = {"width": 1280, "height": 800}
    context = browser.new_context(
        color_scheme=scheme, locale=language, base_url=web.url, viewport=size
    )
    page = context.new_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto("/ui/")
    page.get_by_role("link", name="Jobs").click()
    page.locator(f"#cancel-{running}").wait_for()
    found = {"list": violations_of(page)}
    page.locator(f"#job-{running}").click()
    page.locator("progress").wait_for()
    found["job"] = violations_of(page)
    page.get_by_role("button", name="Abbrechen" if german else "Cancel").click()
    # Nothing is loaded again by hand: the page follows the job.
    page.get_by_text("Abgebrochen" if german else "Cancelled", exact=True).wait_for()
    page.goto("/ui/jobs/?state=failed")
    page.locator(f"#retry-{failed}").click()
    page.get_by_role("heading", name=str(failed)).wait_for()
    assert page.url.endswith(f"/ui/jobs/{failed}")
    page.goto("/ui/jobs/")
    page.get_by_role("button", name="Vergessen" if german else "Forget").click()
    page.get_by_role("status").wait_for()
    found["purged"] = violations_of(page)
    if shots := os.environ.get("SHOTS"):
        page.goto("/ui/jobs/")
        page.screenshot(path=f"{shots}/jobs-{scheme}.png", full_page=True)
        page.goto(f"/ui/jobs/{failed}")
        page.screenshot(path=f"{shots}/job-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
    assert {name: each for name, each in found.items() if each} == {}
    assert problems == []


def test_without_the_user_interface_there_is_the_api_and_no_page(tmp_path):
    tables = {"plugin": {"web": {"port": 0}, "jobs": {}}}
    with run_web(tmp_path, plugins=("database", "jobs"), **tables) as web:
        assert web.get("/api/jobs").json() == {"jobs": [], "has_more": False}
        assert web.get("/ui/jobs/").status_code == 404
        assert "/ui/jobs" not in web.get("/").text
        assert "/api/jobs/{number}" in web.get("/openapi.json").json()["paths"]
