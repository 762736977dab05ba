"""Which studies are relevant priors, as a function of what archives find."""

from datetime import date, timedelta

import pytest
from hypothesis import given, strategies as st
from pacs_lifecycle.config import PrefetchConfig
from pacs_lifecycle.priors import Order, Prior, choose_priors, is_searchable, read_prior

from pacs_core.dataset import tag_of

TODAY = date(2026, 6, 1)
MODALITIES = st.frozensets(st.sampled_from(["CT", "MR", "US"]))
PRIORS = st.lists(
    st.builds(
        Prior,
        uid=st.sampled_from([f"1.2.{number}" for number in range(8)]),
        day=st.none() | st.dates(date(2000, 1, 1), date(2027, 1, 1)),
        modalities=MODALITIES,
        instances=st.integers(0, 3),
    )
)
RULES = st.builds(
    PrefetchConfig,
    peers=st.just(("vna",)),
    modalities=MODALITIES.map(tuple),
    same_modality=st.booleans(),
    max_age=st.sampled_from([0, 365, 3650]),
)
ORDERS = st.builds(
    Order,
    patient_id=st.just("4711"),
    study=st.sampled_from(["", "1.2.3"]),
    modality=st.sampled_from(["", "CT", "MR"]),
)


@given(RULES, ORDERS, PRIORS)
def test_priors_are_relevant_and_the_latest_come_first(rule, order, found):
    chosen = choose_priors(rule, order, found, TODAY)
    assert len({each.uid for each in chosen}) == len(chosen)
    days = [each.day or date.min for each in chosen]
    assert days == sorted(days, reverse=True)
    for each in chosen:
        assert each in found
        assert each.uid != order.study
        if rule.max_age:
            assert each.day + timedelta(days=rule.max_age) >= TODAY
        if rule.modalities and each.modalities:
            assert each.modalities & set(rule.modalities)
        if rule.same_modality and order.modality and each.modalities:
            assert order.modality in each.modalities
    # None is left out that would do as well: of the same day, or later.
    plain = PrefetchConfig(peers=("vna",))
    assert {each.uid for each in choose_priors(plain, order, found, TODAY)} == {
        each.uid for each in found
    } - {order.study}


def answer(**values):
    given = {"PatientID": "4711", "StudyInstanceUID": "1.2.3", **values}
    return {tag_of(keyword): (value,) for keyword, value in given.items()}


@pytest.mark.parametrize(
    ("values", "is_taken"),
    [
        ({}, True),
        ({"PatientID": "47"}, False),
        ({"PatientID": "4711 "}, True),
        ({"StudyInstanceUID": ""}, False),
        ({"IssuerOfPatientID": "A"}, True),
        ({"IssuerOfPatientID": "B"}, False),
        ({"PatientBirthDate": "19700101"}, True),
        ({"PatientBirthDate": "19700102"}, False),
    ],
)
def test_what_a_peer_has_of_another_patient_is_none(values, is_taken):
    order = Order("4711", issuer="A", birth_date="19700101")
    assert (read_prior(answer(**values), order) is not None) is is_taken


def test_numbers_that_are_none_count_as_not_said():
    for number in ("", "x", "-1", "²", "12"):
        found = read_prior(answer(NumberOfStudyRelatedInstances=number), Order("4711"))
        assert found.instances == (12 if number == "12" else 0)


@pytest.mark.parametrize("patient_id", ["", " ", "*", "47*", "47?1", "4711\\4712"])
def test_a_patient_id_that_would_match_others_is_not_asked_for(patient_id):
    assert not is_searchable(patient_id)
    assert is_searchable("4711")
