"""Every status of PS3.7 Annex C, each by messages that lead to it, on one node with all N-services.

The table says for each status in which section of the standard it is, and what is sent. Of the
services of PS3.4, those of Print Management have most of them; their own statuses, from B000H on,
are in the tests of each service.
"""

import socket
import sys
from types import ModuleType

import pytest
from attrs import evolve, frozen
from importlib_metadata import EntryPoint
from pacs_sop_mpps.testing import sample_attributes
from pydicom.uid import generate_uid

from pacs_core.contracts import AccessDescriptor, Allow, Authorizer, Deny
from pacs_core.dataset import IMPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of
from pacs_core.dimse import Command, CommandField, Status, encode_command
from pacs_core.plugins import hookimpl
from pacs_core.testing.node import node_thread
from pacs_core.testing.raw_peer import RawPeer
from pacs_core.upper_layer import (
    AssociateRQ,
    AsynchronousOperations,
    ProposedContext,
    RoleSelection,
    UserInformation,
)

PLUGINS = [
    "sop-print", "sop-mpps", "sop-storage-commitment", "jobs", "database",
    "sop-storage", "store-filesystem", "index-sqlite", "audit-json",
]  # fmt: skip
META, SESSION, FILM = "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.1", "1.2.840.10008.5.1.1.2"
GREY, COLOR = "1.2.840.10008.5.1.1.4", "1.2.840.10008.5.1.1.4.1"
PRINTER, PRINTER_UID = "1.2.840.10008.5.1.1.16", "1.2.840.10008.5.1.1.17"
MPPS, MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.3.1.2.3.4"
COMMITMENT, COMMITMENT_UID = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
CONTEXTS = {META: 1, MPPS: 3, MPPS_RETRIEVE: 5, COMMITMENT: 7, CT: 9}
PATIENCE = 60.0


class Guard(Authorizer):
    """Denies everything to one AE title."""

    async def authorize(self, access):
        return Deny("no") if access.origin.calling_ae_title == "DENIED" else Allow()


@hookimpl
def pacs_access(setup):
    return [AccessDescriptor("annex-c", authorizer=lambda node: Guard())]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    module = ModuleType("annex_c_plugin")
    module.pacs_access = pacs_access
    guard = EntryPoint("annex-c", "annex_c_plugin", "pacs_core.plugins")
    tables = {"plugin": {"sop-print": {"film_sizes": ["8INX10IN"], "max_boxes": 20}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "annex_c_plugin", module)
        with node_thread(tmp_path_factory.mktemp("c"), tables, plugins=[*PLUGINS, guard]) as node:
            yield node


def attributes(**values):
    return {
        tag_of(keyword): value if isinstance(value, tuple) else (value,)
        for keyword, value in values.items()
    }


@frozen
class Ask:
    """A request: its command, the SOP class of its context, and its dataset."""

    command: Command
    context: str = META
    dataset: bytes | None = None
    spoil: tuple[bytes, bytes] = (b"", b"")

    def encode(self, wire, number):
        """Return the message; of its command, some bytes are replaced that no requestor sends."""
        command = encode_command(evolve(self.command, message_id=number))
        if self.spoil[0]:
            assert command.count(self.spoil[0]) == 1
            command = command.replace(*self.spoil)
        message = wire.command_pdu(CONTEXTS[self.context], command)
        if self.dataset is not None:
            message += wire.dataset_pdus(CONTEXTS[self.context], self.dataset)
        return message


def ask(service, sop_class, uid, context=META, content=None, **command):
    """Return a request of a service, such as N_SET."""
    creates = service in ("N_CREATE", "N_EVENT_REPORT", "C_STORE")
    kind = "affected" if creates else "requested"
    names = {f"{kind}_sop_class_uid": sop_class, f"{kind}_sop_instance_uid": uid}
    if isinstance(content, dict):
        content = encode_attributes(content, IMPLICIT_VR_LITTLE_ENDIAN)
    field = CommandField[f"{service}_RQ"]
    made = Command(field=field, has_dataset=content is not None, **names, **command)
    return Ask(made, context, content)


def session(uid="1.2.3", **own):
    return ask("N_CREATE", SESSION, uid, content=attributes(PrintPriority="LOW", **own))


def film(uid="1.2.4", **own):
    item = attributes(ReferencedSOPClassUID=SESSION, ReferencedSOPInstanceUID="1.2.3")
    given = {"ImageDisplayFormat": ("STANDARD", "1,1"), "ReferencedFilmSessionSequence": item}
    wanted = {name: value for name, value in {**given, **own}.items() if value is not None}
    return ask("N_CREATE", FILM, uid, content=attributes(**wanted))


def step(uid, **own):
    return ask("N_CREATE", MPPS, uid, MPPS, {**sample_attributes(), **attributes(**own)})


def commit(**own):
    return ask(
        "N_ACTION", COMMITMENT, COMMITMENT_UID, COMMITMENT, attributes(**own), action_type_id=1
    )


PERFORMED, TWICE = generate_uid(), generate_uid()
NAME = tag_of("PatientName")

ANNEX_C = {
    0x0000: ("C.1", [ask("N_GET", PRINTER, PRINTER_UID)]),
    # Warnings
    0x0001: (
        "C.4",
        [
            step(PERFORMED),
            ask(
                "N_GET",
                MPPS_RETRIEVE,
                PERFORMED,
                MPPS_RETRIEVE,
                attribute_identifier_list=(NAME, tag_of("PixelData")),
            ),
        ],
    ),
    0x0107: (
        "C.4",
        [ask("N_GET", PRINTER, PRINTER_UID, attribute_identifier_list=(NAME,))],
    ),
    0x0116: ("C.4", [session(NumberOfCopies="99")]),
    # Failures
    0x0119: (
        "C.5.7",
        [session(), film(), ask("N_SET", GREY, "1.2.4", content=attributes(ImageBoxPosition="1"))],
    ),
    0x0210: ("C.5.9", [step(TWICE), step(TWICE)]),
    0x0111: ("C.5.8", [session(), film(), film()]),
    0x0115: ("C.5.10", [commit(TransactionUID="1.2.x")]),
    0x0106: ("C.5.11", [session(NumberOfCopies="0")]),
    0x0117: ("C.5.12", [evolve(session("1.2.7"), spoil=(b"1.2.7", b"1.2.x"))]),
    0x0120: ("C.5.13", [session(), film(ImageDisplayFormat=None)]),
    0x0121: ("C.5.14", [session(), film(ImageDisplayFormat=())]),
    0x0212: (
        "C.5.15",
        [
            # Requested SOP Instance UID (0000,1001) is not there, and Event Type ID is no number.
            evolve(
                ask("N_ACTION", FILM, "1.2.4", action_type_id=1),
                spoil=(b"\0\0\x01\x10", b"\0\0\x02\x10"),
            )
        ],
    ),
    0x0114: ("C.5.16", [commit(PatientID="P1")]),
    0x0105: (
        "C.5.17",
        [
            session(),
            film(),
            ask("N_SET", FILM, "1.2.4", content=attributes(FilmSizeID="14INX17IN")),
        ],
    ),
    0x0113: (
        "C.5.18",
        [
            ask(
                "N_EVENT_REPORT",
                COMMITMENT,
                COMMITMENT_UID,
                COMMITMENT,
                attributes(TransactionUID="1.2.3"),
                event_type_id=3,
            )
        ],
    ),
    0x0112: ("C.5.19", [ask("N_GET", MPPS_RETRIEVE, "1.2.9.9", MPPS_RETRIEVE)]),
    0x0118: ("C.5.20", [ask("N_SET", COLOR, "1.2.4", content=attributes(ImageBoxPosition="1"))]),
    0x0110: ("C.5.21", [ask("N_CREATE", MPPS, generate_uid(), MPPS, b"\x10\x00\x10\x00\xff")]),
    0x0213: ("C.5.22", [session(), film(ImageDisplayFormat=("STANDARD", "5,5"))]),
    0x0211: ("C.5.23", [ask("N_DELETE", PRINTER, PRINTER_UID)]),
    0x0123: ("C.5.24", [session(), film(), ask("N_ACTION", FILM, "1.2.4", action_type_id=2)]),
    0x0124: ("C.5.25", [session()]),
    0x0122: (
        "C.5.6, of DIMSE-C",
        [
            ask(
                "C_STORE",
                MR,
                "1.2.3",
                CT,
                attributes(SOPClassUID=MR, SOPInstanceUID="1.2.3"),
                priority=0,
            )
        ],
    ),
}
"""By status: where it is defined, and requests of which the last is answered with it."""


def test_the_table_has_every_status_of_annex_c():
    assert set(ANNEX_C) == {int(status) for status in Status if status < 0x1000}


@pytest.fixture
def dial(node):
    """Return a function that associates, with all contexts and roles."""
    peers = []

    def dial(title, window):
        peer = RawPeer(socket.create_connection(("127.0.0.1", node.port), PATIENCE))
        peers.append(peer)
        contexts = tuple(
            ProposedContext(number, uid, (IMPLICIT_VR_LITTLE_ENDIAN,))
            for uid, number in CONTEXTS.items()
        )
        user = UserInformation(
            16384,
            "1.2.3.4",
            asynchronous_operations=AsynchronousOperations(window, window),
            roles=(RoleSelection(COMMITMENT, scu=True, scp=True),),
        )
        accepted = peer.associate(AssociateRQ("PACS", title, contexts, user))
        assert all(context.result == 0 for context in accepted.presentation_contexts)
        return peer

    yield dial
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("status", ANNEX_C, ids=lambda status: f"{status:04X}H")
def test_a_status_is_reached(dial, wire, status):
    """An association on which it was answered goes on."""
    section, requests = ANNEX_C[status]
    is_duplicate = status == Status.DUPLICATE_INVOCATION
    peer = dial("DENIED" if status == Status.NOT_AUTHORIZED else "SCU", 4 if is_duplicate else 1)
    if is_duplicate:
        # Both in one piece: the first is outstanding until it is in the database.
        peer.send(*(each.encode(wire, 7) for each in requests))
        answers = sorted(peer.response()[0].status for _ in requests)
    else:
        answers = [
            peer.send(each.encode(wire, number)).response()[0].status
            for number, each in enumerate(requests, 1)
        ]
    assert [f"{each:04X}" for each in answers] == ["0000"] * (len(requests) - 1) + [
        f"{status:04X}"
    ], f"PS3.7 {section}"
    peer.release()
