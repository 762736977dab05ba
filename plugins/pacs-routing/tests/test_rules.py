"""Rules: conditions against a plain reading of them, times, and what is wrong with them."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pacs_routing import pacs_check
from pacs_routing.config import RoutingConfig, RuleConfig
from pacs_routing.rules import Rule, read_rules

from pacs_core.api.times import Times
from pacs_core.contracts import (
    DicomWebPeer,
    NodeSettings,
    Origin,
    Peer,
    Principal,
    Setup,
    admits,
)
from pacs_core.dataset import Attributes, tag_of

SETTINGS = NodeSettings(
    peers={"ai": Peer("AI", "127.0.0.1", 104)},
    dicomweb_peers={"web": DicomWebPeer("https://example.org/dicom-web")},
)
KEYWORDS = ("Modality", "BodyPartExamined", "StudyDescription")
WORDS = st.text("ABC", min_size=1, max_size=3)
PATTERNS = st.text("ABC*?", min_size=1, max_size=3).filter(lambda text: text.strip("*"))
TABLES = st.dictionaries(
    st.sampled_from(KEYWORDS), PATTERNS | st.lists(PATTERNS, min_size=1, max_size=3), max_size=3
)


def rule_of(**values: Any) -> Rule:
    rules = {"rule": RuleConfig(**{"to": ("ai",), **values})}
    return read_rules(RoutingConfig(rules=rules), SETTINGS)[0]


@given(TABLES, TABLES, st.dictionaries(st.sampled_from(KEYWORDS), WORDS), st.lists(PATTERNS), WORDS)
def test_a_rule_is_about_what_a_plain_reading_says(
    where: dict[str, Any], unless: dict[str, Any], has: dict[str, str], sources: list[str], ae: str
) -> None:
    """And the index, asked by its restriction, would say the same; its reasons add up to it."""
    rule = rule_of(where=where, unless=unless, sources=tuple(sources))
    attributes: Attributes = {tag_of(name): (text,) for name, text in has.items()}

    def holds(keyword: str, wanted: str | list[str]) -> bool:
        patterns = [wanted] if isinstance(wanted, str) else wanted
        return any(fnmatchcase(has.get(keyword, ""), each) for each in patterns)

    expected = all(holds(*item) for item in where.items()) and not any(
        holds(*item) for item in unless.items()
    )
    assert rule.is_about(attributes) is expected
    assert admits(rule.restriction, attributes) is expected
    comes = not sources or any(fnmatchcase(ae, each) for each in sources)
    origin = Origin("DIMSE", ae)
    assert rule.config.take_from(origin) is comes
    assert all(each.is_met for each in rule.reasons(attributes, origin)) is (expected and comes)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"sources": ("CT?",), "called": ("RESEARCH", "PACS")}, True),
        ({"sources": ("CT1",), "called": ("RESEARCH",)}, False),
        ({"users": ("tech-*",), "interfaces": ("DIMSE",)}, True),
        ({"interfaces": ("HTTP", "import")}, False),
        ({"users": ("MR1",)}, False),
    ],
)
def test_a_rule_may_ask_who_sent_an_instance_to_whom_as_whom_and_how(
    given: dict[str, Any], expected: bool
) -> None:
    origin = Origin("DIMSE", "CT1", "PACS", principal=Principal("tech-7"))
    rule = rule_of(**given)
    assert rule.config.take_from(origin) is expected
    assert [each.is_met for each in rule.reasons({}, origin)].count(False) == (not expected)


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"StudyDate": "20260101-"}, {"StudyDate": "20260315"}, True),
        ({"StudyDate": "20260101-"}, {"StudyDate": "20251231"}, False),
        ({"PatientName": "smith*"}, {"PatientName": "SMITH^JOHN"}, True),
        ({"AccessionNumber": ""}, {}, True),
        ({"AccessionNumber": ""}, {"AccessionNumber": "1"}, False),
        ({"InstanceNumber": 7}, {"InstanceNumber": "007"}, True),
        ({"ImageType": "DERIVED"}, {"ImageType": ("DERIVED", "SECONDARY")}, True),
        (
            {"ProcedureCodeSequence": {"CodeValue": "CHEST"}},
            {"ProcedureCodeSequence": ({tag_of("CodeValue"): ("CHEST",)},)},
            True,
        ),
    ],
)
def test_conditions_are_keys_of_a_query(
    condition: dict[str, Any], attributes: dict[str, Any], expected: bool
) -> None:
    """PS3.4 C.2.2.2: ranges, names whatever their case, numbers, values of several, items."""
    found = {
        tag_of(name): value if isinstance(value, tuple) else (value,)
        for name, value in attributes.items()
    }
    assert rule_of(where=condition).is_about(found) is expected


@given(
    st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=3),
    st.sets(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), max_size=4),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),
)
def test_times_are_open_in_their_spans_only(
    spans: list[tuple[int, int]], days: set[str], moment: datetime
) -> None:
    now = moment.replace(minute=30, second=0, microsecond=0, tzinfo=UTC)
    hours = tuple(f"{first:02}:00-{last:02}:00" for first, last in spans)

    def is_open(at: datetime) -> bool:
        if not (spans or days):
            return True
        for first, last in spans or [(0, 0)]:
            hour = at.hour + at.minute / 60
            begins = at - timedelta(days=1) if hour < last and last <= first else at
            inside = first <= hour < last or (last <= first and (hour >= first or hour < last))
            if inside and (not days or f"{begins:%a}".lower() in days):
                return True
            if last <= first <= hour < last + 24 and (not days or f"{at:%a}".lower() in days):
                return True
        return False

    opens = Times(hours, tuple(sorted(days))).next_open(now)
    assert (opens == now) is is_open(now)
    assert is_open(opens)
    step = now
    while step < opens:  # nothing earlier was missed
        assert not is_open(step)
        step += timedelta(minutes=30)


def test_all_that_is_wrong_with_rules_is_said_at_once() -> None:
    rules = {
        "one": RuleConfig(to=("nobody",), where={"Modality": "C-T/", "Nonsense": "1"}),
        "two": RuleConfig(to=("ai",), where={"StudyDate": "yesterday", "Modality": []}),
        "three": RuleConfig(to=("ai", "web"), where={"ModalitiesInStudy": "CT"}, commit=True),
        "four": RuleConfig(to=("ai",), unless={"Modality": "*", "PatientID": True}),
    }
    found = "\n".join(pacs_check(Setup(SETTINGS, {RoutingConfig: RoutingConfig(rules=rules)})))
    for problem in (
        "rules.one.to: there is no peer 'nobody'; there are ai, web",
        "rules.one.where.Nonsense: ",
        "rules.two.where.StudyDate: ",
        "rules.two.where.Modality: an empty list matches nothing",
        "rules.three.commit is for peers with associations, not for web",
        "rules.three.where.ModalitiesInStudy: it is worked out by the index: name Modality",
        "rules.four.unless.Modality: it matches everything: leave it out",
        "rules.four.unless.PatientID: expected a text",
    ):
        assert problem in found
    for wrong in (
        {"to": ()},
        {"to": ("a", "a")},
        {"to": ("a",), "whole_study": True},
        {"to": ("a",), "hours": ("25:00-26:00",)},
        {"to": ("a",), "days": ("monday",)},
    ):
        with pytest.raises(ValueError, match=r".+"):
            RuleConfig(**wrong)
