"""``pacs man``: manual pages of all commands."""

from pathlib import Path
from typing import Annotated

from pacs_core.cli.drafts import Draft
from pacs_core.cli.errors import UsageError
from pacs_core.cli.manual import write_page
from pacs_core.cli.option import Option
from pacs_core.cli.output import say
from pacs_core.cli.whole_application import build_whole_app, iterate_commands


def man(*command: str, output: Annotated[Path | None, Option("--output", "-o")] = None) -> None:
    """Write a manual page for each command, those of plugins too, or print one.

    ``pacs man --output ~/.local/share/man/man1`` lets ``man pacs-store`` show that of ``pacs
    store``.

    Parameters
    ----------
    command
        The command whose page is printed.
    output
        Folder to write all pages to; made if it is not there.
    """
    app = build_whole_app()
    pages = {("pacs",): app} | {("pacs", *words): each for words, each in iterate_commands(app)}
    if output is None:
        words = ("pacs", *command)
        if words not in pages:
            raise UsageError(f"there is no command {' '.join(command)!r}")
        print(write_page(words, pages[words]), end="")
        return
    if command:
        raise UsageError("name a command, or --output")
    for words, each in pages.items():
        draft = Draft(output)
        try:
            draft.write(write_page(words, each).encode())
            draft.finish(name=f"{'-'.join(words)}.1")
        finally:
            draft.discard()
    say(f"{len(pages)} pages written")
