"""The state machine of PS3.8 §9.2 as data: states, stimuli, actions and Table 9-10."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

# Theory of operation
#
# Table 9-10 stands here as it is printed, as text, so that it can be compared with the standard
# line by line; the mapping is made of it once, on import. A cell that is empty in the standard is
# a dash, and not in the mapping: what to do about an event that cannot happen is for the machine.
#
# What is a PDU or a timer is an *event* in PS3.8 and a *stimulus* here, because the machine's own
# output is called events by whoever uses it.


class _Symbol(Enum):
    # Looked up several times for every PDU, where Enum's own hash is a function in Python.
    __hash__ = object.__hash__


class State(_Symbol):
    """States of an association (PS3.8 §9.2.1, Tables 9-1 to 9-5)."""

    Sta1 = "idle"
    Sta2 = "transport connection open, awaiting A-ASSOCIATE-RQ PDU"
    Sta3 = "awaiting local A-ASSOCIATE response"
    Sta4 = "awaiting transport connection opening to complete"
    Sta5 = "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ PDU"
    Sta6 = "association established"
    Sta7 = "awaiting A-RELEASE-RP PDU"
    Sta8 = "awaiting local A-RELEASE response"
    Sta9 = "release collision, requestor: awaiting local A-RELEASE response"
    Sta10 = "release collision, acceptor: awaiting A-RELEASE-RP PDU"
    Sta11 = "release collision, requestor: awaiting A-RELEASE-RP PDU"
    Sta12 = "release collision, acceptor: awaiting local A-RELEASE response"
    Sta13 = "awaiting transport connection close"


class Stimulus(_Symbol):
    """Events of Table 9-10; named so because what comes out of the machine is an event too."""

    Evt1 = "A-ASSOCIATE request (local user)"
    Evt2 = "transport connection confirmation (local transport)"
    Evt3 = "A-ASSOCIATE-AC PDU received"
    Evt4 = "A-ASSOCIATE-RJ PDU received"
    Evt5 = "transport connection indication (local transport)"
    Evt6 = "A-ASSOCIATE-RQ PDU received"
    Evt7 = "A-ASSOCIATE response, accept (local user)"
    Evt8 = "A-ASSOCIATE response, reject (local user)"
    Evt9 = "P-DATA request (local user)"
    Evt10 = "P-DATA-TF PDU received"
    Evt11 = "A-RELEASE request (local user)"
    Evt12 = "A-RELEASE-RQ PDU received"
    Evt13 = "A-RELEASE-RP PDU received"
    Evt14 = "A-RELEASE response (local user)"
    Evt15 = "A-ABORT request (local user)"
    Evt16 = "A-ABORT PDU received"
    Evt17 = "transport connection closed"
    Evt18 = "ARTIM timer expired"
    Evt19 = "unrecognized or invalid PDU received"


class StateAction(_Symbol):
    """Actions (PS3.8 §9.2.2, Tables 9-6 to 9-9)."""

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


class Transition(NamedTuple):
    """A cell of Table 9-10.

    `otherwise` is the next state of the two actions that have a choice: AE-6 if the request is not
    acceptable to the service provider, AR-8 if this side is the acceptor.
    """

    action: StateAction
    state: State
    otherwise: State | None = None


# An action leads to the same state wherever it stands in the table.
_NEXT: Final[Mapping[str, tuple[State, ...]]] = {
    "AE-1": (State.Sta4,),
    "AE-2": (State.Sta5,),
    "AE-3": (State.Sta6,),
    "AE-4": (State.Sta1,),
    "AE-5": (State.Sta2,),
    "AE-6": (State.Sta3, State.Sta13),
    "AE-7": (State.Sta6,),
    "AE-8": (State.Sta13,),
    "DT-1": (State.Sta6,),
    "DT-2": (State.Sta6,),
    "AR-1": (State.Sta7,),
    "AR-2": (State.Sta8,),
    "AR-3": (State.Sta1,),
    "AR-4": (State.Sta13,),
    "AR-5": (State.Sta1,),
    "AR-6": (State.Sta7,),
    "AR-7": (State.Sta8,),
    "AR-8": (State.Sta9, State.Sta10),
    "AR-9": (State.Sta11,),
    "AR-10": (State.Sta12,),
    "AA-1": (State.Sta13,),
    "AA-2": (State.Sta1,),
    "AA-3": (State.Sta1,),
    "AA-4": (State.Sta1,),
    "AA-5": (State.Sta1,),
    "AA-6": (State.Sta13,),
    "AA-7": (State.Sta13,),
    "AA-8": (State.Sta13,),
}

_TABLE_9_10: Final = """
         Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13
  Evt1   AE-1  -     -     -     -     -     -     -     -     -     -     -     -
  Evt2   -     -     -     AE-2  -     -     -     -     -     -     -     -     -
  Evt3   -     AA-1  AA-8  -     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  Evt4   -     AA-1  AA-8  -     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  Evt5   AE-5  -     -     -     -     -     -     -     -     -     -     -     -
  Evt6   -     AE-6  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
  Evt7   -     -     AE-7  -     -     -     -     -     -     -     -     -     -
  Evt8   -     -     AE-8  -     -     -     -     -     -     -     -     -     -
  Evt9   -     -     -     -     -     DT-1  -     AR-7  -     -     -     -     -
  Evt10  -     AA-1  AA-8  -     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  Evt11  -     -     -     -     -     AR-1  -     -     -     -     -     -     -
  Evt12  -     AA-1  AA-8  -     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  Evt13  -     AA-1  AA-8  -     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6
  Evt14  -     -     -     -     -     -     -     AR-4  AR-9  -     -     AR-4  -
  Evt15  -     -     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  -
  Evt16  -     AA-2  AA-3  -     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
  Evt17  -     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
  Evt18  -     AA-2  -     -     -     -     -     -     -     -     -     -     AA-2
  Evt19  -     AA-1  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
"""


def _parse(table: str) -> dict[tuple[State, Stimulus], Transition]:
    heading, *rows = (line.split() for line in table.strip().splitlines())
    return {
        (State[state], Stimulus[stimulus]): Transition(StateAction(cell), *_NEXT[cell])
        for stimulus, *cells in rows
        for state, cell in zip(heading, cells, strict=True)
        if cell != "-"
    }


TRANSITIONS: Final[Mapping[tuple[State, Stimulus], Transition]] = MappingProxyType(
    _parse(_TABLE_9_10)
)
"""PS3.8 Table 9-10; a pair that is not in it cannot occur, or is a mistake of the local user."""
