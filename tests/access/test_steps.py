"""Unified and performed procedure steps over DIMSE, and who is told of changes (PS3.4 F, CC).

Those whom rules restrict hear what a node says that holds no steps but those that they may see;
what they do to a hidden step fails as on one that does not exist.
"""

import json
from contextlib import contextmanager
from io import BytesIO

import anyio
import pytest
from pacs_web.websocket_client import open_websocket
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of
from pacs_core.testing.waiting import until

from .conftest import (
    FORMS,
    HIDDEN,
    MIXED,
    NOT_SAID,
    NOWHERE,
    SEEN,
    STEPS,
    performed_step,
    unified_step,
)
from .test_dimse_doors import NOT_AUTHORIZED, keys_of

PUSH, WATCH, PULL = (
    UnifiedProcedureStepPush, UnifiedProcedureStepWatch, UnifiedProcedureStepPull,
)  # fmt: skip
QUERY, EVENT = UnifiedProcedureStepQuery, UnifiedProcedureStepEvent
MPPS, RETRIEVE, NOTIFICATION = (
    ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve,
    ModalityPerformedProcedureStepNotification,
)  # fmt: skip
UPS_GLOBAL = "1.2.840.10008.5.1.4.34.5"
TWINS = ((f"{HIDDEN}.2.1", f"{NOWHERE}.2.1"), (f"{MIXED}.2.3", f"{MIXED}.8.3"))
"""UIDs of steps that are hidden, each with one of none."""
FINDS = (
    (QUERY, {"PatientID": "", "ProcedureStepState": ""}),
    (QUERY, {"PatientID": "P3"}),
    (WATCH, {"PatientName": "*P4", "StudyInstanceUID": ""}),
    (PULL, {"Modality": "M*", "PatientID": ""}),
    (QUERY, {"ReferencedRequestSequence": {"StudyInstanceUID": MIXED, "AccessionNumber": ""}}),
    (WATCH, {"ReferencedRequestSequence": {"AccessionNumber": "A4"}}),
    (PULL, {"StudyDate": "20000101-20151231", "SOPInstanceUID": ""}),
)


@contextmanager
def associate(guarded, role, contexts, title="ANYONE", **options):
    ae = AE(title)
    ae.dimse_timeout = 120
    for context in contexts:
        ae.add_requested_context(context, EXPLICIT_VR_LITTLE_ENDIAN)
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 5
    identity.primary_field = guarded.token(role).encode()
    association = ae.associate(
        "127.0.0.1", guarded.node.port, ae_title="PACS", ext_neg=[identity], **options
    )
    assert association.is_established
    try:
        yield association
    finally:
        association.release()


def dataset_of(attributes):
    encoded = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)
    return decode(BytesIO(encoded), False, True)


def answer(said):
    """Return all that the response of a DIMSE-N operation says."""
    status, dataset = said
    return status.to_json_dict(), dataset and dataset.to_json_dict()


def read_all(guarded, role):
    """Return what C-FIND and N-GET say of all steps, and of what is none."""
    found = []
    with associate(guarded, role, (WATCH, PULL, QUERY, MPPS, RETRIEVE)) as asked:
        for context, keys in FINDS:
            said = asked.send_c_find(keys_of(keys), context)
            found.append([answer(each) for each in said])
        uids = [uid for *_, uid in STEPS] + [uid for _, uid in TWINS]
        for uid in uids:
            found += [
                answer(asked.send_n_get([], PUSH, uid, meta_uid=WATCH)),
                answer(asked.send_n_get([], MPPS, uid, meta_uid=RETRIEVE)),
                answer(asked.send_n_get([0x00100010, 0x00100020], MPPS, uid)),
            ]
    return found


@pytest.fixture(scope="module")
def expected(oracle):
    return read_all(oracle, "admin")


@pytest.mark.parametrize("role", FORMS)
def test_c_find_and_n_get(guarded, oracle, expected, role):
    said = read_all(guarded, role)
    if role not in NOT_SAID:
        assert said == expected
        return
    assert [len(each) for each in said[: len(FINDS)]] == [1] * len(FINDS)  # that there is no more
    assert not any(dataset for _, dataset in said[len(FINDS) :])


def test_there_are_steps_to_find_and_hide(guarded, expected):
    said = read_all(guarded, "admin")
    assert [len(each) for each in expected[: len(FINDS)]] == [3, 1, 1, 1, 2, 1, 1]
    assert [len(each) for each in said[: len(FINDS)]] == [5, 2, 2, 3, 3, 2, 3]
    assert sum(bool(dataset) for _, dataset in expected[len(FINDS) :]) == 6
    assert sum(bool(dataset) for _, dataset in said[len(FINDS) :]) == 12


def write_all(asked, uid):
    """Return what is said to all that may be asked to be done to a step."""
    label, claim = Dataset(), Dataset()
    label.ProcedureStepLabel = "mine"
    claim.ProcedureStepState, claim.TransactionUID = "IN PROGRESS", "1.2.3.99"
    follow = Dataset()
    follow.ReceivingAE, follow.DeletionLock = "DEST", "FALSE"
    ended, why = Dataset(), Dataset()
    why.ReasonForCancellation = "typo"
    ended.PerformedProcedureStepStatus = "DISCONTINUED"
    act = asked.send_n_action
    return [
        answer(each)
        for each in (
            asked.send_n_set(label, PUSH, uid, meta_uid=PULL),
            act(claim, 1, PUSH, uid, meta_uid=PULL),
            act(why, 2, PUSH, uid),
            act(follow, 3, PUSH, uid, meta_uid=WATCH),
            act(follow, 4, PUSH, uid, meta_uid=WATCH),
            act(follow, 5, PUSH, uid, meta_uid=WATCH),
            asked.send_n_set(ended, MPPS, uid),
        )
    ]


@pytest.mark.parametrize("role", FORMS)
def test_a_hidden_step_can_no_more_be_changed_than_none(guarded, role):
    with associate(guarded, role, (PUSH, WATCH, PULL, MPPS)) as asked:
        hidden, unknown = TWINS[list(FORMS).index(role) % 2]
        one, two = (write_all(asked, uid) for uid in (hidden, unknown))
    assert json.dumps(one) == json.dumps(two).replace(unknown, hidden)
    statuses = [said["00000900"]["Value"][0] for said, _ in one]
    assert statuses == [0xC307, 0xC307, 0xC307, 0xC307, 0xC307, 0xC314, 0x0112]


def test_nobody_makes_steps_that_they_may_not_see(guarded):
    """Neither new ones, nor of those that they may see."""
    with associate(guarded, "value", (PUSH, PULL, MPPS)) as asked:
        for uid in (f"{NOWHERE}.1", f"{NOWHERE}.2"):
            for make, context in ((unified_step, PUSH), (performed_step, MPPS)):
                status, _ = asked.send_n_create(dataset_of(make(9, "MR", NOWHERE)), context, uid)
                assert status.Status == NOT_AUTHORIZED
        moved = Dataset()
        moved.Modality = "MR"
        status, _ = asked.send_n_set(moved, PUSH, f"{SEEN}.1.1", meta_uid=PULL)
        assert status.Status == NOT_AUTHORIZED
        status, dataset = asked.send_n_get([], PUSH, f"{SEEN}.1.1", meta_uid=PULL)
        assert dataset.Modality == "CT"


@pytest.mark.parametrize("role", ["scanner", "unknown"])
def test_who_has_no_rule_is_refused_everywhere(guarded, role):
    with associate(guarded, role, (PUSH, WATCH, PULL, QUERY, MPPS, RETRIEVE)) as asked:
        for uid in (f"{SEEN}.1.1", f"{HIDDEN}.2.1", NOWHERE):
            said = write_all(asked, uid)
            said.append(answer(asked.send_n_get([], PUSH, uid, meta_uid=WATCH)))
            said.append(answer(asked.send_n_get([], MPPS, uid, meta_uid=RETRIEVE)))
            assert {status["00000900"]["Value"][0] for status, _ in said} == {NOT_AUTHORIZED}
            assert {status["00000902"]["Value"][0] for status, _ in said} == {"no rule allows it"}
        for context, keys in FINDS:
            [(status, _)] = asked.send_c_find(keys_of(keys), context)
            assert status.Status == NOT_AUTHORIZED


FOLLOWED, UNSEEN = f"{NOWHERE}.11", f"{NOWHERE}.12"


def test_followers_are_told_of_what_they_may_see(guarded):
    """Over the event channel of UPS-RS, and on an association of MPPS Notification."""
    told = []

    def hear(event):
        told.append(event.request.AffectedSOPInstanceUID)
        return 0x0000, None

    handlers = [(evt.EVT_N_EVENT_REPORT, hear)]
    followed = {tag_of("PatientID"): ("FOLLOWED",)}
    with (
        guarded.client("follower") as client,
        associate(guarded, "admin", (PUSH, MPPS)) as admin,
        associate(guarded, "follower", (NOTIFICATION,), evt_handlers=handlers),
        associate(guarded, "value", (NOTIFICATION,), evt_handlers=handlers),
    ):
        path = path_of("FOLLOWER")
        assert client.post(path).status_code == 201
        for uid, own in ((UNSEEN, {}), (FOLLOWED, followed)):
            for make, context in ((unified_step, PUSH), (performed_step, MPPS)):
                made = dataset_of(make(9, "MR", NOWHERE) | own)
                assert admin.send_n_create(made, context, uid)[0].Status == 0x0000
        assert anyio.run(hear_first, guarded, "follower", "FOLLOWER") == FOLLOWED
        until(lambda: told)
        assert client.delete(path).status_code == 200
    assert told == [FOLLOWED]


async def hear_first(guarded, role, receiver):
    """Return what the first event on a channel is about; the status if it is not opened."""
    port = int(guarded.url.rpartition(":")[2])
    headers = {"authorization": f"Bearer {guarded.token(role)}"}
    path = f"/dicom-web/subscribers/{receiver}"
    with anyio.fail_after(60):
        async with open_websocket(port, path, headers) as client:
            if client.status != 101:
                return client.status
            return json.loads(await client.receive())["00001000"]["Value"][0]


def test_others_are_followed_for_only_by_who_may_send_to_them(guarded):
    """To have another receiver told of steps, to end that, and to hear what it is told, is to send
    steps to a third party: rules name to which (PS3.4 CC.2.3, PS3.18 §11.10 to §11.13).
    """
    with guarded.client("sender") as sender, guarded.client("follower") as follower:
        for client, receiver, other in (
            (sender, "DEST", "FOLLOWER"),
            (follower, "FOLLOWER", "DEST"),
        ):
            own, foreign = path_of(receiver), path_of(other)
            assert client.post(own).status_code == 201
            for said in (
                client.post(foreign),
                client.post(f"{foreign}/suspend"),
                client.delete(foreign),
            ):
                assert (said.status_code, said.json()["detail"]) == (403, "no rule allows it")
        assert anyio.run(hear_first, guarded, "sender", "FOLLOWER") == 403
        assert anyio.run(hear_first, guarded, "follower", "DEST") == 403
        for client, receiver in ((sender, "DEST"), (follower, "FOLLOWER")):
            assert client.delete(path_of(receiver)).status_code == 200
    follow = Dataset()
    follow.ReceivingAE, follow.DeletionLock = "ELSEWHERE", "FALSE"
    statuses = []
    for title in ("ANYONE", "ELSEWHERE"):
        with associate(guarded, "sender", (WATCH,), title) as asked:
            statuses += [
                asked.send_n_action(follow, action, PUSH, UPS_GLOBAL, meta_uid=WATCH)[0].Status
                for action in (3, 5, 4)
            ]
    assert statuses == [NOT_AUTHORIZED] * 3 + [0x0000] * 3


def path_of(receiver):
    return f"/dicom-web/workitems/{UPS_GLOBAL}/subscribers/{receiver}"
