"""Statuses of Print Management beside those of PS3.7 Annex C (PS3.4 H.4).

Three of the standard's do not arise: B601H, for film sessions can be printed; C616H, for the same
reason; and C613H, which is of combined print images, retired.
"""

from enum import IntEnum
from typing import Final

from pacs_core.dimse import Status


class PrintStatus(IntEnum):
    """Warnings and failures of PS3.4 H.4.1.2, H.4.2.2 and H.4.3.1.2, by the words there."""

    MEMORY_ALLOCATION_NOT_SUPPORTED = 0xB600
    EMPTY_SESSION = 0xB602
    EMPTY_FILM = 0xB603
    DEMAGNIFIED = 0xB604
    DENSITY_OUT_OF_RANGE = 0xB605
    CROPPED = 0xB609
    DECIMATED = 0xB60A
    NO_FILM_BOX = 0xC600
    SESSION_QUEUE_FULL = 0xC601
    FILM_QUEUE_FULL = 0xC602
    IMAGE_TOO_LARGE = 0xC603
    NO_MEMORY_FOR_IMAGE = 0xC605


STATUSES: Final[dict[int, str]] = {
    Status.SUCCESS: "done; of N-ACTION: accepted for printing, and durable",
    Status.ATTRIBUTE_LIST_ERROR: "some attributes are unknown and were passed over",
    Status.ATTRIBUTE_VALUE_OUT_OF_RANGE: "a value is not supported, and the default is used",
    PrintStatus.MEMORY_ALLOCATION_NOT_SUPPORTED: "memory is not allocated beforehand",
    PrintStatus.EMPTY_SESSION: "a film of the session has no image; the others are printed",
    PrintStatus.EMPTY_FILM: "the film has no image; it is not printed",
    PrintStatus.DEMAGNIFIED: "the image is larger than its box, and is demagnified",
    PrintStatus.DENSITY_OUT_OF_RANGE: "the printer's own lowest or highest density is used",
    PrintStatus.CROPPED: "the image is larger than its box, and is cropped",
    PrintStatus.DECIMATED: "the image is larger than its box, and is decimated",
    PrintStatus.NO_FILM_BOX: "the film session has no film box",
    PrintStatus.SESSION_QUEUE_FULL: "max_jobs print jobs wait already",
    PrintStatus.FILM_QUEUE_FULL: "max_jobs print jobs wait already",
    PrintStatus.IMAGE_TOO_LARGE: "the image is larger than its box, and is to fail",
    PrintStatus.NO_MEMORY_FOR_IMAGE: "the images of the association are more than max_session",
    Status.NO_SUCH_ATTRIBUTE: "the attribute cannot be changed",
    Status.INVALID_ATTRIBUTE_VALUE: "a value is none that the attribute can have",
    Status.DUPLICATE_SOP_INSTANCE: "the UID is in use, or there is a film session already",
    Status.NO_SUCH_SOP_INSTANCE: "there is no such instance on this association",
    Status.INVALID_SOP_INSTANCE: "the UID is none",
    Status.NO_SUCH_SOP_CLASS: "the SOP class is not one of the presentation context",
    Status.CLASS_INSTANCE_CONFLICT: "the instance is of another SOP class",
    Status.MISSING_ATTRIBUTE: "an attribute is missing that must be there",
    Status.MISSING_ATTRIBUTE_VALUE: "an attribute is empty that must have a value",
    Status.NO_SUCH_ACTION_TYPE: "the action is not 1, Print",
    Status.UNRECOGNIZED_OPERATION: "the SOP class does not have this service",
    Status.RESOURCE_LIMITATION: "more than max_films, max_boxes or max_image",
    Status.PROCESSING_FAILURE: "something else; the log has the reason",
}
