"""The commands of ``pacs``: a table of ours, and those that plugins contribute."""

import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from pacs_core.cli.errors import USAGE, report
from pacs_core.cli.output import complain

if TYPE_CHECKING:
    from pacs_core.cli.remembered_commands import CommandMemory

GROUPS = {
    "archive": "Copy this machine's archive, and look after what it has set aside.",
    "archive aside": "List, show, promote or discard what was set aside as a duplicate.",
    "correct": "Correct what is handed out, list corrections, or take one back.",
    "index": "Rebuild or verify the index, and show what contradicts.",
    "config": "Show or check the configuration.",
    "tls": "Look after certificates.",
    "doctor": "Say what is weak here, and what to change.",
}
KERNEL_COMMANDS = {
    "init": ("init:init", "Write a commented config file for a first archive."),
    "serve": ("serve:serve", "Run the archive until SIGINT or SIGTERM."),
    "status": ("status:status", "Show how the node that runs here is."),
    "reload": ("node:reload", "Let the node that runs here read its configuration again."),
    "log-level": ("log_level:log_level", "Show or set what the node that runs here logs."),
    "stop": ("node:stop", "End the node that runs here."),
    "echo": ("echo:echo", "Verify that a peer answers (C-ECHO)."),
    "store": ("store:store", "Send files to a peer (C-STORE)."),
    "find": ("find:find", "Query a peer (C-FIND)."),
    "get": ("get:get", "Retrieve instances from a peer into a folder (C-GET)."),
    "move": ("move:move", "Let a peer send instances to an AE title (C-MOVE)."),
    "explain": ("explain:explain", "Say in which form a peer would get files, and why."),
    "codecs": ("codecs:codecs", "List which transfer syntaxes can be decoded and encoded."),
    "convert": ("convert:convert", "Convert files to another transfer syntax."),
    "import": ("importing:import_files", "Put files into this machine's archive."),
    "delete": ("delete:delete", "Delete from this machine's archive."),
    "correct update": ("correct:update", "Correct what the archive hands out."),
    "correct list": ("correct:list_all", "List corrections."),
    "correct revert": ("correct:revert", "Take back a correction."),
    "archive copy": ("archive_copy:copy", "Copy an archive into another, of any store and index."),
    "archive aside list": ("aside:list_all", "List what was set aside."),
    "archive aside show": ("aside:show", "Show how an object that was set aside differs."),
    "archive aside promote": ("aside:promote", "Serve an object that was set aside."),
    "archive aside discard": ("aside:discard", "Delete an object that was set aside."),
    "index rebuild": ("index:rebuild", "Make the index again from the object store."),
    "index conflicts": ("conflicts:conflicts", "Show what instances contradict, and settle it."),
    "index verify": ("index:verify", "Name every difference between index and object store."),
    "consumers": ("consumers:consumers", "Show who consumes changes, and how far they are."),
    "config show": ("config:show", "Print the effective configuration as TOML."),
    "config check": ("config:check", "Name every problem of the configuration."),
    "tls check": ("tls:check", "Show certificates, and for how long they are valid."),
    "migrate": ("migrate:migrate", "Say what a start of this version would do to the data."),
    "doctor security": ("security:security", "Name what is weak in the configuration."),
    "plugins": ("plugins:app", "List, examine or begin plugins."),
    "conformance": ("conformance:conformance", "Write the DICOM Conformance Statement."),
    "help": ("help:show_help", "Explain a command, or a topic of all commands."),
    "completion": ("completion:completion", "Print what completes command lines in a shell."),
    "man": ("manual:man", "Write manual pages."),
}
"""Name, function (imported when it is run) and help of each command, in the order of the help."""


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; failures become messages."""
    try:
        return _run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        return report(error)


def _run(arguments: list[str]) -> int:
    app = build_app_for(arguments)
    try:
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        complain(str(error).replace("\n", " "))
        return USAGE
    sys.stdout.flush()
    return result if isinstance(result, int) else 0


def build_app_for(arguments: list[str]) -> App:
    """Return the application with what a command line may mean, or asks the help of."""
    app = build_app()
    if not any(" ".join(arguments[:words]) in KERNEL_COMMANDS for words in (1, 2, 3)):
        _add_commands(app, arguments)
    return app


def _add_commands(app: App, arguments: list[str]) -> None:
    """Add what is none of ours, and no more of it than the command line needs."""
    from pacs_core.cli.file_commands import add_file_command, find_file_command

    own = {name.partition(" ")[0] for name in KERNEL_COMMANDS}
    if arguments[:1] and arguments[0] not in own and (point := find_file_command(arguments)):
        add_file_command(app, point)
        return
    # Importing all plugins costs time, and the help needs only what they said before.
    from pacs_core.cli.remembered_commands import CommandMemory

    memory = CommandMemory(arguments)
    known = memory.recall()
    if known is not None and not known.runs(arguments):
        known.add_to(app)
        return
    _add_of_plugins(app, arguments, own, memory)


def _add_of_plugins(app: App, arguments: list[str], own: set[str], memory: "CommandMemory") -> None:
    from pacs_core.cli.contributed import add_contributed
    from pacs_core.cli.file_commands import list_file_commands

    all_well = add_contributed(app, arguments, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))
    # For the help, or to say which one was meant.
    if not arguments or arguments[0].startswith("-") or arguments[0] not in app:
        all_well &= list_file_commands(app, own)
        if all_well:
            memory.keep(app, frozenset(KERNEL_COMMANDS), frozenset(GROUPS))


def build_app() -> App:
    """Return the application with the commands of the kernel."""
    app = App(
        name="pacs",
        help="A plugin-driven DICOM archive.",
        version_flags=[],
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    groups = {name: App(name=name.rpartition(" ")[2], help=text) for name, text in GROUPS.items()}
    for name, (target, text) in KERNEL_COMMANDS.items():
        group, _, leaf = name.rpartition(" ")
        parent = groups[group] if group else app
        parent.command(f"pacs_core.cli.commands.{target}", name=leaf, help=text)
    for name, group_app in groups.items():
        parent = groups.get(name.rpartition(" ")[0], app)
        parent.command(group_app)
    return app
