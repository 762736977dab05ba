"""The Store Instances Response Module (PS3.18 Annex I), and the status of the answer."""

import logging
from collections.abc import Iterable
from typing import Final

from attrs import define, field, frozen

from pacs_core.contracts import IngestResult, dimse_error_of
from pacs_core.dataset import MutableAttributes, keyword_of, tag_of
from pacs_core.dimse import CommandField, Status
from pacs_dicomweb.incoming import IncomingFile, UnidentifiedError
from pacs_dicomweb.service import resource_of_instance

logger = logging.getLogger(__name__)

_RETRIEVE_URL: Final = tag_of("RetrieveURL")
_FAILED: Final = tag_of("FailedSOPSequence")
_STORED: Final = tag_of("ReferencedSOPSequence")
_OTHER: Final = tag_of("OtherFailuresSequence")
_SOP_CLASS: Final = tag_of("ReferencedSOPClassUID")
_SOP_INSTANCE: Final = tag_of("ReferencedSOPInstanceUID")
_WARNING_REASON: Final = tag_of("WarningReason")
_FAILURE_REASON: Final = tag_of("FailureReason")
_MOST_REASONS: Final = 5


@frozen
class StoredPart:
    """An instance that has been stored.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, study : str
    path : str
        Of the instance, from the root of the service.
    warning : int
        Warning Reason (0008,1196); 0 for none.
    reason : str
        For people.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study: str
    path: str
    warning: int = 0
    reason: str = ""


@frozen
class FailedPart:
    """A part that has not been stored.

    Attributes
    ----------
    failure : int
        Failure Reason (0008,1197).
    reason : str
        For people.
    sop_class_uid, sop_instance_uid : str
        Empty where it is not known what it is.
    """

    failure: int
    reason: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


def stored_part(file: IncomingFile, result: IngestResult) -> StoredPart:
    """Return what is reported of an instance that is stored; warned of as by C-STORE."""
    identity = result.instance.identity
    warning, reason = 0, ""
    if result.obstacle:
        warning = Status.DATASET_DOES_NOT_MATCH_SOP_CLASS_WARNING
        reason = f"stored, but it cannot be converted: {result.obstacle}"
    elif result.coerced:
        warning = Status.COERCION_OF_DATA_ELEMENTS
        reason = f"coerced: {', '.join(map(keyword_of, result.coerced))}"
    return StoredPart(
        file.sop_class_uid,
        file.sop_instance_uid,
        identity.study_instance_uid,
        resource_of_instance(identity).path,
        warning,
        reason,
    )


def failed_part(file: IncomingFile | None, error: Exception) -> FailedPart:
    """Return what is reported of what could not be stored, and log it."""
    known = dimse_error_of(error, CommandField.C_STORE_RQ)
    if isinstance(error, UnidentifiedError) or file is None:
        logger.warning("a part of a Store request is not stored: %s", error)
        return FailedPart(Status.CANNOT_UNDERSTAND, str(error))
    if known is None:
        logger.error("%s is not stored", file.sop_instance_uid, exc_info=error)
        return refused_part(file, Status.PROCESSING_FAILURE, "an internal error")
    logger.warning("%s is not stored: %s", file.sop_instance_uid, error)
    return refused_part(file, known.status, known.comment)


def refused_part(file: IncomingFile, failure: int, reason: str) -> FailedPart:
    """Return what is reported of a file that is not stored."""
    return FailedPart(failure, reason, file.sop_class_uid, file.sop_instance_uid)


@define
class StoreReport:
    """What became of each part of a request."""

    stored: list[StoredPart] = field(factory=list)
    failed: list[FailedPart] = field(factory=list)

    @property
    def status(self) -> int:
        """Status of the answer (Table 10.5.3-1)."""
        if not self.stored:
            return 409
        warned = any(part.warning for part in self.stored)
        return 202 if self.failed or warned else 200

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why something failed or was warned of, for people; some of many."""
        parts: Iterable[StoredPart | FailedPart] = (*self.failed, *self.stored)
        found = (
            f"{part.sop_instance_uid or 'a part'}: {part.reason}" for part in parts if part.reason
        )
        return tuple(dict.fromkeys(found))[:_MOST_REASONS]

    def attributes(self, url: str, study: str) -> MutableAttributes:
        """Return the module.

        Parameters
        ----------
        url : str
            Of the service.
        study : str
            To which the request was; empty for any.
        """
        studies = {study} if study else {part.study for part in self.stored}
        only = f"{url}/studies/{studies.pop()}" if len(studies) == 1 and self.stored else ""
        module: MutableAttributes = {_RETRIEVE_URL: (only,) if only else ()}
        failed = [part for part in self.failed if part.sop_instance_uid]
        other = [part for part in self.failed if not part.sop_instance_uid]
        if failed:
            module[_FAILED] = tuple(
                {
                    _SOP_CLASS: (part.sop_class_uid,),
                    _SOP_INSTANCE: (part.sop_instance_uid,),
                    _FAILURE_REASON: (str(part.failure),),
                }
                for part in failed
            )
        if self.stored:
            module[_STORED] = tuple(_reference(part, url) for part in self.stored)
        if other:
            module[_OTHER] = tuple({_FAILURE_REASON: (str(part.failure),)} for part in other)
        return module


def _reference(part: StoredPart, url: str) -> MutableAttributes:
    reference: MutableAttributes = {
        _SOP_CLASS: (part.sop_class_uid,),
        _SOP_INSTANCE: (part.sop_instance_uid,),
        _RETRIEVE_URL: (f"{url}{part.path}",),
    }
    if part.warning:
        reference[_WARNING_REASON] = (str(part.warning),)
    return reference
