"""C-GET: sub-operations on the requestor's association (PS3.4 C.4.3)."""

import pytest
from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers

from pacs_core.contracts import AuditKind, InstancePath, NodeSettings, Outcome, Setup
from pacs_core.dataset import parse_attributes, tag_of
from pacs_core.testing.operations import accepted_context, answer
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
FAILED = tag_of("FailedSOPInstanceUIDList")
LEVEL = tag_of("QueryRetrieveLevel")
STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}
AS_SCP = [accepted_context(CT, context_id=3, scp=True)]


def failed_uids(response):
    return parse_attributes(response.dataset, EXPLICIT)[FAILED]


class TestContract(ServiceProviderContract):
    @pytest.fixture
    def node(self, filled_node):
        return filled_node

    @pytest.fixture
    def descriptor(self):
        # One pending response each, however long it takes.
        config = QueryRetrieveConfig(pending_interval=3600.0)
        setup = Setup(NodeSettings(), {QueryRetrieveConfig: config})
        return {d.name: d for d in pacs_service_providers(setup)}["C-GET"]

    @pytest.fixture
    def examples(self, request_of):
        operation = request_of("GET", contexts=AS_SCP, **STUDY)
        return [Example(operation.command, operation.dataset.data, operation.association)]


async def test_instances_are_sent_as_stored_and_counted(provider, request_of, node):
    operation = request_of("GET", contexts=AS_SCP, **STUDY)
    response = await answer(provider("GET", pending_interval=0.0), operation)
    assert (response.status, response.dataset) == (0x0000, None)
    assert (response.completed, response.failed, response.warning) == (3, 0, 0)
    assert response.remaining is None
    assert [s.sop_instance_uid for s in operation.stores] == ["1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1"]
    assert [(p.remaining, p.completed) for p in operation.pending] == [(2, 1), (1, 2), (0, 3)]
    for sent in operation.stores:
        assert (sent.context_id, sent.sop_class_uid) == (3, CT)
        assert sent.move_originator is None
        stored = await node.archive.locate(InstancePath("1.2.1", sent.sop_instance_uid))
        reader = await node.archive.open(stored)
        assert sent.dataset == await reader.read(stored.dataset_offset, 1 << 20)


@pytest.mark.parametrize(
    "contexts",
    [
        [],
        [accepted_context(CT, context_id=3)],
        [accepted_context(CT, JPEG, context_id=3, scp=True)],
        [accepted_context("1.2.3", context_id=3, scp=True)],
    ],
    ids=["none", "not SCP", "other syntax", "other class"],
)
async def test_without_a_context_that_fits_all_sub_operations_fail(provider, request_of, contexts):
    """PS3.4 C.4.3.1.4: A702H, and the list of what failed."""
    operation = request_of("GET", contexts=contexts, **STUDY)
    response = await answer(provider("GET"), operation)
    assert response.status == 0xA702
    assert response.failed == 3
    assert response.comment.startswith("the peer ")
    assert failed_uids(response) == ("1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1")
    assert operation.stores == []


@pytest.mark.parametrize(
    ("statuses", "final", "counts", "failed"),
    [
        ({"1.2.1.1.2": 0xA700}, 0xB000, (2, 1, 0), ("1.2.1.1.2",)),
        ({"1.2.1.1.2": 0xB000}, 0xB000, (2, 0, 1), None),
        (0xC000, 0xA702, (0, 3, 0), ("1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1")),
        (0xB007, 0xB000, (0, 0, 3), None),
    ],
)
async def test_the_final_status_sums_up(provider, request_of, statuses, final, counts, failed):
    """PS3.4 Table C.4-3."""
    operation = request_of("GET", contexts=AS_SCP, store_status=statuses, **STUDY)
    response = await answer(provider("GET"), operation)
    assert response.status == final
    assert bool(response.comment) == bool(failed)
    assert (response.completed, response.failed, response.warning) == counts
    assert (response.dataset and failed_uids(response)) == failed


async def test_an_object_that_is_gone_fails_alone(provider, request_of, node):
    node.archive.lose(InstancePath("1.2.1", "1.2.1.1.1"))
    operation = request_of("GET", contexts=AS_SCP, **STUDY)
    response = await answer(provider("GET"), operation)
    assert response.status == 0xB000
    assert failed_uids(response) == ("1.2.1.1.1",)


async def test_c_cancel_stops_between_sub_operations(provider, request_of):
    """PS3.4 C.4.3.2.3: FE00H, with the number of those that remain."""
    operation = request_of("GET", contexts=AS_SCP, cancel_after=1, **STUDY)
    response = await answer(provider("GET"), operation)
    assert (response.status, response.remaining, response.completed) == (0xFE00, 2, 1)
    assert len(operation.stores) == 1


async def test_nothing_matches(provider, request_of):
    operation = request_of("GET", QueryRetrieveLevel="STUDY", StudyInstanceUID="9.9")
    response = await answer(provider("GET"), operation)
    assert (response.status, response.completed) == (0x0000, 0)


@pytest.mark.parametrize(
    ("model", "keys", "count"),
    [
        ("study", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ("1.2.1", "1.2.2")}, 4),
        ("patient", {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}, 3),
        (
            "study",
            {
                "QueryRetrieveLevel": "IMAGE",
                "StudyInstanceUID": "1.2.1",
                "SeriesInstanceUID": "1.2.1.1",
                "SOPInstanceUID": ("1.2.1.1.1", "1.2.1.1.2"),
            },
            2,
        ),
    ],
)
async def test_levels_and_lists(provider, request_of, model, keys, count):
    """PS3.4 C.4.2.2.1, C.4.3.2.1."""
    operation = request_of("GET", model, contexts=AS_SCP, **keys)
    assert (await answer(provider("GET"), operation)).status == 0x0000
    assert len(operation.stores) == count


@pytest.mark.parametrize(
    ("model", "keys", "offending"),
    [
        ("study", {"QueryRetrieveLevel": "STUDY"}, "StudyInstanceUID"),
        ("study", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}, "StudyInstanceUID"),
        ("study", {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2"}, "StudyInstanceUID"),
        ("patient", {"QueryRetrieveLevel": "PATIENT", "PatientID": "P*"}, "PatientID"),
        ("patient", {"QueryRetrieveLevel": "PATIENT", "PatientID": ("P1", "P2")}, "PatientID"),
        ("study", {"QueryRetrieveLevel": "PATIENT"}, "QueryRetrieveLevel"),
    ],
)
async def test_identifiers_that_do_not_say_what_to_retrieve(
    provider, request_of, model, keys, offending
):
    request = request_of("GET", model, **keys)
    response = await answer(provider("GET", relational="strict"), request)
    assert response.status == 0xA900
    assert response.offending_element == (tag_of(offending),)


@pytest.mark.parametrize(
    ("model", "keys", "offending"),
    [
        ("study", {"QueryRetrieveLevel": "SERIES"}, "SeriesInstanceUID"),
        ("study", {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}, "SOPInstanceUID"),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "P1"}, "StudyInstanceUID"),
        (
            "patient",
            {"QueryRetrieveLevel": "STUDY", "PatientID": "P*", "StudyInstanceUID": "1.2.1"},
            "PatientID",
        ),
    ],
)
async def test_what_no_relational_retrieval_leaves_out(
    provider, request_of, model, keys, offending
):
    """PS3.4 C.4.3.2.2: the unique key of the level itself; and what is given names one entity."""
    response = await answer(provider("GET"), request_of("GET", model, **keys))
    assert response.status == 0xA900
    assert response.offending_element == (tag_of(offending),)


@pytest.mark.parametrize(
    ("model", "keys", "count"),
    [
        ("patient", {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.1"}, 3),
        ("study", {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2.1.1"}, 2),
        ("study", {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ("1.2.1.2", "1.2.2.1")}, 2),
        ("study", {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.1.2.1"}, 1),
    ],
)
async def test_retrievals_without_upper_keys_are_relational(
    provider, request_of, caplog, model, keys, count
):
    caplog.set_level("INFO")
    operation = request_of("GET", model, contexts=AS_SCP, **keys)
    assert (await answer(provider("GET"), operation)).status == 0x0000
    assert len(operation.stores) == count
    assert sum("sends C-GET" in message for message in caplog.messages) == 1


class TestOneSeriesUidInTwoStudies:
    """One patient's images never go out with another's."""

    @pytest.fixture
    def instances(self, instances, attributes):
        other = attributes(StudyInstanceUID="1.2.8", SOPInstanceUID="1.2.8.1", PatientID="P8")
        return [*instances, {**instances[0], **other}]

    @pytest.mark.parametrize("options", [b"", b"\x01"])
    async def test_it_is_refused_unless_the_study_is_named(self, provider, request_of, options):
        keys = {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2.1.1"}
        operation = request_of("GET", contexts=AS_SCP, options=options, **keys)
        response = await answer(provider("GET"), operation)
        assert response.status == 0xA900
        assert response.offending_element == (tag_of("StudyInstanceUID"),)
        assert operation.stores == []


async def test_relational_retrieval_once_negotiated(provider, request_of):
    """PS3.4 C.4.3.2.2, C.5.3."""
    keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.1.2.1"}
    operation = request_of("GET", options=b"\x01", contexts=AS_SCP, **keys)
    assert (await answer(provider("GET"), operation)).status == 0x0000
    assert len(operation.stores) == 1


async def test_too_many_instances(provider, request_of):
    """PS3.4 Table C.4-3: A701H."""
    operation = request_of("GET", contexts=AS_SCP, **STUDY)
    assert (await answer(provider("GET", max_suboperations=2), operation)).status == 0xA701
    assert operation.stores == []


async def test_pending_responses_can_be_rarer(provider, request_of):
    operation = request_of("GET", contexts=AS_SCP, **STUDY)
    await answer(provider("GET", pending_interval=3600.0), operation)
    assert len(operation.pending) == 1


async def test_retrievals_are_recorded(provider, request_of, node):
    operation = request_of("GET", contexts=AS_SCP, store_status={"1.2.1.1.2": 0xA700}, **STUDY)
    await answer(provider("GET"), operation)
    sent, event = node.audit.events
    assert (sent.kind, sent.outcome) == (AuditKind.INSTANCES_SENT, Outcome.WARNING)
    assert [(each.id, each.sop_classes) for each in sent.objects] == [("1.2.1", {CT: 2})]
    assert (event.kind, event.outcome) == (AuditKind.C_GET, Outcome.WARNING)
    assert [each.id for each in event.objects] == [operation.context.abstract_syntax]
    assert event.details == {
        "model": "study-root",
        "level": "STUDY",
        "study_instance_uids": ("1.2.1",),
        "completed": 2,
        "failed": 1,
        "warning": 0,
        "remaining": 0,
        "status": "B000",
    }
