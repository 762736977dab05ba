"""Routes in the browser and over HTTP, with destinations that are away."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from pacs_core.testing.datasets import SampleStudy

from .conftest import run_web, wait_for
from .test_accessibility import violations_of

AWAY = {"ae_title": "AWAY", "host": "127.0.0.1", "port": 1}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A node with pages, and a rule for a peer that is always away."""
    tables = {
        "peers": {"away": AWAY},
        "plugin": {
            "web": {"port": 0},
            "jobs": {},
            "routing": {"first_pause": 0.1, "rules": {"all": {"to": ["away"]}}},
        },
    }
    plugins = ("web-ui", "database", "jobs", "routing")
    with run_web(tmp_path_factory.mktemp("routes"), plugins=plugins, **tables) as running:
        yield running


@pytest.fixture
def waiting(web):
    """A study of two instances that wait for the peer."""
    study = SampleStudy()
    samples = [study.make("CT") for _ in range(2)]

    async def send():
        proposals = [Proposal(samples[0].sop_class_uid, (EXPLICIT,))]
        async with connect(web.node.peer, proposals) as association:
            for sample in samples:
                uid, content = sample.sop_instance_uid, sample.encode()
                assert (await association.c_store(sample.sop_class_uid, uid, content)).status == 0

    with ThreadPoolExecutor(1) as pool:  # the browser has a loop in this thread
        pool.submit(anyio.run, send).result()
    wait_for(lambda: len(found(web, study=study.study_instance_uid)) == 2, "nothing waits")
    return study.study_instance_uid


def found(web, **given):
    return web.get("/api/routes/deliveries", params=given).json()["deliveries"]


def post(web, path, **arguments):
    with web.client() as client:
        return client.post(path, **arguments)


def states(web, study):
    return {each["state"] for each in found(web, study=study)}


def test_what_waits_is_seen_cancelled_and_tried_again(web, waiting):
    whole = web.get("/api/routes/").json()
    assert whole["rules"] == [{"rule": "all", "on": "instance", "to": ["away"]}]
    assert {(each["rule"], each["peer"]) for each in whole["totals"]} == {("all", "away")}
    one, other = (each["instance"] for each in found(web, study=waiting))
    page = web.get(f"/api/routes/deliveries?study={waiting}&limit=1").json()
    assert page["has_more"] is True
    number = page["deliveries"][0]["number"]
    assert [each["instance"] for each in found(web, study=waiting, before=number)] == [other]

    assert post(web, f"/api/routes/cancel?instance={one}").json() == {"deliveries": 1}
    assert states(web, waiting) == {"waiting", "cancelled"}
    assert post(web, f"/api/routes/cancel?study={waiting}").json() == {"deliveries": 1}
    assert states(web, waiting) == {"cancelled"}
    assert post(web, f"/api/routes/retry?study={waiting}&peer=away").json() == {"deliveries": 2}
    assert states(web, waiting) == {"waiting"}

    trail = web.node.data_directory / "audit" / "audit.jsonl"
    wanted = {"do": "retry", "to": "away", "study": waiting}

    def steered():
        lines = [line for line in trail.read_text().splitlines() if '"routing.steered"' in line]
        return [json.loads(line)["details"] for line in lines]

    wait_for(lambda: wanted in steered(), "it is not recorded")


@pytest.mark.parametrize(
    "path",
    ["retry", "cancel", "cancel?peers=away", "retry?state=failed"],
)
def test_whoever_says_nothing_does_not_mean_everything(web, path):
    answer = post(web, f"/api/routes/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_the_page_says_it_in_english_and_german(web, waiting):
    english = web.get(f"/ui/routes/?study={waiting}").text
    assert all(word in english for word in ("Waiting", "Routes", "Cancel", "away"))
    german = web.get(f"/ui/routes/?study={waiting}", headers={"accept-language": "de"}).text
    assert all(word in german for word in ("Wartet", "Wege", "Abbrechen"))
    assert re.findall(r">(Waiting|Routes|Cancel|Retry|Peer|Rule|State)<", german) == []
    assert "/api/routes/cancel" in web.get("/openapi.json").json()["paths"]


@pytest.mark.peer("chromium")
def test_routes_in_a_browser(web, browser, waiting):
    """What waits is cancelled and tried again by what one sees; axe finds nothing."""
    context = browser.new_context(base_url=web.url, locale="en-US")
    page = context.new_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto("/ui/")
    page.get_by_role("link", name="Routes").click()
    page.goto(f"/ui/routes/?study={waiting}")
    number = found(web, study=waiting)[0]["number"]
    page.locator(f"#cancel-{number}").click()
    page.locator(f"#cancel-{number}").wait_for(state="detached")
    assert states(web, waiting) == {"waiting", "cancelled"}
    violations = violations_of(page)
    page.locator(f"#retry-{number}").click()
    page.locator(f"#cancel-{number}").wait_for()
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
    assert violations == []
    assert problems == []
