"""Performed steps in the browser, as a modality and somebody at a desk see them."""

import os
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.database_steps import DatabasePerformedSteps
from pacs_sop_mpps.testing import sample_attributes

from pacs_core.dataset import tag_of

from .conftest import run_web
from .test_accessibility import violations_of

PLUGINS = ("web-ui", "database", "jobs", "sop-mpps", "sop-worklist")
NAME, DESCRIPTION = tag_of("PatientName"), tag_of("PerformedProcedureStepDescription")
LONG = "A description as long as a modality may make it, of a head and of all"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A node with two steps of each of two patients, made by another process of the site."""
    tables = {"plugin": {"web": {"port": 0}, "jobs": {}, "sop-mpps": {}, "sop-worklist": {}}}
    with run_web(tmp_path_factory.mktemp("mpps"), plugins=PLUGINS, **tables) as running:

        async def create():
            async with open_database(running.node.data_directory) as database:
                queue = DatabaseJobQueue(database)
                await queue.start()
                steps = DatabasePerformedSteps(database, queue, MppsConfig())
                await steps.start()
                for number, name in enumerate(("light", "light", "dark", "dark")):
                    own = {NAME: (f"Doe^{name}",), DESCRIPTION: (LONG,)}
                    await steps.create(f"1.2.3.{number}", {**sample_attributes(), **own})

        with ThreadPoolExecutor(1) as pool:
            pool.submit(anyio.run, create).result()
        yield running


@pytest.mark.peer("chromium")
@pytest.mark.parametrize(("scheme", "language"), [("light", "en-US"), ("dark", "de-DE")])
def test_a_step_is_found_and_discontinued_in_a_browser(web, browser, scheme, language):
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
    found = {}

    def look(name):
        found[name] = violations_of(page)
        if shots := os.environ.get("SHOTS"):
            page.screenshot(path=f"{shots}/mpps-{name}-{scheme}.png", full_page=True)

    page.goto("/ui/")
    steps = "Durchgeführte Schritte" if german else "Performed steps"
    page.get_by_role("link", name=steps).click()
    page.get_by_role("heading", name=steps).wait_for()
    look("list")
    page.locator("[name=PatientName]").press_sequentially("nobody")
    page.locator(".empty").wait_for()
    look("empty")
    page.goto("/ui/mpps/?PatientName=*" + scheme)
    page.get_by_role("link", name=f"Doe, {scheme}").first.click()
    page.get_by_role("heading", name=f"Doe, {scheme}").wait_for()
    look("step")
    page.get_by_role("button", name="Abbrechen" if german else "Discontinue").click()
    page.get_by_text("Abgebrochen" if german else "Discontinued", exact=True).wait_for()
    look("discontinued")
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("/ui/mpps/", page.url):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        look(f"narrow-{'list' if path.endswith('/') else 'step'}")
    context.close()
    assert {name: each for name, each in found.items() if each} == {}
    assert problems == []
