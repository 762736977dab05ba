"""The node as a command of a plugin needs it: its config, its archive, its messages.

Import it in the module of the command, not in that of the hooks: it brings most of the kernel.
`main` is ``pacs`` itself, for tests: it takes the arguments, and returns the exit code.
"""

from pacs_core.app import (
    Assembly,
    FrameReader,
    OpenArchive,
    assemble,
    open_archive,
    open_frames,
    open_sinks,
    open_transcoder,
    read_frame,
)
from pacs_core.cli.assembling import assemble_for_command
from pacs_core.cli.drafts import Draft
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.formats import WRITERS, Format, MatchWriter
from pacs_core.cli.keys import parse_keys
from pacs_core.cli.local import local_origin
from pacs_core.cli.main import main
from pacs_core.cli.nodes import open_node
from pacs_core.cli.options import (
    CLIENT,
    ClientOptions,
    ConfigOption,
    DataOption,
    JsonOption,
    parse_pairs,
)
from pacs_core.cli.output import (
    complain,
    count,
    dump_json,
    print_row,
    print_rows,
    print_table,
    say,
)
from pacs_core.cli.peers import parse_peer
from pacs_core.cli.progress import progress
from pacs_core.cli.running import run_async
from pacs_core.cli.session import Session, open_session
from pacs_core.config import load_config

__all__ = [
    "CLIENT",
    "WRITERS",
    "Assembly",
    "ClientOptions",
    "CommandError",
    "ConfigOption",
    "DataOption",
    "Draft",
    "Format",
    "FrameReader",
    "JsonOption",
    "MatchWriter",
    "OpenArchive",
    "Session",
    "UsageError",
    "assemble",
    "assemble_for_command",
    "complain",
    "count",
    "dump_json",
    "load_config",
    "local_origin",
    "main",
    "open_archive",
    "open_frames",
    "open_node",
    "open_session",
    "open_sinks",
    "open_transcoder",
    "parse_keys",
    "parse_pairs",
    "parse_peer",
    "print_row",
    "print_rows",
    "print_table",
    "progress",
    "read_frame",
    "run_async",
    "say",
]
