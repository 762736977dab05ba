"""Signing in and out in a browser: what somebody sees who may, who guesses, and who has left."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from .conftest import run_web
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


def test_who_guesses_is_told_to_wait(page):
    """And is told the same for a name that nobody has; the right password is not looked at."""
    for name in ("bob", "nobody"):
        page.goto("/auth/login")
        for _ in range(6):
            sign_in(page, name, "a wrong password")
            page.get_by_role("alert").wait_for()
        said = page.get_by_role("alert").inner_text()
        assert "again" in said, said
        sign_in(page, name)
        page.get_by_role("alert").wait_for()
        assert "Doe" not in page.content()
        assert page.url.partition("?")[0].endswith("/auth/login")
