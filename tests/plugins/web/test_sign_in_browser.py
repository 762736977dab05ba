"""Signing in and out in a browser: what somebody sees who may, who guesses, and who has left."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from pacs_auth_local.config import Lockout
from pacs_auth_local.database import IdentityFile
from pacs_auth_local.failures import count_failure

from .conftest import run_web
from .test_accessibility import violations_of
from .test_sign_in import PASSWORD, PLUGINS, pacs
from .test_ui import study_of, upload

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.peer("chromium")]


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A node with a study of Jane Doe, and users who may see it."""
    plugins = (*PLUGINS, "store-filesystem", "index-sqlite", "sop-storage")
    tables = {"plugin": {"web": {"port": 0}}}
    with run_web(tmp_path_factory.mktemp("sign-in"), plugins=plugins, **tables) as running:
        upload(running, study_of("Doe^Jane"))
        for name in ("alice", "bob"):
            command = ("users", "add", name, "--role", "physicians")
            with ThreadPoolExecutor() as pool:  # in this thread the browser's event loop runs
                pool.submit(pacs, running, *command, stdin=PASSWORD + "\n").result()
        yield running


@pytest.fixture
def page(browser, ui):
    """A page in which nothing fails but what the node refuses."""
    context = browser.new_context(base_url=ui.url, locale="en-US")
    page = context.new_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    refused = ("401", "403", "429")
    assert [each for each in problems if not any(code in each for code in refused)] == []


def sign_in(page, name, password=PASSWORD):
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_somebody_signs_in_and_out(page):
    """They get where they were going; once they have left, the way back shows nothing."""
    page.goto("/ui/?q=doe")
    assert page.url.partition("?")[0].endswith("/auth/login")
    assert "Doe" not in page.content()
    sign_in(page, "alice", "a wrong password")
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Password").input_value() == ""
    sign_in(page, "alice")
    page.get_by_role("link", name="Doe, Jane").first.wait_for()
    assert page.url.endswith("/ui/?q=doe")
    page.get_by_role("link", name="Doe, Jane").first.click()
    page.get_by_role("heading", name="Doe, Jane").first.wait_for()
    study = page.url
    page.get_by_role("link", name="alice").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_label("Password").wait_for()
    for _ in range(4):
        with suppress(sync_api.Error):  # of what a form has brought the browser keeps nothing
            page.go_back()
        assert "Doe" not in page.locator("body").inner_text()
    page.goto(study)
    assert "Doe" not in page.content()
    assert page.url.partition("?")[0].endswith("/auth/login")


def lengthen_the_wait(ui, name):
    """Let more guesses from elsewhere make the wait longer than the slowest browser takes."""
    file = IdentityFile(ui.node.data_directory / "auth-local")
    with file.transaction() as connection:
        for _ in range(8):
            count_failure(connection, name, "elsewhere", Lockout())
    file.close()


def test_who_guesses_is_told_to_wait(page, ui):
    """And is told the same for a name that nobody has; the right password is not looked at."""
    for name in ("bob", "nobody"):
        page.goto("/auth/login")
        for _ in range(6):
            sign_in(page, name, "a wrong password")
            page.get_by_role("alert").wait_for()
        said = page.get_by_role("alert").inner_text()
        assert "again" in said, said
        lengthen_the_wait(ui, name)
        sign_in(page, name)
        page.get_by_role("alert").wait_for()
        assert "Doe" not in page.content()
        assert page.url.partition("?")[0].endswith("/auth/login")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_pages_outside_of_the_user_interface(browser, ui, scheme, width):
    """axe finds nothing on them, and they fit a narrow window (WCAG 2.2, 1.4.10)."""
    context = browser.new_context(
        base_url=ui.url,
        locale="de-DE",
        color_scheme=scheme,
        viewport={"width": width, "height": 640},
    )
    page, found = context.new_page(), {}

    def look(heading):
        assert page.get_by_role("heading", level=1).inner_text() == heading
        assert page.evaluate("document.documentElement.scrollWidth") <= width, heading
        found[heading] = violations_of(page)

    page.goto("/auth/login")
    look("Anmelden")
    page.get_by_label("Name").fill("alice<b>")
    page.get_by_label("Passwort").fill("a wrong password")
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Name").input_value() == "alice<b>"
    found["wrong"] = violations_of(page)
    page.get_by_label("Name").fill("alice")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/")
    page.goto("/auth/")
    look("Konto")
    page.goto("/no/such/page")
    look("Hier ist nichts")
    page.get_by_role("link", name="Zur Startseite").click()
    page.wait_for_url("**/ui/")
    context.close()
    assert {where: problems for where, problems in found.items() if problems} == {}
