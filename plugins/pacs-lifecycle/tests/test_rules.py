"""Rules as functions of what is known of a study."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, strategies as st
from pacs_lifecycle.config import BinConfig, LifecycleConfig, RuleConfig
from pacs_lifecycle.rules import DAY, Rule, Study, choose, read_date

NAMES = "abcd"
DAYS = st.floats(0, 5000).map(round)
DATES = st.none() | st.dates(date(1900, 1, 1), date(2099, 12, 31))
MOMENTS = st.floats(0, 4e9)


@st.composite
def rules(draw):
    found = []
    for name in NAMES[: draw(st.integers(0, 4))]:
        keeps = draw(st.booleans())
        found.append(
            Rule.read(
                RuleConfig(
                    name=name,
                    action="keep" if keeps else "delete",
                    older_than=draw(DAYS) + (0 if keeps else 1),
                    age=draw(st.sampled_from(["study-date", "arrival"])),
                    patient_older_than=draw(st.sampled_from([0, 18, 28.5])),
                )
            )
        )
    return found


STUDIES = st.builds(
    Study,
    uid=st.just("1.2.3"),
    arrived=MOMENTS,
    complete=st.booleans(),
    study_date=DATES,
    birth_date=DATES,
    meets=st.frozensets(st.sampled_from(NAMES)),
)


@given(rules(), STUDIES, MOMENTS, st.sampled_from([0, 7, 30]))
def test_nothing_goes_before_its_time(some, study, now, grace):
    rule = choose(some, study, now, grace)
    if rule is None or not rule.deletes:
        return
    assert rule.name in study.meets
    assert study.complete
    assert now - study.arrived >= grace * DAY
    today = datetime.fromtimestamp(now, UTC).date()
    if rule.config.age == "study-date" and rule.config.older_than:
        assert study.study_date + timedelta(days=rule.config.older_than) <= today
    else:
        assert now - study.arrived >= rule.config.older_than * DAY
    if rule.config.patient_older_than:
        assert (today - study.birth_date).days >= int(rule.config.patient_older_than * 365.2)


@given(rules(), STUDIES, MOMENTS, st.sampled_from([0, 7]))
def test_a_rule_that_keeps_wins_over_those_that_follow(some, study, now, grace):
    """And what follows the rule that decides does not matter, nor do rules that are not met."""
    rule = choose(some, study, now, grace)
    if rule is None:
        return
    upto = some[: some.index(rule) + 1]
    assert choose(upto, study, now, grace) is rule
    assert choose([each for each in some if each.name in study.meets], study, now, grace) is rule
    keep = Rule.read(RuleConfig(name=rule.name, action="keep"))
    assert choose([keep, *some], study, now, grace) is keep


@given(rules(), STUDIES, MOMENTS, st.floats(0, 1e8), st.sampled_from([0, 7]))
def test_what_goes_by_one_rule_goes_later_too(some, study, now, later, grace):
    """Time alone keeps nothing: a study that one rule deletes is not kept by it tomorrow."""
    some = some[:1]
    rule = choose(some, study, now, grace)
    if rule is not None:
        assert choose(some, study, now + later, grace) is rule


@pytest.mark.parametrize(
    ("birth", "today", "goes"),
    [
        (date(2000, 2, 29), date(2018, 2, 28), False),
        (date(2000, 2, 29), date(2018, 3, 1), True),
        (date(2000, 6, 1), date(2018, 5, 31), False),
        (date(2000, 6, 1), date(2018, 6, 1), True),
        (None, date(2018, 6, 1), False),
    ],
)
def test_patients_come_of_age_on_their_birthday(birth, today, goes):
    rule = Rule.read(RuleConfig(name="adults", patient_older_than=18))
    now = datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp()
    study = Study("1.2.3", 0.0, birth_date=birth, meets={"adults"})
    assert (choose([rule], study, now, 7) is rule) is goes


@pytest.mark.parametrize("text", ["", "2020", "20201301", "20200230", "2020.01.01", "\0"])
def test_what_is_no_date_is_none(text):
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: RuleConfig(name="all"), "say older_than"),
        (lambda: RuleConfig(name="a", action="keep", needs=("found:vna",)), "needs are for"),
        (lambda: RuleConfig(name="a", older_than=1, where={"Modalty": "CT"}), "Modalty"),
        (lambda: RuleConfig(name="a", older_than=1, where={"Modality": "*"}), "everything"),
        (lambda: RuleConfig(name="a", older_than=1, needs=("tape",)), "tape"),
        (lambda: RuleConfig(name="../x", older_than=1), "name"),
        (lambda: LifecycleConfig((RuleConfig(name="a", older_than=1),) * 2), "two of them"),
        (lambda: BinConfig(deletions=("all",)), "all"),
    ],
)
def test_what_is_wrong_in_the_tables_is_said(make, problem):
    with pytest.raises(ValueError, match=problem):
        make()
