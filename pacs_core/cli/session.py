"""Common ground of commands that talk to a peer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from attrs import evolve, frozen

from pacs_core.association import (
    Association,
    AssociationError,
    AssociationOptions,
    ConnectError,
    Proposal,
    connect,
)
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.logs import configure_logging
from pacs_core.cli.options import ClientOptions
from pacs_core.cli.peers import parse_peer
from pacs_core.config import load_config
from pacs_core.contracts import Peer, Timeouts, check_ae_title
from pacs_core.dimse import Command, StatusCategory, category, describe


@frozen
class Session:
    """A peer, and how to associate with it."""

    peer: Peer
    ae_title: str
    timeouts: Timeouts

    @asynccontextmanager
    async def associate(
        self, proposals: Sequence[Proposal], options: AssociationOptions | None = None
    ) -> AsyncIterator[Association]:
        """Associate with the peer for the length of an ``async with`` block."""
        async with connect(
            self.peer,
            proposals,
            calling_ae_title=self.ae_title,
            timeouts=self.timeouts,
            options=options,
        ) as association:
            yield association

    def check(self, response: Command, what: str, hint: str = "") -> None:
        """Raise :class:`CommandError`, with a hint, if a response says that `what` failed."""
        if category(response.status or 0) is StatusCategory.FAILURE:
            more = f"; {hint}" if hint else ""
            raise CommandError(f"{self.peer}: {what} failed: {describe_response(response)}{more}")

    def failure(self, error: AssociationError) -> CommandError:
        """Return the error to show for a failure of an association."""
        if isinstance(error, ConnectError):
            return CommandError(str(error))
        return CommandError(f"{self.peer}: {error}")


def describe_response(response: Command) -> str:
    """Return what the status of a response means, with the peer's comment."""
    comment = f" ({response.error_comment})" if response.error_comment else ""
    return describe(response.status or 0) + comment


def open_session(peer: str, options: ClientOptions) -> Session:
    """Return the session that options ask for.

    Raises
    ------
    ConfigError, UsageError
        The configuration, the peer or an option is wrong.
    """
    configure_logging(options.log_level or "warning")
    config = load_config(options.config)
    ae_title = options.ae_title or config.node.ae_title
    try:
        check_ae_title(ae_title)
    except ValueError as error:
        raise UsageError(f"--ae-title: {error}") from error
    timeouts = _timeouts(config.network.timeouts, options.timeout)
    found = parse_peer(peer, config.settings.peers)
    character_set = found.default_character_set or config.node.default_character_set
    return Session(evolve(found, default_character_set=character_set), ae_title, timeouts)


def _timeouts(configured: Timeouts, seconds: float | None) -> Timeouts:
    if seconds is None:
        return configured
    if not seconds > 0:
        raise UsageError(f"--timeout: give more than 0 seconds, not {seconds:g}")
    return evolve(configured, connect=seconds, artim=seconds, dimse=seconds, write=seconds)
