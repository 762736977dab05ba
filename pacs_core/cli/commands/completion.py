"""``pacs completion``: scripts that complete command lines."""

from typing import Literal

from pacs_core.cli.remembered_commands import Memory


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and options of ``pacs`` in a shell.

    The script has the commands of all plugins that are installed now: make it again after others
    were. For bash: ``pacs completion bash > ~/.local/share/bash-completion/completions/pacs``.

    Parameters
    ----------
    shell
        Which one is to load it.
    """
    memory = Memory(f"completion-{shell}", [])
    script = memory.recall()
    if not isinstance(script, str):
        # It imports every plugin, for the options of its commands.
        from pacs_core.cli.whole_application import build_whole_app_checked

        app, all_well = build_whole_app_checked()
        script = app.generate_completion(prog_name="pacs", shell=shell)
        if all_well:
            memory.keep(script)
    print(script)
