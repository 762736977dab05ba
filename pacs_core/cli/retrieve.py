"""Common ground of ``pacs get`` and ``pacs move``."""

from attrs import define, field

from pacs_core.cli.errors import FAILURE, UsageError, complain_of_nothing
from pacs_core.cli.keys import UNIQUE_KEYS, Level, deepest_level, parse_keys
from pacs_core.cli.output import complain, say
from pacs_core.cli.progress import Advance
from pacs_core.cli.session import Session, describe_response
from pacs_core.dataset import Attributes, keyword_of
from pacs_core.dimse import Command, Status, StatusCategory, category


def retrieve_keys(typed: list[str] | None, level: Level | None) -> tuple[Level, Attributes]:
    """Return level and unique keys of what is to be retrieved (PS3.4 C.4.2.2.1).

    Raises
    ------
    UsageError
        A key is no unique key, or that of the level is missing.
    """
    keys = parse_keys(typed or ())
    unique = set(UNIQUE_KEYS.values())
    if others := [keyword_of(tag) for tag in keys if tag not in unique]:
        raise UsageError(
            f"only unique keys say what to retrieve, not {', '.join(others)}; "
            "look for the UIDs with pacs find"
        )
    level = level or deepest_level(keys)
    if level is None:
        raise UsageError("say what to retrieve, as in -k StudyInstanceUID=1.2.3")
    if not keys.get(UNIQUE_KEYS[level]):
        raise UsageError(f"level {level} needs -k {keyword_of(UNIQUE_KEYS[level])}=...")
    return level, keys


@define
class SubOperations:
    """Follows the responses of retrievals: numbers of sub-operations (PS3.7 §9.1.3.1).

    Attributes
    ----------
    advance : callable
    finals : list of Command
        The final response of each.
    """

    advance: Advance
    finals: list[Command] = field(factory=list)
    _done: int = 0

    def note(self, response: Command) -> None:
        """Take a response, pending or final."""
        done = _count_completed(response) + (response.number_of_failed_suboperations or 0)
        if done > self._done:
            self.advance(done - self._done)
            self._done = done
        if category(response.status or 0) is not StatusCategory.PENDING:
            self.finals.append(response)
            self._done = 0

    def summarize(
        self, session: Session, done: str, completed: int | None = None, hint: str = ""
    ) -> int:
        """Print the counts; return the exit code.

        Parameters
        ----------
        session : Session
        done : str
            What became of an instance, as in ``"moved"``.
        completed : int, optional
            As counted here; else as the peer says.
        hint : str
            What may be amiss, if the peer fails the operation or finds nothing.

        Raises
        ------
        CommandError
            The peer failed the whole operation.
        """
        failed = sum(final.number_of_failed_suboperations or 0 for final in self.finals)
        if completed is None:
            completed = sum(map(_count_completed, self.finals))
        if not failed and not completed:
            for final in self.finals:
                session.check(final, "the retrieval", hint)
        say(f"{completed} {done}, {failed} failed")
        odd = [final for final in self.finals if final.status != Status.SUCCESS]
        for text in dict.fromkeys(map(describe_response, odd)):
            complain(f"{session.peer}: {text}")
        is_failure = any(category(each.status or 0) is StatusCategory.FAILURE for each in odd)
        if failed or is_failure or not self.finals:
            return FAILURE
        if completed or odd:
            return 0
        return complain_of_nothing(
            f"{session.peer}: nothing matches" + (f"; {hint}" if hint else "")
        )


def _count_completed(response: Command) -> int:
    completed = response.number_of_completed_suboperations or 0
    return completed + (response.number_of_warning_suboperations or 0)
