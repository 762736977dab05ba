"""Conformance of the three services (PS3.2, PS3.4 C.6)."""

from collections.abc import Mapping
from typing import Final

from pacs_core.dimse import Status
from pacs_sop_query_retrieve.config import Relational
from pacs_sop_query_retrieve.models import InformationModel, ModelService
from pacs_sop_query_retrieve.negotiation import Option

OPTIONS: Final[Mapping[Option, str]] = {
    Option.RELATIONAL: "relational queries and retrievals",
    Option.COMBINED_DATE_TIME: "combined date-time matching",
    Option.FUZZY_NAMES: "fuzzy semantic matching of person names",
    Option.TIMEZONE_ADJUSTMENT: "timezone query adjustment",
    Option.FRAME_CONVERSION: "enhanced multi-frame image conversion",
    Option.EMPTY_VALUES: "empty value matching",
    Option.MULTIPLE_VALUES: "multiple value matching",
}

DESCRIPTIONS: Final[Mapping[ModelService, str]] = {
    ModelService.FIND: (
        "Answers queries by C-FIND (PS3.4 C.4.1) with single value, list of UID, wild card, range, "
        "sequence and universal matching; keys that the index does not know are returned empty. "
        "Dates, times and numbers match by what they mean. Person names match whatever their case, "
        "width and composition of characters, one component group any of the three; wild cards "
        "likewise. A DT value with an offset from UTC is a moment. Keys are in the zone of "
        "Timezone Offset From UTC of the request, else DA and TM are compared as they are "
        "written, and DT without an offset is in the zone of the node. Of several values of a "
        "key one has to match, unless multiple value matching was negotiated. A wild card in a "
        "UID, several items in a sequence, and a range that ends before it begins are refused with "
        "A900H."
    ),
    ModelService.MOVE: (
        "Sends what matches a C-MOVE (PS3.4 C.4.2) to a configured peer, in the transfer syntax in "
        "which it is stored, or converted if the peer does not accept or not prefer that."
    ),
    ModelService.GET: (
        "Sends what matches a C-GET (PS3.4 C.4.3) on the same association, in contexts in which "
        "the requestor has the SCP role, in the transfer syntax in which it is stored, or "
        "converted if none of these contexts has that."
    ),
}

_ANSWERED: Final = (
    "Requests that leave out unique keys of upper levels are answered as relational ones, also "
    "where relational queries were not negotiated."
)
RELATIONAL: Final[Mapping[Relational, str]] = {
    Relational.AUTO: _ANSWERED,
    Relational.ALWAYS: _ANSWERED,
    Relational.STRICT: (
        "Requests that leave out unique keys of upper levels are refused with A900H, unless "
        "relational queries were negotiated."
    ),
}

INITIATES: Final = (
    "For C-MOVE sub-operations: with the move destination, a configured peer, as SCU of Storage. "
    "One presentation context is proposed for each pair of SOP class and transfer syntax in which "
    "matching instances are stored or can be converted to, and at most 128 on one association."
)

_ALL: Final[Mapping[int, str]] = {
    Status.SUCCESS: "all has been returned",
    Status.PROCESSING_FAILURE: "an error of the node",
    Status.NOT_AUTHORIZED: "an authorizer denied it",
    Status.UNRECOGNIZED_OPERATION: "the request is not of this service",
    Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "the level or a unique key is missing or wrong",
    Status.UNABLE_TO_PROCESS: "the identifier is malformed",
    Status.CANCEL: "cancelled by C-CANCEL",
    Status.PENDING: "more follows",
}
_RETRIEVE: Final[Mapping[int, str]] = {
    **_ALL,
    Status.SUCCESS: "all sub-operations are complete, without failures",
    Status.PENDING: "sub-operations are continuing",
    Status.OUT_OF_RESOURCES_MATCHES: "more instances match than max_suboperations",
    Status.OUT_OF_RESOURCES_SUBOPERATIONS: "all sub-operations failed",
    Status.SUBOPERATIONS_COMPLETE_WITH_FAILURES: (
        "some sub-operations failed or had warnings, or the index may lack instances"
    ),
}
STATUSES: Final[Mapping[ModelService, Mapping[int, str]]] = {
    ModelService.FIND: {
        **_ALL,
        Status.UNABLE_TO_PROCESS: (
            "the identifier is malformed; or, after all matches that there are, the index may lack "
            "instances"
        ),
        Status.OUT_OF_RESOURCES: "more matches than max_results",
        Status.PENDING_WITH_WARNINGS: "more follows; some optional keys are not supported",
    },
    ModelService.MOVE: {
        **_RETRIEVE,
        Status.MOVE_DESTINATION_UNKNOWN: "no peer is configured with this AE title",
    },
    ModelService.GET: _RETRIEVE,
}

_TITLES: Final = {
    "patient-root": "Patient Root Query/Retrieve Information Model",
    "study-root": "Study Root Query/Retrieve Information Model",
    "patient-study-only": "Patient/Study Only Query/Retrieve Information Model",
}


def sop_class_name(model: InformationModel, service: ModelService) -> str:
    """Return the name of a SOP class, as in PS3.6 Table A-1."""
    return f"{_TITLES[model.name]} - {service.value.removeprefix('C-')}"
