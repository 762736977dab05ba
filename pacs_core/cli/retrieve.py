"""What ``pacs get`` and ``pacs move`` have in common."""

from attrs import define

from pacs_core.cli.errors import FAILURE, UsageError
from pacs_core.cli.keys import UNIQUE_KEYS, Level, deepest_level, parse_keys
from pacs_core.cli.output import complain, say
from pacs_core.cli.progress import Advance
from pacs_core.cli.session import Session, meaning
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
    """Follows the responses of a retrieval: numbers of sub-operations (PS3.7 §9.1.3.1)."""

    advance: Advance
    last: Command | None = None
    _done: int = 0

    def note(self, response: Command) -> None:
        """Take a response, pending or final."""
        self.last = response
        done = sum(
            number or 0
            for number in (
                response.number_of_completed_suboperations,
                response.number_of_failed_suboperations,
                response.number_of_warning_suboperations,
            )
        )
        if done > self._done:
            self.advance(done - self._done)
            self._done = done

    def summarize(self, session: Session, done: str, completed: int | None = None) -> int:
        """Print the counts; return the exit code.

        Parameters
        ----------
        session : Session
        done : str
            What became of an instance, as in ``"moved"``.
        completed : int, optional
            As counted here; else as the peer says.

        Raises
        ------
        CommandError
            The peer failed the whole operation.
        """
        last = self.last
        if last is None:
            return FAILURE
        failed = last.number_of_failed_suboperations or 0
        if not failed and not completed:
            session.check(last, "the retrieval")
        if completed is None:
            completed = last.number_of_completed_suboperations or 0
            completed += last.number_of_warning_suboperations or 0
        say(f"{completed} {done}, {failed} failed")
        if last.status != Status.SUCCESS:
            complain(f"{session.peer}: {meaning(last)}")
        is_failure = category(last.status or 0) is StatusCategory.FAILURE
        return FAILURE if failed or is_failure else 0
