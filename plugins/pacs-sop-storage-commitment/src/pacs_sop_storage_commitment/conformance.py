"""Storage Commitment in the conformance statement (PS3.2, PS3.4 J.4)."""

from typing import Final

from pacs_core.dimse import Status

DESCRIPTION: Final = (
    "SCP of the Push Model: each instance that a request names is looked for in the index, its SOP "
    "Class is compared, and its object is read; what is committed to is on disk. The result is "
    "reported on the association of the request while that is open, and else on a new one to the "
    "peer with the requestor's AE title, with the roles of PS3.7 D.3.3.4, again and "
    "again for days. "
    "Failure Reasons are 0110H, 0112H, 0119H, 0122H, 0131H and 0213H. What is committed "
    "to is kept from deletion, and from replacement by other content, for as long as the "
    "configuration says: without end, by default. Storage Media File-Sets and performed procedure "
    "steps that a request names are not looked at. As SCU this archive asks peers, and takes "
    "their reports at any time."
)

INITIATES: Final = "to report results of requests, and to request commitment of peers"

STATUSES: Final[dict[int, str]] = {
    Status.SUCCESS: "the result will be reported; or, to a report, it was noted",
    Status.PROCESSING_FAILURE: "the request could not be noted",
    Status.NO_SUCH_SOP_INSTANCE: "the request is made to another SOP Instance",
    Status.NO_SUCH_EVENT_TYPE: "an event other than 1 and 2",
    Status.NO_SUCH_ARGUMENT: "nothing of the action or event information is of this service",
    Status.INVALID_ARGUMENT_VALUE: "a UID is missing or is none, nothing is referenced, or a "
    "report is about a transaction that was not requested",
    Status.NO_SUCH_ACTION_TYPE: "an action other than 1",
    Status.RESOURCE_LIMITATION: "it names more than max_instances",
}
