"""The node as a command of a plugin needs it: its config, its archive, its messages.

What is imported from it brings what that needs of the kernel, which may be most of it: import it in
the module of the command, not in that of the hooks.
`main` is ``pacs`` itself, for tests: it takes the arguments, and returns the exit code.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.app import (
        Assembly as Assembly,
        FrameReader as FrameReader,
        OpenArchive as OpenArchive,
        assemble as assemble,
        open_archive as open_archive,
        open_frames as open_frames,
        open_sinks as open_sinks,
        open_transcoder as open_transcoder,
        read_frame as read_frame,
    )
    from pacs_core.cli.assembling import assemble_for_command as assemble_for_command
    from pacs_core.cli.drafts import Draft as Draft
    from pacs_core.cli.errors import (
        CommandError as CommandError,
        UsageError as UsageError,
        complain_of_nothing as complain_of_nothing,
    )
    from pacs_core.cli.formats import (
        WRITERS as WRITERS,
        Format as Format,
        MatchWriter as MatchWriter,
    )
    from pacs_core.cli.keys import parse_keys as parse_keys
    from pacs_core.cli.local import local_origin as local_origin
    from pacs_core.cli.main import main as main
    from pacs_core.cli.nodes import open_node as open_node
    from pacs_core.cli.options import (
        CLIENT as CLIENT,
        ClientOptions as ClientOptions,
        ConfigOption as ConfigOption,
        DataOption as DataOption,
        JsonOption as JsonOption,
        parse_pairs as parse_pairs,
    )
    from pacs_core.cli.output import (
        complain as complain,
        count as count,
        dump_json as dump_json,
        print_row as print_row,
        print_rows as print_rows,
        print_table as print_table,
        say as say,
    )
    from pacs_core.cli.peers import parse_peer as parse_peer
    from pacs_core.cli.progress import progress as progress
    from pacs_core.cli.running import run_async as run_async
    from pacs_core.cli.session import Session as Session, open_session as open_session
    from pacs_core.config import load_config as load_config

import_on_demand(
    __name__,
    """
pacs_core.app Assembly FrameReader OpenArchive assemble open_archive open_frames open_sinks
pacs_core.app open_transcoder read_frame
pacs_core.cli.assembling assemble_for_command
pacs_core.cli.drafts Draft
pacs_core.cli.errors CommandError UsageError complain_of_nothing
pacs_core.cli.formats WRITERS Format MatchWriter
pacs_core.cli.keys parse_keys
pacs_core.cli.local local_origin
pacs_core.cli.main main
pacs_core.cli.nodes open_node
pacs_core.cli.options CLIENT ClientOptions ConfigOption DataOption JsonOption parse_pairs
pacs_core.cli.output complain count dump_json print_row print_rows print_table say
pacs_core.cli.peers parse_peer
pacs_core.cli.progress progress
pacs_core.cli.running run_async
pacs_core.cli.session Session open_session
pacs_core.config load_config
""",
)
