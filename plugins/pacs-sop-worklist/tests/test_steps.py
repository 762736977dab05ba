"""Entries of a worklist: what is one, what is not, and that text survives the table."""

import pytest
from hypothesis import given, settings, strategies as st
from pacs_sop_worklist.api import InvalidStepError, StepState, steps_of
from pacs_sop_worklist.steps import SEQUENCE, STATUS, to_json

from pacs_core.api.attribute_lists import from_json, keep_known
from pacs_core.dataset import items, tag_of


def entry(*items, **own):
    values = {"PatientName": "Doe^Jane", "PatientID": "4711", "StudyInstanceUID": "1.2.3"}
    values |= {"RequestedProcedureID": "P1", **own}
    attributes = {tag_of(name): (value,) for name, value in values.items() if value is not None}
    return {**attributes, SEQUENCE: tuple(items or (step(),))}


def step(**own):
    values = {"Modality": "CT", "ScheduledProcedureStepStartDate": "20260131"}
    values |= {"ScheduledProcedureStepID": "S1", "ScheduledProcedureStepStartTime": "0930", **own}
    return {tag_of(name): (value,) for name, value in values.items() if value is not None}


def test_each_item_is_a_step_of_its_own():
    first, second = steps_of(entry(step(), step(ScheduledProcedureStepID="S2")))
    assert (first.identity, second.identity) == ("1.2.3/P1/S1", "1.2.3/P1/S2")
    assert len(items(second.attributes, SEQUENCE)) == 1


@pytest.mark.parametrize(
    ("time", "start"),
    [
        ("0930", "20260131 093000.000000"),
        ("09:30:00", "20260131 093000.000000"),
        (None, "20260131 "),
    ],
)
def test_the_start_sorts_as_text(time, start):
    (found,) = steps_of(entry(step(ScheduledProcedureStepStartTime=time)))
    assert found.start == start


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        (entry(PatientID=None), "PatientID is missing"),
        (entry(StudyInstanceUID="  "), "StudyInstanceUID is missing or empty"),
        (entry(step(Modality=None)), "Modality is missing"),
        (entry(step(ScheduledProcedureStepID="")), "ScheduledProcedureStepID is missing"),
        (entry(step(ScheduledProcedureStepStatus="LATER")), "Status is 'LATER'"),
        ({**entry(), SEQUENCE: ()}, "has 0 items"),
        ({**entry(), SEQUENCE: (step(),) * 10_000}, "has 10000 items"),
    ],
)
def test_what_is_no_entry_is_refused(attributes, said):
    with pytest.raises(InvalidStepError, match=said):
        list(steps_of(attributes))


def test_the_status_is_not_kept_but_answered():
    (found,) = steps_of(entry(step(ScheduledProcedureStepStatus="ARRIVED")))
    assert found.state is StepState.ARRIVED
    assert STATUS not in found.item
    assert items(found.answered(), SEQUENCE)[0][STATUS] == ("ARRIVED",)


def test_a_step_that_is_too_long_for_the_table_is_refused():
    (found,) = steps_of(entry(PatientComments="x" * 300_000))
    with pytest.raises(InvalidStepError, match="more than"):
        to_json(found.attributes)


def test_what_cannot_be_matched_is_left_out():
    private, pixels = 0x00091001, tag_of("PixelData")
    attributes = {**entry({**step(), private: ("x",)}), private: ("x",), pixels: ()}
    assert keep_known(attributes) == entry()


VALUES = st.lists(st.text(max_size=20), max_size=3).map(tuple)
TAGS = st.integers(0x00080005, 0xFFFCFFFC)


@settings(max_examples=30, deadline=None)
@given(
    st.recursive(
        st.dictionaries(TAGS, VALUES, max_size=4),
        lambda inner: st.dictionaries(TAGS, st.lists(inner, max_size=2).map(tuple), max_size=3),
        max_leaves=8,
    )
)
def test_attributes_survive_the_table(attributes):
    assert from_json(to_json(attributes)) == attributes
