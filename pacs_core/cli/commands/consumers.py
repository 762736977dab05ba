"""``pacs consumers``."""

from typing import Annotated

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import CommandError
from pacs_core.cli.local import require_archive, require_data_directory
from pacs_core.cli.option import Option
from pacs_core.cli.options import LOCAL, LocalOptions
from pacs_core.cli.output import print_table, say
from pacs_core.cli.running import run_async


def consumers(*, forget: Annotated[str, Option()] = "", options: LocalOptions = LOCAL) -> None:
    """Show the change consumers that the index keeps changes for, and how many each has to do.

    Parameters
    ----------
    forget
        A consumer whose plugin was removed: keep nothing for it any more. If it comes back it is
        a new one.
    """
    run_async(_consumers, assemble_local(options), forget)


async def _consumers(assembly: Assembly, forget: str) -> None:
    require_data_directory(assembly)
    async with open_archive(assembly) as opened:
        _, index = require_archive(opened)
        if (changes := index.change_log) is None:
            raise CommandError(f"the index {type(index).__name__} keeps no changes")
        if forget:
            if not await changes.unfollow(forget):
                raise CommandError(f"the index knows no consumer {forget}")
            say(f"{forget} is forgotten")
            return
        cursors = await changes.cursors()
        if not cursors:
            say("the index keeps changes for nobody")
            return
        rows = [(c.consumer, str(c.sequence), str(c.behind)) for c in cursors]
        print_table(("CONSUMER", "DONE UP TO", "CHANGES TO DO"), rows)
