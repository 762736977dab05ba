"""Requests and reports: what is written is read again, and what is not one is refused by status."""

import pytest
from hypothesis import given, strategies as st
from pacs_sop_storage_commitment.references import (
    CommitmentRequest,
    EventType,
    FailureReason,
    Reference,
    read_report,
    read_request,
    write_report,
    write_request,
)

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    encode_attributes,
    parse_attributes,
    tag_of,
)
from pacs_core.dimse import DimseError

components = st.lists(st.integers(1, 99999), min_size=1, max_size=8)
uids = components.map(lambda numbers: ".".join(map(str, (1, *numbers))))
references = st.builds(Reference, uids, uids)
requests = st.builds(
    CommitmentRequest, uids, st.lists(references, min_size=1, max_size=8, unique=True).map(tuple)
)


def sent(attributes):
    """Return attributes as they arrive."""
    data = encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)
    return parse_attributes(data, EXPLICIT_VR_LITTLE_ENDIAN)


@given(requests)
def test_requests(request):
    assert read_request(sent(write_request(request)), 8) == request


@given(requests, st.data())
def test_reports(request, data):
    failing = data.draw(st.sets(st.sampled_from(request.references)))
    failures = {each: data.draw(st.sampled_from(FailureReason)) for each in failing}
    kind, information = write_report(request, failures, "PACS")
    uid, committed, failed = read_report(sent(information))
    assert uid == request.transaction_uid
    assert failed == failures
    assert set(committed) == set(request.references) - failing
    assert kind is (EventType.FAILURES_EXIST if failing else EventType.SUCCESSFUL)


tags = st.sampled_from(
    [tag_of(name) for name in ("TransactionUID", "ReferencedSOPSequence", "FailedSOPSequence",
     "ReferencedSOPClassUID", "ReferencedSOPInstanceUID", "FailureReason")]
)  # fmt: skip
values = st.lists(st.one_of(st.text(max_size=70), uids), max_size=3).map(tuple)
items = st.lists(st.dictionaries(tags, values), max_size=4).map(tuple)


@pytest.mark.parametrize("read", [lambda given: read_request(given, 3), read_report])
@given(st.dictionaries(tags, st.one_of(values, items)))
def test_what_is_neither_is_refused(read, given):
    refused = None
    try:
        read(given)
    except DimseError as error:
        refused = error
    assert refused is None or (refused.status in {0x0115, 0x0213} and refused.comment)


def test_an_instance_that_is_named_twice_is_one():
    one = Reference("1.2", "1.3")
    attributes = write_request(CommitmentRequest("1.9", (one, one)))
    assert read_request(attributes, 2).references == (one,)
    with pytest.raises(DimseError, match="more than the 1"):
        read_request(attributes, 1)
