"""DIMSE-N towards the requestor, roles by message, Meta SOP Classes (PS3.7 §10, D.3.3.4)."""

import sys
from pathlib import Path

import anyio
import pytest
from importlib_metadata import EntryPoint
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from pacs_core.association import NoContextError, Proposal, connect
from pacs_core.contracts import Response
from pacs_core.dataset import tag_of
from pacs_core.testing.node import node_thread

pytestmark = pytest.mark.anyio
SOURCE = Path(__file__).parents[1] / "distributions" / "pacs-reporter" / "src"
POINT = EntryPoint("reporter", "pacs_reporter", "pacs_core.plugins")
COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
VERIFICATION = "1.2.840.10008.1.1"
PRINT_META, FILM_SESSION = "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.1"
TRANSACTION = tag_of("TransactionUID")
UNRECOGNIZED_OPERATION = 0x0211
PATIENCE = 60.0


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SOURCE)
        with node_thread(tmp_path_factory.mktemp("reporter"), plugins=[POINT]) as node:
            yield node
    sys.modules.pop("pacs_reporter", None)


@pytest.fixture
def log(node):
    recorded = sys.modules["pacs_reporter"].LOG
    recorded.clear()
    return recorded


async def until(condition):
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def test_a_provider_reports_after_it_has_answered(node, log):
    heard = []

    async def serve(operation):
        heard.append((operation.command, await operation.dataset.read(9999)))
        return Response(0x0000)

    async with connect(node.peer, [Proposal(COMMITMENT)], serve=serve) as association:
        information = {TRANSACTION: ("1.2.3",)}
        response, _ = await association.n_action(COMMITMENT, INSTANCE, 1, information)
        assert response.status == 0x0000
        assert heard == []
        await until(lambda: heard)
    await until(lambda: "ended: released by the peer" in log)
    assert "reported 1.2.3 0000" in log
    command, data = heard[0]
    assert (command.affected_sop_instance_uid, command.event_type_id) == (INSTANCE, 1)
    assert b"1.2.3" in data


def test_pynetdicom_hears_the_report(node, log):
    heard = []

    def on_report(event):
        heard.append((event.event_type, event.event_information.TransactionUID))
        return 0x0000, None

    from pydicom import Dataset

    ae = AE("COMMIT")
    ae.add_requested_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_EVENT_REPORT, on_report)]
    association = ae.associate("127.0.0.1", node.port, evt_handlers=handlers)
    assert association.is_established
    request = Dataset()
    request.TransactionUID = "1.2.4"
    status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, INSTANCE)
    assert status.Status == 0x0000
    anyio.run(until, lambda: heard and log)
    association.release()
    assert heard == [(1, "1.2.4")]
    assert "reported 1.2.4 0000" in log


async def test_a_requestor_that_only_is_scp_sends_reports(node, log):
    proposal = Proposal(COMMITMENT, scu=False, scp=True)
    async with connect(node.peer, [proposal]) as association:
        response, _ = await association.n_event_report(COMMITMENT, INSTANCE, 1, {})
        assert response.status == 0x0000
        with pytest.raises(NoContextError, match="requestor is SCU"):
            await association.n_action(COMMITMENT, INSTANCE, 1, {})
    assert f"N_EVENT_REPORT_RQ {COMMITMENT}" in log


def test_pynetdicom_sends_reports_as_scp(node, log):
    from pydicom import Dataset

    ae = AE("COMMIT")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = ae.associate("127.0.0.1", node.port, ext_neg=[role])
    report = Dataset()
    report.TransactionUID = "1.2.5"
    status, _ = association.send_n_event_report(report, 1, StorageCommitmentPushModel, INSTANCE)
    association.release()
    assert status.Status == 0x0000
    assert f"N_EVENT_REPORT_RQ {COMMITMENT}" in log


async def test_roles_are_those_of_the_message(node, log):
    """Where the requestor is SCU only, a report from it is refused; so is a request of an SCP."""
    async with connect(node.peer, [Proposal(COMMITMENT)]) as association:
        with pytest.raises(NoContextError, match="requestor is SCP"):
            await association.n_event_report(COMMITMENT, INSTANCE, 1)
        (context,) = association.contexts.values()
        from pacs_core.dimse import Command, CommandField

        command = Command(
            field=CommandField.N_EVENT_REPORT_RQ,
            affected_sop_class_uid=COMMITMENT,
            affected_sop_instance_uid=INSTANCE,
            event_type_id=1,
        )
        invocation = await association.engine.invoke(context.id, command)
        response, _ = await invocation.response()
        assert response.status == UNRECOGNIZED_OPERATION


async def test_a_meta_sop_class_carries_those_that_it_stands_for(node, log):
    async with connect(node.peer, [Proposal(PRINT_META)]) as association:
        with pytest.raises(NoContextError):
            await association.n_create(FILM_SESSION, "1.2.9", {})
        response, _ = await association.n_create(
            FILM_SESSION, "1.2.9", {}, negotiated_as=PRINT_META
        )
        assert response.status == 0x0000
    assert f"N_CREATE_RQ {FILM_SESSION}" in log


async def test_a_provider_hears_of_an_association_before_its_first_request(node, log):
    async with connect(node.peer, [Proposal(COMMITMENT)], calling_ae_title="QUIET"):
        await until(lambda: "accepted: QUIET False" in log)
    log.clear()
    async with connect(node.peer, [Proposal(VERIFICATION)], calling_ae_title="ECHO"):
        pass
    assert not any(each.startswith("accepted") for each in log)


async def test_a_provider_hears_of_an_association_that_is_aborted(node, log):
    async with connect(node.peer, [Proposal(COMMITMENT)]) as association:
        await association.abort("enough")
    await until(lambda: any(each.startswith("ended: aborted by the peer") for each in log))


async def test_a_link_says_that_its_association_has_ended(node):
    """What is sent afterwards fails at once, and harms nobody."""
    from pacs_core.association import AssociationError
    from pacs_core.association.operation import RequestorLink

    async with connect(node.peer, [Proposal(COMMITMENT)]) as association:
        link = RequestorLink(association.info, association.engine)
        assert not link.has_ended
    assert link.has_ended
    with pytest.raises(AssociationError):
        await link.n_event_report(COMMITMENT, INSTANCE, 1)
