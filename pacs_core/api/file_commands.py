"""Commands for files: messages, tables and options, without the node and what it imports.

A distribution offers such commands by entry points of the group ``pacs_core.commands``: the name
is what is typed, the object a function whose annotated signature and docstring are the command
line, as Cyclopts reads them.
"""

from pacs_core.cli.drafts import Draft
from pacs_core.cli.errors import NOT_LOSSLESS, NOTHING, CommandError, UsageError
from pacs_core.cli.file_workers import map_files
from pacs_core.cli.folders import walk
from pacs_core.cli.options import (
    CLIENT,
    ClientOptions,
    ConfigOption,
    JobsOption,
    JsonOption,
    parse_pairs,
)
from pacs_core.cli.output import complain, dump_json, print_row, print_table, say
from pacs_core.cli.progress import progress
from pacs_core.logs.escaping import escape

__all__ = [
    "CLIENT",
    "NOTHING",
    "NOT_LOSSLESS",
    "ClientOptions",
    "CommandError",
    "ConfigOption",
    "Draft",
    "JobsOption",
    "JsonOption",
    "UsageError",
    "complain",
    "dump_json",
    "escape",
    "map_files",
    "parse_pairs",
    "print_row",
    "print_table",
    "progress",
    "say",
    "walk",
]
