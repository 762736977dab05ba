"""The pages in a browser: search as one types, upload by dropping, and nothing that is refused."""

import io
import zipfile

import pytest

from pacs_core.testing.datasets import SampleStudy

from .conftest import run_web, wait_for
from .test_ui import PLUGINS, part10, study_of, upload

pytestmark = [pytest.mark.peer("chromium")]

DROP = """
async ([target, files]) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of files)
    transfer.items.add(new File([new Uint8Array(bytes)], name));
  const send = (kind) => document.querySelector(target).dispatchEvent(
    new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  send("dragover");
  send("drop");
}
"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A node with pages."""
    config = {"plugin": {"web": {"port": 0}, "web-ui": {"deletion": True}}}
    with run_web(tmp_path_factory.mktemp("browser"), plugins=PLUGINS, **config) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def page(browser, ui, request):
    """A page of which the browser refuses nothing, and in which nothing fails."""
    context = browser.new_context(color_scheme=request.param, base_url=ui.url, locale="en-US")
    page = context.new_page()
    problems = []
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    # What the node refuses to store, the browser reports as well.
    assert [each for each in problems if "409" not in each and "400" not in each] == []


def test_the_list_follows_what_is_typed(ui, page):
    upload(ui, study_of("Doe^Jane") + study_of("Roe^Richard"))
    page.goto("/")
    page.get_by_role("link", name="Doe, Jane").first.wait_for()
    page.get_by_label("Search").fill("richard")
    wait_for(lambda: "Doe" not in page.locator("tbody").inner_text(), "nothing happens")
    assert "Roe, Richard" in page.locator("tbody").inner_text()
    assert "q=richard" in page.url
    page.get_by_label("Search").fill("nobody at all")
    page.get_by_text("No study matches.").wait_for()


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_long_values_leave_room_for_the_rest(ui, browser, width):
    """A name and an ID of 64 characters (PS3.5 Table 6.2-1): every column is seen at once."""
    description = "Thorax-Abdomen-Becken mit KM portalvenös, Verlaufskontrolle"
    long = {"PatientName": "X" * 64, "PatientID": "LONG" + "P" * 60, "AccessionNumber": "A" * 16}
    upload(ui, [SampleStudy().make("CT", StudyDescription=description, **long)])
    context = browser.new_context(
        base_url=ui.url, locale="de-DE", viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    page.goto("/ui/?PatientID=LONG*")
    assert page.locator("tbody tr").count()
    edge = page.locator(".scroll").evaluate("(each) => each.getBoundingClientRect().right")
    ends = page.locator("tbody td").evaluate_all(
        """(cells) => cells.map((cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return range.getBoundingClientRect().right;
        })"""
    )
    assert max(ends) <= edge
    context.close()


def test_a_word_stands_for_what_has_no_picture(ui, browser):
    upload(ui, [SampleStudy().make("SR", PatientName="Doe^Report", Modality="SR")])
    page = browser.new_context(base_url=ui.url, locale="en-US").new_page()
    page.goto("/ui/?q=report")
    page.get_by_role("link", name="Doe, Report").first.click()
    picture = page.locator(".cards .picture")
    wait_for(lambda: picture.inner_text() == "SR", "no word stands for the picture")
    assert page.locator(".cards img").count() == 0
    page.context.close()


def test_a_person_finds_the_way_to_an_image_and_back(ui, page):
    upload(ui, study_of("Doe^Way"))
    page.goto("/ui/?q=way")
    page.get_by_role("link", name="Doe, Way").first.click()
    page.locator(".cards a").first.click()
    page.locator(".cards a").first.click()
    picture = page.locator(".image img")
    picture.wait_for()
    wait_for(lambda: picture.evaluate("(image) => image.naturalWidth"), "there is no picture")
    page.get_by_role("link", name="Studies").first.click()
    page.locator("h1", has_text="Studies").wait_for()


def test_files_that_are_dropped_are_stored(ui, page):
    name = f"Dropped^{'Dark' if page.evaluate(SCHEME) else 'Light'}"
    files = [[f"{n}.dcm", list(part10(each))] for n, each in enumerate(study_of(name))]
    page.goto("/")
    page.evaluate(DROP, ["body", [*files, ["notes.txt", [1, 2, 3]]]])
    page.get_by_text("2 / 2, 1 not DICOM – Done").wait_for()
    page.get_by_role("link", name=name.replace("^", ", ")).wait_for()
    assert page.locator("#uploads .problem").count() == 0
    found = ui.get(f"/api/studies?PatientName={name}").json()["studies"]
    assert [each["number_of_study_related_instances"] for each in found] == [2]


def drop_from_disk(page, path):
    """Drop a file or folder as a file manager does, which a script of the page cannot."""
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    # A hand hovers for more than one event: the page changes under it.
    for kind in ("dragEnter", "dragOver", "dragOver", "drop"):
        place = {"type": kind, "x": 200, "y": 200, "data": data}
        devtools.send("Input.dispatchDragEvent", place)
    devtools.detach()


def test_a_folder_that_is_dropped_is_stored_with_all_that_is_in_it(ui, page, tmp_path):
    """A browser lists a hundred entries of a folder at a time: there are more."""
    name = f"Folder^{'Dark' if page.evaluate(SCHEME) else 'Light'}"
    study = SampleStudy()
    folders = tmp_path / "CD", tmp_path / "CD" / "A", tmp_path / "CD" / "A" / "B \u00e4 %2f"
    (tmp_path / "CD" / "empty").mkdir(parents=True)
    for folder, count in zip(folders, (1, 2, 120), strict=True):
        folder.mkdir(exist_ok=True)
        for number in range(count):
            content = part10(study.make("CT", PatientName=name))
            (folder / f"IM{number:03}").write_bytes(content)
    page.goto("/")
    drop_from_disk(page, tmp_path / "CD")
    page.get_by_text("123 / 123 \u2013 Done").wait_for()
    page.get_by_role("link", name=name.replace("^", ", ")).wait_for()
    found = ui.get(f"/api/studies?PatientName={name}").json()["studies"]
    assert [each["number_of_study_related_instances"] for each in found] == [123]


def test_a_disc_that_is_dropped_has_more_than_images(ui, page, tmp_path):
    """What is no DICOM file is counted, and what is one and is refused has a reason."""
    name = f"Disc^{'Dark' if page.evaluate(SCHEME) else 'Light'}"
    image, torn = (part10(each) for each in study_of(name))
    bare = study_of(name)[0]
    disc = {
        "DICOMDIR": b"x", ".DS_Store": b"x", "IMAGES/._IM1": b"x", "desktop.ini": b"x",
        "AUTORUN.INF": b"[autorun]", "VIEWER/viewer.exe": b"MZ" + bytes(1000), "empty": b"",
        "IMAGES/IM1": image, "IMAGES/IM2": torn[:-3], "IMAGES/BARE": bare.encode(),
    }  # fmt: skip
    for path, content in disc.items():
        (tmp_path / "CD" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "CD" / path).write_bytes(content)
    page.goto("/")
    drop_from_disk(page, tmp_path / "CD")
    page.get_by_text("3 / 3, 3 not DICOM, 1 failed – Done").wait_for()
    page.get_by_role("link", name=name.replace("^", ", ")).first.wait_for()
    (problem,) = page.locator("#uploads .problem").all_inner_texts()
    assert problem.startswith("IM2: malformed dataset")
    found = ui.get(f"/api/studies?PatientName={name}").json()["studies"]
    assert sum(each["number_of_study_related_instances"] for each in found) == 2


BROKEN = """
() => {
  const problem = new DOMException("the disc is scratched", "NotReadableError");
  const wrap = (entry) => ({
    name: entry.name,
    isFile: entry.isFile,
    file: (done, fail) => entry.name === "scratched" ? fail(problem) : entry.file(done, fail),
    createReader: () => {
      const reader = entry.createReader();
      const readEntries = (done, fail) => entry.name === "broken" ? fail(problem)
        : reader.readEntries((some) => done(some.map(wrap)), fail);
      return { readEntries };
    },
  });
  const { webkitGetAsEntry } = DataTransferItem.prototype;
  DataTransferItem.prototype.webkitGetAsEntry = function () {
    return wrap(webkitGetAsEntry.apply(this));
  };
  const { slice } = File.prototype;
  const torn = { arrayBuffer: () => Promise.reject(problem) };
  File.prototype.slice = function (...range) {
    return this.name === "torn" ? torn : slice.apply(this, range);
  };
}
"""


def test_what_cannot_be_read_keeps_nothing_else_away(ui, page, tmp_path):
    """Of a folder on a disc that is damaged, what can be read is stored."""
    name = f"Damaged^{'Dark' if page.evaluate(SCHEME) else 'Light'}"
    study = SampleStudy()
    folder = tmp_path / "CD"
    for path in ("a", "scratched", "torn", "broken/b", "z/c", "z/scratched"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(part10(study.make("CT", PatientName=name)))
    page.goto("/")
    page.evaluate(BROKEN)
    drop_from_disk(page, folder)
    page.get_by_text("2 / 2 – Done").wait_for()
    page.get_by_role("link", name=name.replace("^", ", ")).wait_for()
    problems = sorted(page.locator("#uploads .problem").all_inner_texts())
    names = "broken", "scratched", "scratched", "torn"
    assert problems == [f"{each}: the disc is scratched" for each in names]
    found = ui.get(f"/api/studies?PatientName={name}").json()["studies"]
    assert [each["number_of_study_related_instances"] for each in found] == [2]


def test_a_zip_file_that_is_dropped_is_opened(ui, page):
    name = f"Zipped^{'Dark' if page.evaluate(SCHEME) else 'Light'}"
    files = [(f"a/{n}.dcm", part10(each)) for n, each in enumerate(study_of(name))]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in [*files, ("a/notes.txt", b"?"), ("inner.zip", b"PK\x03\x04")]:
            archive.writestr(path, content)
    page.goto("/")
    broken = ["half.zip", list(target.getvalue()[:2000])]
    page.evaluate(DROP, ["body", [["study.zip", list(target.getvalue())], broken]])
    page.get_by_text("study.zip: 2 / 4, 1 not DICOM, 1 failed – Done").wait_for()
    page.get_by_role("link", name=name.replace("^", ", ")).wait_for()
    page.get_by_text("half.zip: this is no zip file").wait_for()
    page.wait_for_load_state("networkidle")
    assert "inner.zip" in page.locator("#uploads .problem").first.inner_text()
    found = ui.get(f"/api/studies?PatientName={name}").json()["studies"]
    assert [each["number_of_study_related_instances"] for each in found] == [2]


SCHEME = "matchMedia('(prefers-color-scheme: dark)').matches"


def test_a_study_is_deleted_by_hand(ui, page):
    upload(ui, study_of("Delete^Me"))
    page.goto("/ui/?q=delete")
    page.get_by_role("link", name="Delete, Me").first.click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.locator("h1", has_text="Studies").wait_for()
    wait_for(lambda: ui.get("/api/studies?q=delete").json()["total"] == 0, "it is still there")
