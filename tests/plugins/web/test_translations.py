"""Texts of the pages: each has a German one, in every plugin, and none is past the translator."""

import ast
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from .conftest import run_web, wait_for
from .test_ui import PLUGINS, studies, study_of, upload

ROOT = Path(__file__).parents[3]
FOLDERS = sorted(
    path.parent
    for group in ("plugins", "contrib")
    for path in ROOT.glob(f"{group}/*/src/**/locale")
)
UI = ROOT / "plugins/pacs-web-ui/src/pacs_web_ui"
VERBATIM = {"UTC", "ms", "min", "mm", "mV", "Hz", "SHA", "Esc", "OHIF", "Viewer", "Jobs"}
"""Words that are the same in every language."""

CODE = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
SHOWN = {"aria-label", "title", "alt", "placeholder"}


def texts_of(folder):
    german = {}
    for path in sorted((folder / "locale").rglob("de.toml")):
        german |= tomllib.loads(path.read_text(encoding="utf-8"))
    return german


def templates():
    return [path for folder in FOLDERS for path in sorted((folder / "templates").rglob("*.html"))]


class Words(HTMLParser):
    """Gathers what people see or hear of a page."""

    def __init__(self):
        super().__init__()
        self.found = []
        self._silent = False

    def handle_starttag(self, tag, attrs):
        self._silent = tag in {"script", "style"}
        self.found += [value for name, value in attrs if name in SHOWN and value]

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        if not self._silent and data.strip():
            self.found.append(" ".join(data.split()))


def words_of(page):
    reader = Words()
    reader.feed(page.replace("<wbr>", ""))
    return reader.found


def test_there_are_folders():
    assert UI in FOLDERS
    assert len(FOLDERS) >= 6


@pytest.mark.parametrize("path", templates(), ids=lambda path: path.name)
def test_templates_have_no_words_of_their_own(path):
    text = CODE.sub(" ", path.read_text(encoding="utf-8"))
    words = {word for each in words_of(text) for word in re.findall(r"[A-Za-z]{2,}", each)}
    assert words <= VERBATIM


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parts[-3])
def test_every_text_of_a_template_is_translated(folder):
    used = {
        text
        for path in (folder / "templates").rglob("*.html")
        for text in re.findall(r"""\bt\(["']([^"']+)["']\)""", path.read_text(encoding="utf-8"))
    }
    german = texts_of(UI) | texts_of(folder)
    assert used - german.keys() == set()
    assert all(german.values())


def test_every_entry_of_the_navigation_has_a_german_title():
    """Names of programs are the same in every language."""
    lacking = []
    for group in ("plugins", "contrib"):
        for path in ROOT.glob(f"{group}/*/src/**/*.py"):
            source = path.read_text(encoding="utf-8")
            if "NavigationEntry(" not in source:
                continue
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "NavigationEntry":
                    given = [*node.args, *(each.value for each in node.keywords)]
                    names = {ast.literal_eval(e) for e in given[:1] if isinstance(e, ast.Constant)}
                    translated = [each for each in given if not isinstance(each, ast.Constant)]
                    if not translated and not names <= VERBATIM:
                        lacking.append(f"{path}: {names}")
                    elif names <= VERBATIM or any("de" in ast.unparse(e) for e in translated):
                        continue
                    elif not any(isinstance(e, ast.Name) for e in translated):
                        lacking.append(f"{path}: {names}")
    assert lacking == []


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """A node with something on every page."""
    tables = {
        "peers": {"nobody": {"ae_title": "NOBODY", "host": "127.0.0.1", "port": 1}},
        "plugin": {"web": {"port": 0}, "web-ui": {"deletion": True}},
    }
    folder = tmp_path_factory.mktemp("ui")
    with run_web(folder, plugins=(*PLUGINS, "audit-json"), **tables) as running:
        upload(running, study_of("Doe^Jane", PatientID="P1", StudyDescription="Thorax"))
        yield running


def test_nothing_is_in_english_on_a_german_page(ui):
    """Also what is named in Python: kinds of events and their details, states, charts, sections."""
    german = {key: text for folder in FOLDERS for key, text in texts_of(folder).items()}
    english = {key.partition("|")[0] for key, text in german.items() if text != key} - {
        *german.values(), "Patient", "Name", "of"
    }  # fmt: skip
    (study,) = studies(ui, "PatientID=P1")["studies"]
    at = f"/studies/{study['study_instance_uid']}"
    (series,) = ui.get(f"/api{at}/series").json()
    of_series = f"{at}/series/{series['series_instance_uid']}"
    instance = ui.get(f"/api{of_series}/instances").json()[0]["sop_instance_uid"]
    assert ui.get(f"/dicom-web{of_series}/instances/{instance}/rendered").status_code == 200
    paths = ["/ui/", "/ui/query", "/ui/node", "/ui/node/configuration", "/ui/studies/1.2.3"]
    paths += [f"/ui{at}", f"/ui{at}/history", f"/ui{at}/delete", f"/ui{of_series}"]
    paths += [f"/ui{of_series}/instances/{instance}", f"/ui/viewer/{study['study_instance_uid']}"]
    left = {}
    for path in paths:
        response = ui.get(path, headers={"accept-language": "de", "accept": "text/html"})
        assert '<html lang="de">' in response.text, path
        # Warnings are those of the log.
        words = words_of(
            re.sub('<ul class="warnings">.*?</ul>', "", response.text, flags=re.DOTALL)
        )
        pieces = {piece.strip(" :;.–") for word in words for piece in re.split(r"[:;]", word)}
        # Keywords of attributes are in English everywhere.
        keywords = {"Manufacturer", "Modality"} if path.endswith(instance) else set()
        left[path] = (pieces | set(words)) & english - keywords
    assert {path: words for path, words in left.items() if words} == {}
    german_page = {"accept-language": "de"}
    for text in ("Über das Web gespeichert", "Als Bild: ja; Instanzen: <bdi>1</bdi>"):
        wait_for(
            lambda text=text: text in ui.get(f"/ui{at}/history", headers=german_page).text, text
        )
