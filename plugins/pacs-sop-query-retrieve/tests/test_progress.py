"""The account of sub-operations (PS3.4 C.4.2.1.4.2)."""

from pacs_sop_query_retrieve.progress import Progress

from pacs_core.dataset import parse_attributes, tag_of


def test_the_list_of_failures_fits_its_element():
    """PS3.5 §7.1.2: a UI element has at most 65534 bytes in explicit VR."""
    progress = Progress(5000)
    for number in range(5000):
        progress.record(f"1.2.3.4.5.6.7.8.9.{number:040}", 0xA700)
    response = progress.response("1.2.840.10008.1.2.1", cancelled=False)
    uids = parse_attributes(response.dataset, "1.2.840.10008.1.2.1")[
        tag_of("FailedSOPInstanceUIDList")
    ]
    assert response.failed == 5000
    assert 1000 < len(uids) < 5000
    assert response.status == 0xA702
