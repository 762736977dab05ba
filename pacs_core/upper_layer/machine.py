"""The upper layer: bytes in, events out; primitives in, bytes out (PS3.8 §9.2)."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from pacs_core.upper_layer.associate import AssociateAC, AssociateRQ, decode_associate_rq
from pacs_core.upper_layer.errors import (
    AbortReason,
    AbortSource,
    LocalProtocolError,
    MalformedPDU,
)
from pacs_core.upper_layer.events import (
    Aborted,
    AssociationAccepted,
    AssociationRefused,
    AssociationRejected,
    AssociationRequested,
    ConnectionClosed,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from pacs_core.upper_layer.framing import Framer
from pacs_core.upper_layer.items import DICOM_APPLICATION_CONTEXT
from pacs_core.upper_layer.limits import Limits
from pacs_core.upper_layer.p_data import (
    P_DATA_TF,
    Bytes,
    PDataTF,
    PresentationDataValue,
    decode_p_data,
    p_data_buffers,
)
from pacs_core.upper_layer.pdu import (
    PDU,
    Abort,
    PDUType,
    ReleaseRP,
    ReleaseRQ,
    decode_body,
    encode,
)
from pacs_core.upper_layer.rejection import (
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    AssociateRJ,
)
from pacs_core.upper_layer.states import TRANSITIONS, State, StateAction, Stimulus

# Theory of operation
#
# The machine does no input or output and knows no clock. Bytes go in (`receive_data`), events come
# out; primitives of the local user go in (`associate`, `send_data`, ...), bytes come out
# (`buffers_to_send`). Who drives it owns the transport and the timer, and tells the machine what
# happened to them. So each cell of Table 9-10 can be tested, and what the machine does cannot
# depend on how TCP cut the bytes.
#
# Whatever happens becomes a stimulus (Evt1 to Evt19). `_step` looks up the cell for it and the
# present state, goes to the next state, and returns the action. Only what an action means for this
# side is code here: most of them "issue an indication" (`_INDICATIONS`), "send a PDU", or "start
# ARTIM", which follows from the state alone (`_TIMED`). Two cells have a choice of states: AE-6
# goes by whether the request is acceptable, AR-8 by the role.
#
# A cell that is empty in the table, for something the local user did, is a LocalProtocolError,
# raised before anything is changed: a PDU is encoded first, since that may fail, and the step is
# taken after it. The peer cannot cause an exception. What it may not send in a state has a cell
# (AA-1, AA-7 or AA-8), and what cannot be read is Evt19.
#
# Sta1 after an association is the end: one machine serves one transport connection. `must_close`
# tells the driver to close it when the output is sent; in Sta13 the peer is to close it, and ARTIM
# limits how long that may take.
#
# A PDU is looked at when all of it is there. The length in its header is checked against the limit
# first, so a peer can make the machine hold no more than one PDU of the length its kind may have.


class Role(Enum):
    """Which side of the association this is."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


_RECEIVED: Final[Mapping[type, Stimulus]] = {
    AssociateAC: Stimulus.Evt3,
    AssociateRJ: Stimulus.Evt4,
    AssociateRQ: Stimulus.Evt6,
    PDataTF: Stimulus.Evt10,
    ReleaseRQ: Stimulus.Evt12,
    ReleaseRP: Stimulus.Evt13,
    Abort: Stimulus.Evt16,
}

_INDICATIONS: Final[Mapping[StateAction, Callable[[Any], Event]]] = {
    StateAction.AE_3: AssociationAccepted,
    StateAction.AE_4: AssociationRejected,
    StateAction.AE_6: AssociationRequested,
    StateAction.DT_2: lambda pdu: DataReceived(pdu.pdvs),
    StateAction.AR_6: lambda pdu: DataReceived(pdu.pdvs),
    StateAction.AR_2: lambda _: ReleaseRequested(collision=False),
    StateAction.AR_8: lambda _: ReleaseRequested(collision=True),
    StateAction.AR_3: lambda _: Released(),
    StateAction.AR_10: lambda _: Released(response_due=True),
    StateAction.AA_3: lambda pdu: Aborted(pdu.source, pdu.reason, by_peer=True),
}

# In answer to what the peer sent; AA-1 gives the service user as source, which has no reasons.
_ABORTING: Final[Mapping[StateAction, AbortSource]] = {
    StateAction.AA_1: AbortSource.SERVICE_USER,
    StateAction.AA_7: AbortSource.SERVICE_PROVIDER,
    StateAction.AA_8: AbortSource.SERVICE_PROVIDER,
}

# Every action of the standard that starts the timer leads to one of these, and every one that
# stops it leads away from them.
_TIMED: Final = frozenset({State.Sta2, State.Sta13})

_NO_TRANSPORT: Final = frozenset({State.Sta1, State.Sta4})


class UpperLayer:
    """One association on one transport connection, of either role.

    Parameters
    ----------
    role : Role
    limits : Limits, optional

    Attributes
    ----------
    state : State
    must_close : bool
        The machine is done: close the transport once the output is sent.
    peer_maximum_length : int
        The peer's Maximum Length Received in bytes, once it is known; 0 for unlimited.
    """

    def __init__(self, role: Role, limits: Limits | None = None) -> None:
        self.role = role
        self.limits = limits or Limits()
        self.state = State.Sta1
        self.must_close = False
        self.peer_maximum_length = 0
        self._framer = Framer(self.limits)
        self._output: list[Bytes] = []
        self._transport_open = False
        self._pending_request = b""
        self._lost_framing = False

    @property
    def artim_running(self) -> bool:
        """Whether the Association Request/Reject/Release Timer is to run (PS3.8 §9.1.5)."""
        return self.state in _TIMED

    # --- from the transport

    def confirm_connection(self) -> None:
        """Tell that the transport connection is open (Evt5, Evt2).

        A requestor may be told before or after `associate`.

        Raises
        ------
        LocalProtocolError
            It was open before.
        """
        if self._transport_open or self.must_close:
            raise LocalProtocolError("one machine serves one transport connection")
        if self.role is Role.ACCEPTOR:
            self._step(Stimulus.Evt5)
        elif self.state is State.Sta4:
            self._confirm_transport()
        self._transport_open = True

    @property
    def bytes_held(self) -> int:
        """Bytes received of a PDU that is not whole yet."""
        return self._framer.held

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes from the peer, cut anywhere, and return what they mean.

        Never raises for what the peer sent. Values in `DataReceived` stay valid; they are slices
        of `data` where possible, so pass `bytes` and nothing is copied.
        """
        if self.state in _NO_TRANSPORT or self._lost_framing:
            return []
        events: list[Event] = []
        try:
            for kind, body in self._framer.feed(data if type(data) is bytes else bytes(data)):
                if kind == P_DATA_TF and self.state is State.Sta6:
                    # DT-2, which leads nowhere else: nearly all that comes.
                    events.append(DataReceived(decode_p_data(body, self.limits).pdvs))
                elif kind == PDUType.ASSOCIATE_RQ and self.state is State.Sta2:
                    events += self._receive_request(body)
                else:
                    events += self._receive_valid(decode_body(kind, body, self.limits))
                if self.must_close:
                    break
        except MalformedPDU as error:
            # Where the next PDU begins is not known any more. Whatever comes is ignored, and the
            # answer is of the state: AA-1, AA-7 or AA-8.
            self._lost_framing = True
            self._framer.clear()
            events += self._abort_peer(self._step(Stimulus.Evt19), error.reason, str(error))
        return events

    def receive_eof(self) -> list[Event]:
        """Tell that the transport connection closed (Evt17)."""
        self._transport_open = False
        if self.must_close or self.state is State.Sta1:
            self.must_close = True
            return []
        self._step(Stimulus.Evt17)
        return [ConnectionClosed()]

    def artim_expired(self) -> list[Event]:
        """Tell that the timer expired (Evt18); ignored if it is not to run any more."""
        if self.artim_running:
            self._step(Stimulus.Evt18)
        return []

    # --- from the local user

    def associate(self, request: AssociateRQ) -> None:
        """A-ASSOCIATE request (Evt1): send it once the transport connection is open.

        Raises
        ------
        LocalProtocolError
            As all primitives do: not allowed in this state, or not encodable. Nothing is changed
            then.
        """
        if self.role is not Role.REQUESTOR or self.must_close:
            raise LocalProtocolError(f"associate() is not for this {self.role.value}'s connection")
        self._check(Stimulus.Evt1)
        self._pending_request = encode(request)
        self._step(Stimulus.Evt1)
        if self._transport_open:
            self._confirm_transport()

    def accept(self, response: AssociateAC) -> None:
        """A-ASSOCIATE response, accepted (Evt7)."""
        self._send(Stimulus.Evt7, response)

    def reject(self, rejection: AssociateRJ) -> None:
        """A-ASSOCIATE response, rejected (Evt8)."""
        self._send(Stimulus.Evt8, rejection)

    def send_data(self, pdvs: Sequence[PresentationDataValue]) -> None:
        """P-DATA request (Evt9): send one P-DATA-TF PDU, whose data is not copied.

        Raises
        ------
        LocalProtocolError
            Not allowed in this state, no values, or larger than the peer can receive.
        """
        # Leads to no other state (DT-1, AR-7), so that what is refused below changes nothing.
        self._step(Stimulus.Evt9)
        self._output += p_data_buffers(pdvs, self.peer_maximum_length)

    def release(self) -> None:
        """A-RELEASE request (Evt11)."""
        self._send(Stimulus.Evt11, ReleaseRQ())

    def respond_release(self) -> None:
        """A-RELEASE response (Evt14)."""
        self._send(Stimulus.Evt14, ReleaseRP())

    def abort(self, source: int = AbortSource.SERVICE_USER, reason: int = 0) -> None:
        """A-ABORT request (Evt15)."""
        self._check(Stimulus.Evt15)
        encoded = encode(Abort(source, reason))
        if self._step(Stimulus.Evt15) is StateAction.AA_1:
            self._output.append(encoded)

    # --- to the transport

    @property
    def buffers_waiting(self) -> int:
        """How many buffers there are to send."""
        return len(self._output)

    def buffers_to_send(self) -> list[Bytes]:
        """Return the output as buffers to be sent in turn, and forget it."""
        output, self._output = self._output, []
        return output

    # --- inside

    def _check(self, stimulus: Stimulus) -> None:
        if (self.state, stimulus) not in TRANSITIONS:
            raise self._misplaced(stimulus)

    def _misplaced(self, stimulus: Stimulus) -> LocalProtocolError:
        return LocalProtocolError(
            f"{stimulus.value} is not allowed in {self.state.name}: {self.state.value}"
        )

    def _step(self, stimulus: Stimulus, *, acceptable: bool = True) -> StateAction:
        """Go to the next state and return the action that the table asks for."""
        cell = TRANSITIONS.get((self.state, stimulus))
        if cell is None:
            raise self._misplaced(stimulus)
        action, state, otherwise = cell
        if otherwise is not None and not (
            acceptable if action is StateAction.AE_6 else self.role is Role.REQUESTOR
        ):
            state = otherwise
        self.state = state
        if state is State.Sta1:
            self.must_close = True
            self._framer.clear()
        return action

    def _send(self, stimulus: Stimulus, pdu: PDU) -> None:
        self._check(stimulus)
        encoded = encode(pdu)
        self._step(stimulus)
        self._output.append(encoded)

    def _confirm_transport(self) -> None:
        self._step(Stimulus.Evt2)
        self._output.append(self._pending_request)
        self._pending_request = b""

    def _receive_request(self, body: memoryview) -> list[Event]:
        # Only bit 0 is to be tested, and what follows may have any form where it is clear.
        if len(body) >= 2 and not body[1] & 1:
            detail = f"protocol version {bytes(body[:2]).hex()}H is not version 1"
            return self._refuse(None, PROTOCOL_VERSION_NOT_SUPPORTED, detail)
        request = decode_associate_rq(body, self.limits)
        if request.application_context != DICOM_APPLICATION_CONTEXT:
            detail = f"application context {request.application_context!r} is not DICOM's"
            return self._refuse(request, APPLICATION_CONTEXT_NAME_NOT_SUPPORTED, detail)
        return self._receive_valid(request)

    def _refuse(
        self, request: AssociateRQ | None, rejection: AssociateRJ, detail: str
    ) -> list[Event]:
        self._step(Stimulus.Evt6, acceptable=False)
        self._output.append(encode(rejection))
        return [AssociationRefused(request, rejection, detail)]

    def _receive_valid(self, pdu: PDU) -> list[Event]:
        before = self.state
        action = self._step(_RECEIVED[type(pdu)])
        if action in _ABORTING:
            detail = f"{type(pdu).__name__} PDU received in {before.name}: {before.value}"
            return self._abort_peer(action, AbortReason.UNEXPECTED_PDU, detail)
        if isinstance(pdu, AssociateRQ | AssociateAC):
            self.peer_maximum_length = pdu.user_information.maximum_length
        indication = _INDICATIONS.get(action)
        return [indication(pdu)] if indication else []

    def _abort_peer(self, action: StateAction, reason: AbortReason, detail: str) -> list[Event]:
        source = _ABORTING[action]
        if source is AbortSource.SERVICE_USER:
            reason = AbortReason.NOT_SPECIFIED
        self._output.append(encode(Abort(source, reason)))
        # AA-7 answers a peer that goes on after the association was over: told already.
        return [] if action is StateAction.AA_7 else [Aborted(source, reason, False, detail)]
