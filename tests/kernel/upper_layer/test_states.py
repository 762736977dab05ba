"""Table 9-10 of PS3.8, transcribed a second time column by column, and pynetdicom's copy of it."""

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from pacs_core.upper_layer import TRANSITIONS, State, StateAction, Stimulus

# Stimuli in which a peer's PDU is unexpected, for the states of an open association.
_ALL_PDUS = {3, 4, 6, 10, 12, 13, 19}


def _column(aborting, expected, close="AA-4", abort="AA-3"):
    cells = dict.fromkeys(_ALL_PDUS, aborting) | {16: abort, 17: close}
    return cells | expected


COLUMNS = {
    1: {1: "AE-1", 5: "AE-5"},
    2: _column("AA-1", {6: "AE-6", 18: "AA-2"}, close="AA-5", abort="AA-2"),
    3: _column("AA-8", {7: "AE-7", 8: "AE-8", 15: "AA-1"}),
    4: {2: "AE-2", 15: "AA-2", 17: "AA-4"},
    5: _column("AA-8", {3: "AE-3", 4: "AE-4", 15: "AA-1"}),
    6: _column("AA-8", {9: "DT-1", 10: "DT-2", 11: "AR-1", 12: "AR-2", 15: "AA-1"}),
    7: _column("AA-8", {10: "AR-6", 12: "AR-8", 13: "AR-3", 15: "AA-1"}),
    8: _column("AA-8", {9: "AR-7", 14: "AR-4", 15: "AA-1"}),
    9: _column("AA-8", {14: "AR-9", 15: "AA-1"}),
    10: _column("AA-8", {13: "AR-10", 15: "AA-1"}),
    11: _column("AA-8", {13: "AR-3", 15: "AA-1"}),
    12: _column("AA-8", {14: "AR-4", 15: "AA-1"}),
    13: _column("AA-6", {6: "AA-7", 18: "AA-2", 19: "AA-7"}, close="AR-5", abort="AA-2"),
}

# PS3.8 Tables 9-6 to 9-9, the other way round: into which state each action leads.
LEADING_TO = {
    "Sta1": "AE-4 AR-3 AR-5 AA-2 AA-3 AA-4 AA-5",
    "Sta2": "AE-5",
    "Sta3": "AE-6",
    "Sta4": "AE-1",
    "Sta5": "AE-2",
    "Sta6": "AE-3 AE-7 DT-1 DT-2",
    "Sta7": "AR-1 AR-6",
    "Sta8": "AR-2 AR-7",
    "Sta9": "AR-8",
    "Sta11": "AR-9",
    "Sta12": "AR-10",
    "Sta13": "AE-8 AR-4 AA-1 AA-6 AA-7 AA-8",
}


@pytest.mark.parametrize("state", State, ids=lambda s: s.name)
@pytest.mark.parametrize("stimulus", Stimulus, ids=lambda s: s.name)
def test_every_cell_is_the_standards(state, stimulus):
    expected = COLUMNS[int(state.name[3:])].get(int(stimulus.name[3:]))
    cell = TRANSITIONS.get((state, stimulus))
    assert (cell and cell.action.value) == expected
    assert TRANSITION_TABLE.get((stimulus.name, state.name)) == expected


def test_every_action_leads_where_the_standard_says():
    expected = {action: to for to, actions in LEADING_TO.items() for action in actions.split()}
    assert {c.action.value: c.state.name for c in TRANSITIONS.values()} == expected
    assert set(expected) == {action.value for action in StateAction}


def test_only_two_actions_have_a_choice_of_state():
    choices = {(c.action, c.otherwise) for c in TRANSITIONS.values() if c.otherwise}
    assert choices == {(StateAction.AE_6, State.Sta13), (StateAction.AR_8, State.Sta10)}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TRANSITIONS[State.Sta1, Stimulus.Evt1] = None
