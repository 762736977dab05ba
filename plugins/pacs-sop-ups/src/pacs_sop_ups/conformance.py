"""Procedure steps in the conformance statement (PS3.2, PS3.4 CC.4)."""

from typing import Final

from pacs_core.contracts import WebServicesStatement, WebTransaction
from pacs_core.dimse import Status
from pacs_sop_ups.statuses import UpsStatus

_ONE: Final = ("application/dicom+json", "application/dicom+xml")
_MANY: Final = (_ONE[0], 'multipart/related; type="application/dicom+xml"')
_EVENTS: Final = _ONE[:1]
_TYPES: Final = {"9": _MANY, "13": _EVENTS}

DESCRIPTION: Final = (
    "Takes all attributes of the Unified Procedure Step IOD but private ones, in N-CREATE, and in "
    "N-SET those that PS3.4 Table CC.2.5-3 allows; keeps them as sent, answers N-GET with them, "
    "but never with the Transaction UID. The Modification DateTime is this node's, and so is the "
    "Worklist Label of a step without one. A step that is canceled by request before anybody has "
    "claimed it is canceled by this node; of others the performer is asked. Unless the site is "
    "strict, absent attributes of type 2 count as sent without a value. Steps are kept for as many "
    "days after their end as the site configures, 30 by default."
)

INITIATES: Final = (
    "Receivers that have subscribed, or were subscribed, and are configured as peers are told by "
    "N-EVENT-REPORT, as SCP of the UPS Event SOP Class after role selection; the Affected SOP "
    "Class is UPS Push: UPS State Report (1), Cancel Requested (2), Progress Report (3), SCP "
    "Status Change (4), when this node has started, Assigned (5). What a receiver does not take is "
    "tried again for days, in its order. Whoever requests an association as SCU of the UPS Event "
    "SOP Class and holds it open is told on it, and need be no configured peer."
)

STATUSES: Final[dict[int, str]] = {
    Status.SUCCESS: "the request was fulfilled",
    Status.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED: "N-GET asks for attributes that the step has not",
    Status.NO_SUCH_ATTRIBUTE: "N-SET has attributes that it may not set, and the site is strict",
    Status.INVALID_ATTRIBUTE_VALUE: "a value is wrong, or N-SET has another state",
    Status.PROCESSING_FAILURE: "there is no dataset",
    Status.DUPLICATE_SOP_INSTANCE: "there is a step with this SOP Instance UID",
    Status.INVALID_ARGUMENT_VALUE: "there is no such state, AE title or key; or no dataset",
    Status.INVALID_SOP_INSTANCE: "the SOP Instance UID is none, or stands for something else",
    Status.NO_SUCH_SOP_CLASS: "the SOP class of the request is none of UPS",
    Status.MISSING_ATTRIBUTE: "N-CREATE lacks what it must have",
    Status.MISSING_ATTRIBUTE_VALUE: "what must have a value has none",
    Status.NO_SUCH_ACTION_TYPE: "the SOP class has no such action",
    Status.NOT_AUTHORIZED: "the requestor may not",
    Status.UNRECOGNIZED_OPERATION: "the SOP class has no such operation",
    Status.RESOURCE_LIMITATION: "the list is too long, or too many steps have not ended",
    Status.OUT_OF_RESOURCES: "C-FIND has more matches than the site answers",
    Status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS: "a key of C-FIND cannot be matched",
    Status.CANNOT_UNDERSTAND: "the identifier is no dataset",
    Status.CANCEL: "C-FIND was cancelled",
    Status.PENDING: "a step that matches",
    UpsStatus.CREATED_WITH_MODIFICATIONS: "what must be empty at creation was emptied",
    UpsStatus.DELETION_LOCK_NOT_GRANTED: "subscribed, but this site grants no deletion locks",
    UpsStatus.ALREADY_CANCELED: "the step is CANCELED already",
    UpsStatus.COERCED_INVALID_VALUES: "what N-SET may not set was passed over, the rest was set",
    UpsStatus.ALREADY_COMPLETED: "the step is COMPLETED already",
    UpsStatus.MAY_NO_LONGER_BE_UPDATED: "the step has ended",
    UpsStatus.WRONG_TRANSACTION_UID: "there is no Transaction UID, or it is not the performer's",
    UpsStatus.ALREADY_IN_PROGRESS: "somebody has claimed the step",
    UpsStatus.SCHEDULED_ONLY_BY_CREATION: "no step becomes SCHEDULED by N-SET or N-ACTION",
    UpsStatus.FINAL_STATE_NOT_MET: "the step lacks what its end demands; the comment says what",
    UpsStatus.NO_SUCH_STEP: "there is no step with this SOP Instance UID",
    UpsStatus.UNKNOWN_RECEIVING_AE: "the Receiving AE is no configured peer, nor connected",
    UpsStatus.CREATED_NOT_SCHEDULED: "N-CREATE has another state than SCHEDULED",
    UpsStatus.NOT_IN_PROGRESS: "nobody has claimed the step",
    UpsStatus.IS_COMPLETED: "the step is COMPLETED, and cannot be canceled",
    UpsStatus.PERFORMER_UNREACHABLE: "nobody who would cancel it follows the step",
    UpsStatus.INAPPROPRIATE_ACTION: "the SOP Instance UID stands for many steps, or for one only",
}


def web_services(root: str) -> WebServicesStatement:
    """Return what is said of UPS-RS (PS3.18 §11).

    Parameters
    ----------
    root : str
        Path below which ``workitems`` is.
    """
    item, own = "/workitems/{workitem}", "/workitems/{workitem}/subscribers/{receiver}"
    rows = (
        ("Create Workitem", "4", ("POST /workitems",), ("workitem",)),
        ("Retrieve Workitem", "5", (f"GET {item}",), ()),
        ("Update Workitem", "6", (f"POST {item}",), ("Transaction-uid",)),
        ("Change Workitem State", "7", (f"PUT {item}/state/{{requester}}",), ()),
        ("Request Cancellation", "8", (f"POST {item}/cancelrequest/{{requester}}",), ()),
        ("Search", "9", ("GET /workitems",), ("limit", "offset", "includefield", "fuzzymatching")),
        ("Subscribe", "10", (f"POST {own}",), ("deletionlock",)),
        ("Unsubscribe", "11", (f"DELETE {own}",), ()),
        ("Suspend Global Subscription", "12", (f"POST {own}/suspend",), ()),
        ("Open Event Channel", "13", ("GET /subscribers/{receiver}",), ()),
    )
    transactions = tuple(
        WebTransaction(
            name, f"PS3.18 §11.{section}", resources, _TYPES.get(section, _ONE), parameters
        )
        for name, section, resources, parameters in rows
    )
    remarks = (
        "Workitems are the procedure steps of the UPS SOP Classes, under the same rules. A "
        "requester need not be named. A Transaction UID is taken from the query, under each name "
        "that an edition of the standard has had for it, or from the dataset.",
        "Fuzzy matching is not supported: names are matched literally, and a Warning says so.",
    )
    return WebServicesStatement("UPS-RS", root, transactions, HTTP_STATUSES, remarks=remarks)


HTTP_STATUSES: Final[dict[int, str]] = {
    200: "done; with a Warning if the workitem is in that state already, or not all was taken",
    201: "created, subscribed",
    202: "the workitem is canceled, or its performer asked to cancel it",
    204: "nothing matches",
    206: "there are more matches",
    400: "a parameter, a UID or a dataset makes no sense, or lacks what it must have",
    403: "an authorizer refused it",
    404: "there is no such workitem, or subscription, or not for who asks",
    406: "no media type that it has is accepted",
    409: "the state of the workitem, or its Transaction UID, does not allow it; or there is one",
    413: "the dataset has more than is taken",
    415: "the media type is not taken",
}
