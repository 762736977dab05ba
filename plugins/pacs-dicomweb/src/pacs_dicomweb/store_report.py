"""The Store Instances Response Module (PS3.18 Annex I), and the status of the answer."""

from collections.abc import Iterable
from typing import Final

from attrs import define, field, frozen

from pacs_core.dataset import MutableAttributes, tag_of

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
