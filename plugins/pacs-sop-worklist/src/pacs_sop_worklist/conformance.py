"""The worklist in the conformance statement (PS3.2, PS3.4 Annex K)."""

from typing import Final

from pacs_core.dimse import Status

DESCRIPTION: Final = (
    "Answers with one item for each Scheduled Procedure Step, in the order of start. Every "
    "attribute of an entry can be a matching key and a return key, at any depth: all of those of "
    "Table K.6-1, required and optional, by single value, list of UID, universal, wild card, "
    "range and sequence matching; names are matched without regard to case. Start date and start "
    "time are one range where both are given as ranges. Steps that have ended are not returned."
)

STATUSES: Final[dict[int, str]] = {
    Status.PENDING: "a step matches",
    Status.SUCCESS: "all matches were returned",
    Status.CANCEL: "the requestor cancelled",
    Status.OUT_OF_RESOURCES: "there are more matches than max_results",
    Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "a key has a value that nothing could match",
    Status.UNABLE_TO_PROCESS: "the identifier is no dataset",
}
