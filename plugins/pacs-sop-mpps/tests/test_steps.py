"""Performed steps: Table F.7.2-1 in N-CREATE, N-SET and the final state, strictly and not."""

import pytest
from pacs_sop_mpps.api import PerformedState
from pacs_sop_mpps.machine import change, create
from pacs_sop_mpps.rules import RULES, Rule
from pacs_sop_mpps.testing import sample_attributes as full

from pacs_core.api.attribute_lists import from_json, keep_known, to_json
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.dataset import Attributes, MutableAttributes, keyword_of, tag_of

STATUS, SERIES = tag_of("PerformedProcedureStepStatus"), tag_of("PerformedSeriesSequence")
TOP = {keyword_of(rule.tag): rule for rule in RULES}


def settable(**own: str) -> MutableAttributes:
    attributes = {r.tag: v for r in RULES if r.is_settable for v in [full()[r.tag]]}
    return {**attributes, **{tag_of(name): (value,) for name, value in own.items()}}


def refusal(attributes: Attributes, *, strict: bool) -> tuple[int, tuple[str, ...]] | None:
    try:
        create("1.2.3", attributes, strict=strict)
    except RefusedRequestError as error:
        return error.status, tuple(map(keyword_of, error.tags))
    return None


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", TOP)
def test_each_row_without_its_attribute_and_without_its_value(name: str, strict: bool) -> None:
    rule, attributes = TOP[name], full()
    is_required = rule.kind == "1" and (strict or not rule.tolerance)
    empty = {**attributes, rule.tag: ()}
    del attributes[rule.tag]
    missing = rule.kind in "12" if strict else is_required
    if name == "PerformedProcedureStepStatus":
        assert refusal(attributes, strict=strict) == (0x0120, (name,))
    else:
        assert refusal(attributes, strict=strict) == ((0x0120, (name,)) if missing else None)
    assert refusal(empty, strict=strict) == ((0x0121, (name,)) if is_required else None)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("name", [name for name, rule in TOP.items() if rule.rules])
def test_each_row_of_an_item(name: str, strict: bool) -> None:
    rule = TOP[name]
    for inner in rule.rules:
        item = full(rule.rules)
        del item[inner.tag]
        is_required = inner.kind == "1" and (strict or not inner.tolerance)
        missing = inner.kind in "12" if strict else is_required
        wanted = (0x0120, (keyword_of(inner.tag),)) if missing else None
        assert refusal({**full(), rule.tag: (item,)}, strict=strict) == wanted


def test_what_was_left_out_is_there_without_a_value() -> None:
    attributes = full()
    for rule in RULES:
        if rule.kind == "2":
            del attributes[rule.tag]
    step = create("1.2.3", attributes)
    assert all(step.attributes[rule.tag] == () for rule in RULES if rule.kind == "2")


@pytest.mark.parametrize(
    ("name", "value", "is_wrong"),
    [
        ("PerformedProcedureStepStartDate", "2026-01-31", True),
        ("PerformedProcedureStepStartDate", "2026.01.31", False),
        ("PerformedProcedureStepStartTime", "now", True),
        ("PerformedProcedureStepStartTime", "09:30:00.5", False),
        ("ScheduledStepAttributesSequence", "text", True),
    ],
)
def test_values_are_what_their_vr_allows(name: str, value: str, is_wrong: bool) -> None:
    wanted = (0x0106, (name,)) if is_wrong else None
    assert refusal({**full(), tag_of(name): (value,)}, strict=False) == wanted


@pytest.mark.parametrize("strict", [True, False])
def test_n_set_may_not_set_what_identifies_the_step(strict: bool) -> None:
    step = create("1.2.3", full())
    modifications = {tag_of("PatientID"): ("other",), tag_of("StudyID"): ("other",)}
    if not strict:
        assert change(step, modifications).attributes == step.attributes
        return
    with pytest.raises(RefusedRequestError) as caught:
        change(step, modifications, strict=True)
    assert caught.value.status == 0x0105
    assert set(caught.value.tags) == modifications.keys()


FINAL = [rule for rule in RULES if rule.final == "1" and rule.tag != STATUS]


@pytest.mark.parametrize("state", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("rule", FINAL, ids=lambda rule: keyword_of(rule.tag))
def test_the_final_state(rule: Rule, strict: bool, state: str) -> None:
    step = create("1.2.3", {**full(), rule.tag: ()})
    tolerated = rule.final_tolerance == "~" or (
        rule.final_tolerance == "?" and state == "DISCONTINUED"
    )
    if tolerated and not strict:
        assert change(step, {STATUS: (state,)}).state == state
        return
    with pytest.raises(RefusedRequestError) as caught:
        change(step, {STATUS: (state,)}, strict=strict)
    assert (caught.value.status, caught.value.tags) == (0x0121, (rule.tag,))
    values = full()[rule.tag]
    assert change(step, {STATUS: (state,), rule.tag: values}, strict=strict).state == state


def test_nothing_changes_a_step_that_has_ended() -> None:
    for state in (PerformedState.COMPLETED, PerformedState.DISCONTINUED):
        step = change(create("1.2.3", full()), {STATUS: (str(state),)})
        for modifications in (settable(), {STATUS: ("IN PROGRESS",)}, {STATUS: (str(state),)}, {}):
            with pytest.raises(RefusedRequestError) as caught:
                change(step, modifications)
            assert (caught.value.status, caught.value.error_id) == (0x0110, 0xA710)


def test_a_sequence_is_replaced_as_a_whole() -> None:
    step = create("1.2.3", full())
    series = full(TOP["PerformedSeriesSequence"].rules)
    changed = change(step, {SERIES: (series, series)})
    assert len(changed.attributes[SERIES]) == 2
    assert change(changed, {SERIES: (series,)}).attributes[SERIES] == (series,)


@pytest.mark.parametrize("text", ["Müller", "a\0b", "\udce4", "<script>", "\\"])
def test_text_survives_the_table(text: str) -> None:
    attributes = {tag_of("PatientName"): (text,), SERIES: ({tag_of("ProtocolName"): (text,)},)}
    assert from_json(to_json(attributes)) == attributes
    assert to_json(attributes).isascii()


def test_private_attributes_and_bulk_data_are_not_kept() -> None:
    known = {tag_of("Modality"): ("CT",)}
    odd = {0x00090010: ("x",), 0x7FE00010: (), 0x00080000: ("4",), 0x00020010: ("1",)}
    assert keep_known({**known, **odd, SERIES: ({**known, **odd},)}) == {**known, SERIES: (known,)}
