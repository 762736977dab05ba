"""Parts of the viewer: display sets, reports, texts."""

import re
import tomllib
from pathlib import Path

import pacs_web_ui
import pytest
from hypothesis import given, strategies as st
from pacs_web_ui.studies import Instance, Series
from pacs_web_ui.viewer.display_sets import divide, kind_of, number_of

FOLDER = Path(pacs_web_ui.__file__).parent
CT, SR, PDF, CDA, VIDEO, PLAN = (
    f"1.2.840.10008.5.1.4.1.1.{number}"
    for number in ("2", "88.33", "104.1", "104.2", "77.1.4.1", "481.5")
)


def test_german_has_every_text_and_no_other():
    sources = [*(FOLDER / "viewer/static").glob("*.js"), *(FOLDER / "templates/viewer").glob("*")]
    used = {
        text
        for path in sources
        for text in re.findall(r'\bt\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    # What a report says of itself is named in Python.
    used |= {
        *("complete", "partial", "preliminary", "final", "verified", "unverified"),
        *("Verified by", "Institution", "Manufacturer", "Sex", "Study", "State", "Report"),
        *("Frame", "Segment", "Channels", "The report goes on, but is too large to be shown."),
    }
    shared = tomllib.loads((FOLDER / "locale/de.toml").read_text(encoding="utf-8"))
    german = tomllib.loads((FOLDER / "locale/viewer/de.toml").read_text(encoding="utf-8"))
    assert used - shared.keys() <= german.keys() <= used
    assert all(german.values())


def test_modules_refer_to_modules_that_are_there():
    modules = {path.name: path.read_text() for path in (FOLDER / "viewer/static").glob("*.js")}
    for name, text in modules.items():
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= modules.keys(), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b", text), name


@pytest.mark.parametrize(
    ("sop_class", "rows", "kind"),
    [
        (CT, 512, "images"),
        (SR, 0, "report"),
        (PDF, 0, "document"),
        (CDA, 0, "text"),
        (VIDEO, 1080, "video"),
        (PLAN, 0, "other"),
    ],
)
def test_instances_are_shown_as_what_they_are(sop_class, rows, kind):
    assert kind_of(Instance(sop_class_uid=sop_class, rows=rows, columns=rows)) == kind


def image(uid, frames=0):
    return Instance(uid, CT, "1", 512, 512, frames)


def test_images_of_a_series_are_one_set_and_cines_are_their_own():
    found = divide(Series("1"), [image("1.1"), image("1.2", 30), image("1.3"), image("1.4", 1)])
    assert [(each.instance, each.count) for each in found] == [("", 3), ("1.2", 30)]
    assert found[0].middle == "1.3"


@given(st.text(max_size=14))
def test_any_instance_number_sorts(text):
    assert isinstance(number_of(Instance(instance_number=text))[0], int)
