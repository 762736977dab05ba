"""``pacs completion``: scripts that complete command lines."""

from typing import Literal

from pacs_core.cli.whole_application import build_whole_app


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and options of ``pacs`` in a shell.

    The script has the commands of all plugins that are installed now: make it again after others
    were. For bash: ``pacs completion bash > ~/.local/share/bash-completion/completions/pacs``.

    Parameters
    ----------
    shell
        Which one is to load it.
    """
    print(build_whole_app().generate_completion(prog_name="pacs", shell=shell))
