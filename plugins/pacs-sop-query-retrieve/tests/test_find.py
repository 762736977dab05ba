"""C-FIND: which matches are found, and what the responses hold (PS3.4 C.4.1)."""

import pytest
from attrs import evolve
from pacs_sop_query_retrieve import QueryRetrieveConfig, pacs_service_providers

from pacs_core.contracts import AuditKind, Availability, NodeSettings, Outcome, Setup
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.operations import MemoryDataset, answer
from pacs_core.testing.service_provider_contract import Example, ServiceProviderContract

pytestmark = pytest.mark.anyio

LEVEL = tag_of("QueryRetrieveLevel")
RETRIEVE_AE = tag_of("RetrieveAETitle")
CHARACTER_SET = tag_of("SpecificCharacterSet")
NAME = tag_of("PatientName")
STUDY_UID = tag_of("StudyInstanceUID")
SERIES_UID = tag_of("SeriesInstanceUID")
PATIENT_ID = tag_of("PatientID")


class TestContract(ServiceProviderContract):
    @pytest.fixture
    def node(self, filled_node):
        return filled_node

    @pytest.fixture
    def descriptor(self):
        setup = Setup(NodeSettings(), {QueryRetrieveConfig: QueryRetrieveConfig()})
        return {d.name: d for d in pacs_service_providers(setup)}["C-FIND"]

    @pytest.fixture
    def examples(self, request_of):
        operation = request_of(
            "FIND", options=b"\x01", QueryRetrieveLevel="IMAGE", SOPInstanceUID=""
        )
        studies = request_of("FIND", QueryRetrieveLevel="STUDY", StudyInstanceUID="")
        relational = [Example(operation.command, operation.dataset.data, operation.association)]
        return [Example(studies.command, studies.dataset.data), *relational]


async def test_studies_are_found_with_what_was_asked_for_and_no_more(
    provider, request_of, responses
):
    """PS3.4 C.4.1.1.3.2."""
    operation = request_of(
        "FIND", QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="DOE*", StudyDate=""
    )
    response = await answer(provider("FIND"), operation)
    assert response.status == 0x0000
    assert [sent.status for sent in operation.pending] == [0xFF00]
    assert responses(operation) == [
        {
            LEVEL: ("STUDY",),
            RETRIEVE_AE: ("PACS",),
            STUDY_UID: ("1.2.1",),
            NAME: ("Doe^Jane",),
            tag_of("StudyDate"): ("20200101",),
        }
    ]


async def test_availability_is_returned_where_asked(provider, request_of, responses):
    operation = request_of("FIND", QueryRetrieveLevel="STUDY", InstanceAvailability="")
    await answer(provider("FIND"), operation)
    assert responses(operation)[0][tag_of("InstanceAvailability")] == ("ONLINE",)


class Tape:
    """An archive of which nothing is online."""

    def __init__(self, archive):
        self._archive = archive
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._archive, name)

    def on_behalf_of(self, origin):
        return self

    async def availability(self, query):
        self.asked.append([(condition.tag, condition.value) for condition in query.conditions])
        return Availability.NEARLINE


async def test_availability_is_that_of_the_entity(filled_node, request_of, responses):
    """PS3.4 C.4.1.1.3.2; what was not asked for is not told."""
    tape = Tape(filled_node.archive)
    setup = Setup(NodeSettings(), {QueryRetrieveConfig: QueryRetrieveConfig()})
    (find,) = [each for each in pacs_service_providers(setup) if each.name == "C-FIND"]
    operation = request_of(
        "FIND", options=b"\x01", QueryRetrieveLevel="SERIES", Modality="CT", InstanceAvailability=""
    )
    await answer(find.create(evolve(filled_node, archive=tape)), operation)
    found = responses(operation)
    assert {each[tag_of("InstanceAvailability")] for each in found} == {("NEARLINE",)}
    assert not any(STUDY_UID in each or SERIES_UID in each for each in found)
    assert len(tape.asked) == len(found)
    assert all([tag for tag, _ in each] == [STUDY_UID, SERIES_UID] for each in tape.asked)


async def test_keys_that_are_not_supported_are_empty_and_warned_about(
    provider, request_of, responses
):
    """PS3.4 Table C.4-1: FF01H; C.2.2.1.3."""
    operation = request_of(
        "FIND", QueryRetrieveLevel="STUDY", StudyInstanceUID="", BurnedInAnnotation="YES"
    )
    assert (await answer(provider("FIND"), operation)).status == 0x0000
    assert [sent.status for sent in operation.pending] == [0xFF01, 0xFF01]
    assert all(found[tag_of("BurnedInAnnotation")] == () for found in responses(operation))


async def test_computed_attributes_match_and_return(provider, request_of, responses):
    """PS3.4 C.3.4."""
    operation = request_of(
        "FIND",
        QueryRetrieveLevel="STUDY",
        ModalitiesInStudy="SR",
        NumberOfStudyRelatedInstances="",
    )
    await answer(provider("FIND"), operation)
    [found] = responses(operation)
    assert found[tag_of("ModalitiesInStudy")] == ("CT", "SR")
    assert found[tag_of("NumberOfStudyRelatedInstances")] == ("3",)


@pytest.mark.parametrize(
    ("requested", "used"),
    [
        (("ISO_IR 100",), ("ISO_IR 100",)),
        ((), ("ISO_IR 192",)),
        (("ISO_IR 144",), ("ISO_IR 192",)),
        (("ISO_IR 192",), ("ISO_IR 192",)),
    ],
)
async def test_responses_use_the_character_set_of_the_request_if_it_suffices(
    provider, request_of, responses, requested, used
):
    """PS3.4 C.4.1.1.3.2."""
    operation = request_of(
        "FIND",
        character_set=requested,
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID="1.2.2",
        PatientName="",
    )
    await answer(provider("FIND"), operation)
    [found] = responses(operation)
    assert found[NAME] == ("Müller^Jörg",)
    assert found[CHARACTER_SET] == used


async def test_ascii_needs_no_character_set(provider, request_of, responses):
    operation = request_of(
        "FIND",
        character_set=("ISO_IR 100",),
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID="1.2.1",
        PatientName="",
    )
    await answer(provider("FIND"), operation)
    assert CHARACTER_SET not in responses(operation)[0]


async def test_the_identifier_is_read_in_its_character_set(provider, request_of):
    operation = request_of(
        "FIND",
        character_set=("ISO_IR 100",),
        QueryRetrieveLevel="STUDY",
        PatientName="müller*",
    )
    await answer(provider("FIND"), operation)
    assert len(operation.pending) == 1


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
)
async def test_every_uncompressed_transfer_syntax(provider, request_of, responses, syntax):
    operation = request_of(
        "FIND", syntax=syntax, QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1"
    )
    await answer(provider("FIND"), operation)
    assert responses(operation)[0][STUDY_UID] == ("1.2.1",)


@pytest.mark.parametrize(
    ("model", "keys", "offending"),
    [
        ("study", {}, LEVEL),
        ("study", {"QueryRetrieveLevel": "PATIENT"}, LEVEL),
        ("study", {"QueryRetrieveLevel": "study"}, LEVEL),
        ("patient-study", {"QueryRetrieveLevel": "SERIES"}, LEVEL),
        ("study", {"QueryRetrieveLevel": "SERIES"}, STUDY_UID),
        ("study", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ("1.2", "1.3")}, STUDY_UID),
        ("study", {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.*"}, STUDY_UID),
        ("study", {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}, SERIES_UID),
        ("patient", {"QueryRetrieveLevel": "STUDY"}, PATIENT_ID),
        ("patient", {"QueryRetrieveLevel": "STUDY", "PatientID": "P*"}, PATIENT_ID),
    ],
)
async def test_identifiers_that_do_not_match_the_sop_class(
    provider, request_of, model, keys, offending
):
    """PS3.4 C.4.1.1.3.1, C.4.1.2.2: A900H, and which key offends."""
    request = request_of("FIND", model, **keys)
    response = await answer(provider("FIND", relational="strict"), request)
    assert response.status == 0xA900
    assert response.offending_element == (offending,)
    assert 0 < len(response.comment) <= 64


async def test_hierarchical_query(provider, request_of, responses):
    operation = request_of(
        "FIND", QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID=""
    )
    await answer(provider("FIND"), operation)
    assert [found[SERIES_UID] for found in responses(operation)] == [("1.2.1.1",), ("1.2.1.2",)]


async def test_relational_query_once_negotiated_or_configured(provider, request_of):
    """PS3.4 C.4.1.2.2.2, C.5.1.1."""
    keys = {"QueryRetrieveLevel": "IMAGE", "PatientName": "doe^jane"}
    negotiated = request_of("FIND", options=b"\x01", **keys)
    assert (await answer(provider("FIND"), negotiated)).status == 0x0000
    assert len(negotiated.pending) == 3
    configured = request_of("FIND", **keys)
    assert (await answer(provider("FIND", relational="always"), configured)).status == 0x0000
    assert len(configured.pending) == 3


@pytest.mark.parametrize(
    ("model", "level", "keys", "count"),
    [
        ("patient", "STUDY", {}, 2),
        ("patient", "STUDY", {"PatientID": "*"}, 2),
        ("patient", "STUDY", {"PatientID": "P*", "StudyDate": "20200101-20200101"}, 1),
        ("patient", "SERIES", {"StudyInstanceUID": "1.2.1"}, 2),
        ("study", "SERIES", {}, 3),
        ("study", "SERIES", {"StudyInstanceUID": ("1.2.1", "1.2.2"), "Modality": "SR"}, 1),
        ("study", "IMAGE", {"StudyInstanceUID": "1.2.1"}, 3),
        ("patient", "IMAGE", {"SOPInstanceUID": "1.2.1.2.1"}, 1),
    ],
)
@pytest.mark.parametrize("mode", [{}, {"relational": "always"}])
async def test_queries_without_upper_keys_are_answered_as_relational(
    provider, request_of, caplog, model, level, keys, count, mode
):
    """PS3.4 C.4.1.2.2.2, though nothing was negotiated: many viewers ask so."""
    caplog.set_level("INFO")
    find = provider("FIND", **mode)
    for _ in range(2):
        request = request_of("FIND", model, QueryRetrieveLevel=level, **keys)
        assert (await answer(find, request)).status == 0x0000
        assert len(request.pending) == count
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == (0 if mode else 1)  # once for each peer
    if not mode:
        assert f"SCU at 127.0.0.1 sends C-FIND at level {level} without " in logged[0]


async def test_hierarchical_queries_are_not_logged(provider, request_of, caplog):
    caplog.set_level("INFO")
    keys = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.1"}
    await answer(provider("FIND"), request_of("FIND", **keys))
    negotiated = request_of("FIND", options=b"\x01", QueryRetrieveLevel="SERIES")
    await answer(provider("FIND"), negotiated)
    assert caplog.messages == []


async def test_combined_date_time_matching_once_negotiated(provider, request_of):
    """PS3.4 C.2.2.2.5.4: no study is of that time, but both are within the one range."""
    keys = {
        "QueryRetrieveLevel": "STUDY",
        "StudyDate": "20191231-20200102",
        "StudyTime": "2200-2300",
    }
    apart = request_of("FIND", **keys)
    await answer(provider("FIND"), apart)
    assert not apart.pending
    combined = request_of("FIND", options=b"\x00\x01", **keys)
    await answer(provider("FIND"), combined)
    assert len(combined.pending) == 2


async def test_c_cancel_ends_the_query(provider, request_of):
    """PS3.4 C.4.1.2.1: FE00H."""
    operation = request_of("FIND", cancel_after=1, QueryRetrieveLevel="STUDY")
    assert (await answer(provider("FIND"), operation)).status == 0xFE00
    assert len(operation.pending) == 1


async def test_too_many_matches(provider, request_of):
    operation = request_of("FIND", QueryRetrieveLevel="STUDY")
    response = await answer(provider("FIND", max_results=1), operation)
    assert response.status == 0xA700
    assert len(operation.pending) == 1
    enough = request_of("FIND", QueryRetrieveLevel="STUDY")
    assert (await answer(provider("FIND", max_results=2), enough)).status == 0x0000


async def test_queries_are_recorded_without_values(provider, request_of, node):
    keys = {"QueryRetrieveLevel": "STUDY", "PatientName": "Doe*"}
    await answer(provider("FIND"), request_of("FIND", **keys))
    await answer(provider("FIND"), request_of("FIND"))
    done, failed = node.audit.events
    assert (done.kind, done.outcome) == (AuditKind.C_FIND, Outcome.SUCCESS)
    assert done.details == {
        "model": "study-root",
        "level": "STUDY",
        "keys": ["QueryRetrieveLevel", "PatientName"],
        "matches": 1,
        "status": "0000",
    }
    assert failed.outcome is Outcome.FAILURE
    assert failed.details["status"] == "A900"


async def test_what_nobody_foresaw_is_recorded_too(provider, request_of, node, monkeypatch):
    def broken(archive, level):
        raise ZeroDivisionError

    monkeypatch.setattr(type(node.archive), "searchable_tags", broken)
    with pytest.raises(ZeroDivisionError):
        await answer(provider("FIND"), request_of("FIND", QueryRetrieveLevel="STUDY"))
    [event] = node.audit.events
    assert (event.outcome, event.details["status"]) == (Outcome.FAILURE, "0110")


async def test_what_is_no_dataset_is_not_processed(provider, request_of):
    operation = request_of("FIND")
    operation.dataset = MemoryDataset(b"\x08\x00\x52\x00CS\xff\xff")
    assert (await answer(provider("FIND"), operation)).status == 0xC000


async def test_other_commands_are_unrecognized(provider, request_of):
    operation = request_of("FIND", QueryRetrieveLevel="STUDY")
    operation.command = evolve(request_of("GET").command)
    assert (await answer(provider("FIND"), operation)).status == 0x0211


@pytest.mark.parametrize(
    ("config", "proposed", "answered"),
    [
        ({}, b"\x01", b"\x01"),
        ({}, b"\x00", b"\x00"),
        ({}, b"\x01\x01\x01\x01\x01\x01\x01", b"\x01\x01\x00\x01\x00\x01\x01"),
        ({"fuzzy_names": True}, b"\x00\x00\x01", b"\x00\x00\x01"),
        ({}, b"\x01" * 100, b"\x01\x01\x00\x01\x00\x01\x01"),
        ({}, b"", None),
    ],
)
def test_extended_negotiation(provider, config, proposed, answered):
    """PS3.4 Tables C.5-1 and C.5-2."""
    assert provider("FIND", **config).negotiate("1.2", proposed) == answered


def test_mistakes_in_the_configuration_are_explained():
    with pytest.raises(ValueError, match="patient-root"):
        QueryRetrieveConfig(models=("patient",))
    with pytest.raises(ValueError, match="max_results"):
        QueryRetrieveConfig(max_results=0)


async def test_keys_of_bulk_data_are_empty_and_warned_about(provider, request_of, responses):
    """PS3.4 C.4.1.1.3.2: an optional key that is not supported comes back, without a value."""
    operation = request_of("FIND", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
    private, icc = 0x0029_1010, tag_of("ICCProfile")
    keys = b"\x28\x00\x00\x20OB\0\0\x02\0\0\0ab" + b"\x29\x00\x10\x10UN\0\0\0\0\0\0"
    operation.dataset = MemoryDataset(operation.dataset.data + keys)
    assert (await answer(provider("FIND"), operation)).status == 0
    assert [sent.status for sent in operation.pending] == [0xFF01]
    assert responses(operation)[0][private] == ()
    # Bulk data are left out where attributes are parsed, so look for the element itself.
    assert b"\x28\x00\x00\x20OB\0\0\0\0\0\0" in operation.pending[0].dataset
    assert icc == 0x0028_2000


OFFSET = tag_of("TimezoneOffsetFromUTC")
ZONE = b"\0\0\0\1"


@pytest.fixture
def zoned(attributes, filled_node):
    """A study at 23:00 five hours behind UTC, which is in the archive beside others without."""
    study = attributes(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.9.1.1",
        StudyInstanceUID="1.2.9",
        SeriesInstanceUID="1.2.9.1",
        PatientID="P9",
        StudyDate="20240110",
        StudyTime="230000",
        TimezoneOffsetFromUTC="-0500",
    )
    syntax = "1.2.840.10008.1.2.1"
    filled_node.archive.put(encode_attributes(study, syntax), syntax)


@pytest.mark.parametrize(
    ("keys", "hit"),
    [
        ({"StudyDate": "20240111", "StudyTime": "0400", "TimezoneOffsetFromUTC": "+0000"}, True),
        ({"StudyDate": "20240110", "StudyTime": "2300", "TimezoneOffsetFromUTC": "+0000"}, False),
        ({"StudyDate": "20240110", "StudyTime": "2300", "TimezoneOffsetFromUTC": "-0500"}, True),
        ({"StudyDate": "20240110", "StudyTime": "2300"}, True),
        ({"StudyDate": "20240110", "TimezoneOffsetFromUTC": ""}, True),
        ({"StudyDate": "20240110", "TimezoneOffsetFromUTC": "UTC"}, True),
    ],
)
async def test_timezone_query_adjustment(
    provider, request_of, responses, archive_zone, zoned, keys, hit
):
    """PS3.4 C.2.2.2.1.3; the offset is of the keys, and itself never matched (C.2.2.2)."""
    archive_zone("UTC0")
    query = request_of(
        "FIND", options=ZONE, QueryRetrieveLevel="STUDY", StudyInstanceUID="", **keys
    )
    assert (await answer(provider("FIND"), query)).status == 0
    assert [match[STUDY_UID] for match in responses(query)] == [("1.2.9",)] * hit
    for match in responses(query):
        assert match[OFFSET] == ("-0500",)
        assert match[tag_of("StudyDate")] == ("20240110",)


async def test_times_say_in_which_zone_they_are(
    provider, request_of, responses, archive_zone, zoned
):
    """PS3.4 C.4.1.1.3.2: wherever there are times, asked for or not, and never of zero length."""
    archive_zone("XXX-2")

    async def offsets(**keys):
        query = request_of("FIND", QueryRetrieveLevel="STUDY", StudyInstanceUID="", **keys)
        assert (await answer(provider("FIND"), query)).status == 0
        return {match[STUDY_UID][0]: match.get(OFFSET) for match in responses(query)}

    unknown = {"1.2.1": None, "1.2.2": None}
    assert await offsets(StudyDate="") == {**unknown, "1.2.9": ("-0500",)}
    assert await offsets(TimezoneOffsetFromUTC="") == {**unknown, "1.2.9": ("-0500",)}
    assert await offsets(PatientBirthDate="") == {**unknown, "1.2.9": None}
    # A requestor that names a zone is told that the others are in the archive's.
    ours = dict.fromkeys(unknown, ("+0200",))
    zoned_query = {"StudyDate": "", "TimezoneOffsetFromUTC": "+0000"}
    assert await offsets(**zoned_query) == {**ours, "1.2.9": ("-0500",)}
