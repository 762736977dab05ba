"""Accessibility of the pages: axe finds nothing on any, they reflow, and need no mouse (WCAG 2.2).

Rules are those of levels A and AA, and what axe calls best practice.
"""

import pytest

from pacs_core.testing.peer_programs import find_free_port

from .conftest import run_web
from .test_ui import PLUGINS, studies, study_of, upload

pytestmark = [pytest.mark.peer("chromium")]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
STEPS = 60
"""Keystrokes after which what is looked for cannot be reached."""


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A node that is its own peer, with something on every page."""
    port = find_free_port()
    peers = {
        "self": {"ae_title": "PACS", "host": "127.0.0.1", "port": port},
        "nobody": {"ae_title": "NOBODY", "host": "127.0.0.1", "port": 1},
    }
    tables = {
        "node": {"port": port},
        "peers": peers,
        "plugin": {"web": {"port": 0}, "web-ui": {"deletion": True}},
    }
    with run_web(tmp_path_factory.mktemp("ui"), plugins=PLUGINS, **tables) as running:
        upload(running, study_of("Doe^Jane", PatientID="P1", StudyDescription="Thorax"))
        yield running


@pytest.fixture
def open_page(browser, ui):
    """Return a function that opens a page of a browser with such preferences."""
    contexts = []

    def open_page(scheme="light", language="en-US", **viewport):
        size = {"width": 1280, "height": 800} | viewport
        context = browser.new_context(
            color_scheme=scheme, locale=language, base_url=ui.url, viewport=size
        )
        contexts.append(context)
        return context.new_page()

    yield open_page
    for each in contexts:
        each.close()


@pytest.fixture(scope="module")
def paths(ui):
    """Addresses of every page that can be had by its address."""
    (study,) = studies(ui, "PatientID=P1")["studies"]
    at = f"/studies/{study['study_instance_uid']}"
    (series,) = ui.get(f"/api{at}/series").json()
    of_series = f"{at}/series/{series['series_instance_uid']}"
    instance = ui.get(f"/api{of_series}/instances").json()[0]["sop_instance_uid"]
    below = ["", "/history", "/delete", of_series.removeprefix(at)]
    below.append(f"{below[-1]}/instances/{instance}")
    return [
        "/ui/",
        "/ui/?q=nobody-at-all",
        "/ui/?from=nonsense",
        "/ui/query",
        "/ui/query?peer=self",
        "/ui/query?peer=nobody",
        "/ui/node",
        "/ui/node/configuration",
        "/ui/studies/1.2.3",
        f"/ui/viewer/{study['study_instance_uid']}",
        *(f"/ui{at}{each}" for each in below),
    ]


def transfer(page):
    """Go to the end of a transfer, which has no address of its own."""
    page.goto("/ui/query?peer=self")
    page.locator("td.act button").first.click()
    page.locator(".finished").wait_for()


def violations_of(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    options = {"runOnly": {"type": "tag", "values": RULES}}
    found = axe.Axe().run(page, options=options).response["violations"]
    return [(each["id"], node["html"]) for each in found for node in each["nodes"]]


@pytest.mark.parametrize(("scheme", "language"), [("light", "en-US"), ("dark", "de-DE")])
def test_axe_finds_nothing(open_page, paths, scheme, language):
    page = open_page(scheme, language)
    found = {}
    for path in paths:
        page.goto(path)
        assert page.locator("html").get_attribute("lang") == language[:2]
        found[path] = violations_of(page)
    transfer(page)
    found["transfer"] = violations_of(page)
    page.goto("/ui/node")
    page.locator("td form button").first.click()
    page.locator("td [role=status]").first.wait_for()
    found["echo"] = violations_of(page)
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_pages_fit_a_narrow_window(open_page, paths):
    """Nothing but tables scrolls to the side at 320 pixels (WCAG 2.2, 1.4.10)."""
    page = open_page(width=320, height=640)
    widths = {}
    for path in paths:
        page.goto(path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in widths.items() if width > 320} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_out_of_sight_on_a_telephone(open_page, paths, scheme):
    """Records are cards there, and axe finds nothing either."""
    page = open_page(scheme, width=390, height=844)
    scrolled, found = {}, {}
    for path in paths:
        page.goto(path)
        scrolled[path] = page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('.records tbody, .dataset')].map("
            "(each) => each.scrollWidth - each.closest('.scroll').clientWidth))"
        )
        found[path] = violations_of(page)
    assert {path: width for path, width in scrolled.items() if width} == {}
    assert {path: problems for path, problems in found.items() if problems} == {}
    page.goto("/ui/")
    assert (
        page.locator(".records tbody tr").first.evaluate("(row) => getComputedStyle(row).display")
        == "grid"
    )


def tab_to(page, selector):
    """Press Tab until something has the focus, and can be seen to have it."""
    for _ in range(STEPS):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            style = "getComputedStyle(document.activeElement).outlineStyle"
            around = "getComputedStyle(document.activeElement.closest('label, a, button') || " \
                     "document.activeElement).outlineStyle"  # fmt: skip
            assert "solid" in (page.evaluate(style), page.evaluate(around)), selector
            return
    raise AssertionError(f"{selector} cannot be reached")


def test_the_keyboard_is_enough(ui, open_page):
    """From the list to a study, a series, and to send it."""
    page = open_page()
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    tab_to(page, "a.row")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Doe, Jane").wait_for()
    tab_to(page, ".cards a")
    page.keyboard.press("Enter")
    page.locator(".cards.small").wait_for()
    tab_to(page, ".trail a:last-child")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Doe, Jane").wait_for()
    tab_to(page, "select[name=peer]")
    page.keyboard.press("s")
    assert page.locator("select[name=peer]").input_value() == "self"
    tab_to(page, "form.inline button")
    page.keyboard.press("Enter")
    page.get_by_text("2 / 2 sent").last.wait_for()
    page.get_by_text("Done").wait_for()
    tab_to(page, ".finished a")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Doe, Jane").wait_for()


def test_a_transfer_is_cancelled_by_a_link(open_page):
    page = open_page()
    transfer(page)
    assert not page.locator(".stop").is_visible()  # there is nothing to cancel any more
    assert page.locator(".steps > :visible").count() == 1
