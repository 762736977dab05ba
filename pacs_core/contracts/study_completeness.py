"""The contract of those who know whether a study is complete before it has been quiet for long."""

from abc import abstractmethod

from pacs_core.contracts.component import Component


class StudyCompleteness(Component):
    """Knows of what a study is to consist, and so whether all of it is there.

    A capability: a plugin provides its own class, which derives from this one, so that there may be
    several. The kernel asks each about every study that has changed and is not quiet yet. A study
    that one of them calls complete is so at once, and once
    (:attr:`~pacs_core.contracts.ChangeKind.STUDY_COMPLETE`); of any other the quiet time decides.
    What comes late reopens either.
    """

    @abstractmethod
    async def is_complete(self, study_instance_uid: str) -> bool:
        """Tell whether nothing is missing of a study, and nothing more is to come.

        Asked again every few seconds until the study is complete; one that fails is asked again.
        False if it is not known.
        """
