"""First contentful paint of pages, in headless Chromium beside the node on the same machine.

``uv run python -m tests.benchmarks.paint`` prints a row for each page: milliseconds from asking for
it until something of it is seen (Paint Timing, W3C), the first time, and the median and the most of
further times, each in a browser context of its own, which has nothing in its cache.
"""

import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from pacs_core.testing.peer_programs import find_free_port

from . import data
from .client import PeerError
from .contestant import running
from .contestants import CONTESTANTS
from .workloads.web import Web

_STUDIES = 100
_TIMES = 15
_PAINTED = """() => new Promise(done => new PerformanceObserver(list => {
    const found = list.getEntriesByName("first-contentful-paint");
    if (found.length) done(found[0].startTime);
}).observe({type: "paint", buffered: true}))"""


def _paint(browser: Browser, url: str) -> float:
    context = browser.new_context()
    try:
        page = context.new_page()
        response = page.goto(url)
        if response is None or not response.ok:
            raise PeerError(f"{url} cannot be had")
        return float(page.evaluate(_PAINTED))
    finally:
        context.close()


def _rows(browser: Browser, root: str) -> Iterator[str]:
    pages = {
        "studies": "/ui/",
        "a study": f"/ui/studies/{data.study_uid(1)}",
        "the node": "/ui/node",
    }
    for name, path in pages.items():
        first, *others = (_paint(browser, root + path) for _ in range(_TIMES))
        yield f"| {name} | {first:.0f} | {median(others):.0f} | {max(others):.0f} |"


def main() -> None:
    """Print the table."""
    ours = next(each for each in CONTESTANTS if each.name == "ours-web")
    shape, port = data.SHAPES["tiny"], find_free_port()
    with tempfile.TemporaryDirectory() as name, running(ours, Path(name) / "node", port):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        files = [data.part10(shape, each, each, each) for each in range(_STUDIES)]
        Web("/dicom-web", connection).store(files)
        connection.close()
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"]  # as root, Chromium's sandbox cannot be had
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=arguments
            )
            print("| page | first, ms | then, ms | at most |")
            for row in _rows(browser, f"http://127.0.0.1:{port}"):
                print(row, flush=True)
            browser.close()


if __name__ == "__main__":
    main()
