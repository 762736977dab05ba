"""Commands for files: messages, tables and options, without the node and what it imports.

A distribution offers such commands by entry points of the group ``pacs_core.commands``: the name
is what is typed, the object a function whose annotated signature and docstring are the command
line; or a :class:`CommandGroup` of such. Annotated with :class:`Option`, a command begins without
Cyclopts, as long as its line is plain: all parameters are positional-only or keyword-only, and of
type str, Path, int, float, bool, Literal, Enum, a list of such, an option, or a class that
:class:`OptionGroup` has marked. What else is there, ``cyclopts.Parameter`` too, Cyclopts reads.
"""

from pacs_core.cli.drafts import Draft
from pacs_core.cli.errors import (
    NOT_LOSSLESS,
    NOTHING,
    CommandError,
    UsageError,
    complain_of_nothing,
)
from pacs_core.cli.file_workers import map_files
from pacs_core.cli.folders import has_dicom, walk
from pacs_core.cli.option import CommandGroup, Option, OptionGroup
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
from pacs_core.config_file import find_config
from pacs_core.logs.escaping import escape

__all__ = [
    "CLIENT",
    "NOTHING",
    "NOT_LOSSLESS",
    "ClientOptions",
    "CommandError",
    "CommandGroup",
    "ConfigOption",
    "Draft",
    "JobsOption",
    "JsonOption",
    "Option",
    "OptionGroup",
    "UsageError",
    "complain",
    "complain_of_nothing",
    "dump_json",
    "escape",
    "find_config",
    "has_dicom",
    "map_files",
    "parse_pairs",
    "print_row",
    "print_table",
    "progress",
    "say",
    "walk",
]
