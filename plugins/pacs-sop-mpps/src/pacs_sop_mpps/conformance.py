"""Performed procedure steps in the conformance statement (PS3.2, PS3.4 F.7.4.2 to F.9.4.2)."""

from typing import Final

from pacs_core.dimse import Status

DESCRIPTION: Final = (
    "Takes all attributes of the Modality Performed Procedure Step IOD but private ones, in "
    "N-CREATE, and in N-SET those that PS3.4 Table F.7.2-1 allows; keeps them as sent, and answers "
    "N-GET with them. A step is created IN PROGRESS and set to COMPLETED or DISCONTINUED, after "
    "which it is not changed, by the SCU or by this node. Entries of this node's worklist that it "
    "refers to become STARTED, COMPLETED and DISCONTINUED with it. What modalities are known to "
    "leave out is tolerated, unless the site is strict. Steps are kept for as many days after "
    "their last change as the site configures, 90 by default, 30 if they have not ended."
)

INITIATES: Final = (
    "N-CREATE and N-SET are sent on to configured peers, in their order, as SCU of the Modality "
    "Performed Procedure Step SOP Class. Configured peers are told by N-EVENT-REPORT, as SCP of "
    "the Notification SOP Class after role selection: In Progress (1), Completed (2), Discontinued "
    "(3), Updated (4), Deleted (5). What a peer does not take is tried again for days. Whoever "
    "requests an association as SCU of that SOP Class and holds it open is told on it, but for (5)."
)

STATUSES: Final[dict[int, str]] = {
    Status.SUCCESS: "the step was created, set or returned",
    Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: "N-GET asks for attributes that the step has not",
    Status.NO_SUCH_ATTRIBUTE: "N-SET has attributes that it may not set, and the site is strict",
    Status.INVALID_ATTRIBUTE_VALUE: "a value is wrong, or a step is created in another state",
    Status.PROCESSING_FAILURE: "the step has ended (Error ID A710H), or there is no dataset",
    Status.DUPLICATE_SOP_INSTANCE: "there is a step with this SOP Instance UID",
    Status.NO_SUCH_SOP_INSTANCE: "there is no step with this SOP Instance UID",
    Status.NO_SUCH_SOP_CLASS: "the SOP class of the request is none of MPPS",
    Status.MISSING_ATTRIBUTE: "N-CREATE lacks what it must have",
    Status.MISSING_ATTRIBUTE_VALUE: "what must have a value has none, at the end at the latest",
    Status.NOT_AUTHORIZED: "the requestor may not",
    Status.UNRECOGNIZED_OPERATION: "the SOP class has no such operation",
    Status.RESOURCE_LIMITATION: "the list is too long, or too many steps are in progress",
}
