"""Options that many commands share."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from attrs import frozen

from pacs_core.cli.errors import UsageError
from pacs_core.cli.option import Option, OptionGroup
from pacs_core.logs.level_names import LogLevel

ConfigOption = Annotated[
    Path | None,
    Option(help="Config file; else $PACS_CONFIG, else pacs.toml if there is one."),
]
LogLevelOption = Annotated[
    LogLevel | None, Option(help="What to log to standard error; debug shows tracebacks.")
]
DataOption = Annotated[Path | None, Option(help="Data directory, instead of the configured.")]

VerboseOption = Annotated[bool, Option("--verbose", "-v", help="Name the files that are skipped.")]


def _check_jobs(_: object, jobs: int) -> None:
    # The validators of Cyclopts take longer to import than a short command does to run.
    if jobs < 0:
        raise ValueError("Must be >= 0.")


JobsOption = Annotated[
    int,
    Option(
        validator=_check_jobs,
        help="Processes for many files; 0 for one for each processor.",
    ),
]

JsonOption = Annotated[bool, Option("--json")]


@OptionGroup("Common options")
@frozen(kw_only=True)
class ClientOptions:
    """Options of commands that talk to a peer."""

    config: ConfigOption = None
    ae_title: Annotated[
        str | None, Option(help="Our AE title; else that of the configured node.")
    ] = None
    timeout: Annotated[
        float | None,
        Option(help="Seconds to wait for a connection, and for each answer of the peer."),
    ] = None
    log_level: LogLevelOption = None


@OptionGroup("Common options")
@frozen(kw_only=True)
class LocalOptions:
    """Options of commands that work on the archive of this machine."""

    config: ConfigOption = None
    data: DataOption = None
    log_level: LogLevelOption = None


CLIENT = ClientOptions()
LOCAL = LocalOptions()

Keys = Annotated[
    list[str] | None,
    Option(
        "--key",
        "-k",
        help="KEYWORD=VALUE to match, KEYWORD alone to return; SEQUENCE.KEYWORD within sequences.",
    ),
]


def parse_pairs(typed: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Iterate over keyword and value of arguments that all have one.

    Parameters
    ----------
    typed : iterable of str
        ``PatientID=4711``. Which keywords there are is for others to say.

    Raises
    ------
    UsageError
        There is no equals sign.
    """
    for pair in typed:
        keyword, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair}: write it as KEYWORD=VALUE")
        yield keyword, value
