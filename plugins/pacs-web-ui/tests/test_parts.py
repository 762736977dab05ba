"""Parts of the pages: languages, names, dates, searches, templates."""

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pacs_web_ui
import pytest
from hypothesis import given, strategies as st
from pacs_web.api.http import HttpError
from pacs_web_ui.charts import make_charts, round_up, show_number
from pacs_web_ui.history_words import DETAILS, EVENTS
from pacs_web_ui.load import LoadSample
from pacs_web_ui.node_page import ORIGINS, QUEUES, SECTIONS, STATES
from pacs_web_ui.openapi import describe_api
from pacs_web_ui.rendering import show_bound, show_date, show_name, show_size
from pacs_web_ui.studies import END_BEFORE_BEGINNING, FILTERS, read_search
from pacs_web_ui.texts import choose_language, load_languages, translator

from pacs_core.contracts import InvalidKeyError, Level, UidList

FOLDER = Path(pacs_web_ui.__file__).parent
TEXTS = {
    text
    for path in (FOLDER / "templates").glob("*.html")
    for text in re.findall(r"""\bt\("([^"]+)"\)""", path.read_text(encoding="utf-8"))
} | set(re.findall(r'head\("\w+", "([^"]+)"\)', (FOLDER / "templates/_results.html").read_text()))
TEXTS |= {text for table in (EVENTS, DETAILS, ORIGINS, QUEUES, STATES) for text in table.values()}
TEXTS |= {*SECTIONS, END_BEFORE_BEGINNING, "yes", "no"}
TEXTS |= {chart.title for chart in make_charts(())} | {"received", "sent"}


def test_german_has_every_text_and_no_other():
    german = tomllib.loads((FOLDER / "locale" / "de.toml").read_text(encoding="utf-8"))
    assert german.keys() == TEXTS
    assert all(german.values())


def test_another_language_is_a_file(tmp_path):
    (tmp_path / "fr.toml").write_text('"Studies" = "Examens"\n', encoding="utf-8")
    languages = load_languages([str(tmp_path)])
    assert set(languages) == {"de", "en", "fr"}
    assert translator(languages["fr"])("Studies") == "Examens"
    assert translator(languages["fr"])("Series|one") == "Series"
    (tmp_path / "fr.toml").write_text("nonsense", encoding="utf-8")
    with pytest.raises(ValueError, match=r"fr\.toml"):
        load_languages([str(tmp_path)])


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "en;q=0.5, de;q=0.7", "de"),
        (None, "fr, de;q=0", "en"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
        (None, None, "en"),
        (None, "de;q=x", "en"),
    ],
)
def test_the_language_is_chosen_or_accepted(chosen, accepted, language):
    assert choose_language({"de": {}, "en": {}}, chosen, accepted) == language


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Doe^Jane^Q^Dr", "Doe, Jane Q"),
        ("Doe", "Doe"),
        ("^^^^", ""),
        ("", ""),
        ("=山田^太郎", "山田 太郎"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎)"),
        ("山田^太郎=山田^太郎=やまだ^たろう", "山田, 太郎"),
        ("==やまだ^たろう", "やまだ たろう"),
        ("^Jane", "Jane"),
    ],
)
def test_names_are_shown_as_people_write_them(name, shown):
    assert show_name(name) == shown


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        ("20260103", "2026-01-03"),
        ("2026.01.03", "2026-01-03"),
        (" ", ""),
        ("2026.1.3", "2026.1.3"),
        ("x.y", "x.y"),
    ],
)
def test_dates_are_shown_with_hyphens(date, shown):
    assert show_date(date) == shown


@given(st.text(max_size=30))
def test_any_value_is_shown(text):
    assert isinstance(show_name(text) + show_date(text), str)


@given(st.dictionaries(st.sampled_from([*FILTERS, "q", "from", "to", "sort", "limit", "offset"]),
                       st.text(max_size=30)))  # fmt: skip
def test_any_search_is_a_query_or_refused(parameters):
    with suppress(InvalidKeyError, HttpError):
        query = read_search(parameters, 50).query()
        assert query.level is Level.STUDY


def test_names_match_as_they_are_typed():
    assert read_search({"PatientName": "do"}, 50).filters["PatientName"] == "do*"
    assert read_search({"PatientName": "do?"}, 50).filters["PatientName"] == "do?"
    assert read_search({"from": "2024-01-31"}, 50).filters["StudyDate"] == "20240131-"


def test_modalities_are_found_as_people_type_them():
    """CS has capitals only (PS3.5 Table 6.2-1), and several values are any of them (C.2.2.2.8)."""
    search = read_search({"ModalitiesInStudy": "ct, mr"}, 50)
    assert search.query().conditions == (UidList(FILTERS["ModalitiesInStudy"], ("CT", "MR")),)
    assert read_search({"ModalitiesInStudy": " , "}, 50).query().conditions == ()


def test_a_range_that_ends_before_it_begins_is_told_in_words():
    with pytest.raises(HttpError, match=END_BEFORE_BEGINNING):
        read_search({"from": "2024-03-01", "to": "2024-02-01"}, 50)


def test_every_reference_of_the_document_leads_somewhere():
    section = describe_api()
    schemas = section["components"]["schemas"]
    used = set(re.findall(r"#/components/schemas/(\w+)", str(section)))
    assert used == set(schemas) - {"StudyPage"} | {"StudyPage"}


def samples(*operations):
    """Return samples ten seconds apart, in each of which so many C-STOREs have ended in all."""
    return [
        LoadSample(10.0 * n, {"C-STORE": done}, {"C-STORE": done / 100}, {"received": 1e6 * done})
        for n, done in enumerate(operations)
    ]


def test_charts_show_rates_and_durations():
    rate, throughput, duration = make_charts(samples(0, 100, 300, 300))
    (line,) = rate.lines
    assert (line.name, line.peak, line.now, rate.top) == ("C-STORE", 20, 0, 20)
    heights = [float(point.split(",")[1]) for point in line.paths[0].split()]
    assert heights == [60, 60, 0, 0, 120, 120]  # a step for each interval
    assert [each.name for each in throughput.lines] == ["received", "sent"]
    assert (throughput.lines[0].peak, throughput.unit) == (pytest.approx(20), "MB/s")
    (line,) = duration.lines
    assert line.peak == pytest.approx(10)  # milliseconds
    assert len(line.paths) == 1  # and nothing where nothing was stored


@given(st.lists(st.integers(0, 10**9), max_size=20).map(sorted))
def test_charts_stay_in_their_frame(counts):
    for chart in make_charts(samples(*counts)):
        assert chart.top > 0
        for line in chart.lines:
            for path in line.paths:
                for x, y in (map(float, point.split(",")) for point in path.split()):
                    assert 0 <= x <= 360
                    assert -0.1 <= y <= 120


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.03, 0.05), (1, 1), (1.1, 2), (7, 10)])
def test_axes_end_at_numbers_that_people_like(value, top):
    assert round_up(value) == pytest.approx(top)


def test_numbers_have_no_more_digits_than_one_reads():
    assert [show_number(v) for v in (0, 0.0512, 1.26, 12, 1234.5)] == ["0", "0.051", "1.3", "12",
                                                                     "1\u202f234"]  # fmt: skip
    assert [show_size(v) for v in (0, 999, 1500, 999_999, 5e9, 7e15)] == [
        "0 B", "999 B", "1.5 kB", "1 MB", "5 GB", "7\u202f000 TB",
    ]  # fmt: skip
    assert [show_bound(v) for v in (-1, 5)] == ["> 60 s", "5 ms"]
