"""The commands that ``pacs`` has without any plugin."""

from collections.abc import Sequence
from typing import Final

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

FIRST_WORDS: Final = frozenset(name.partition(" ")[0] for name in KERNEL_COMMANDS)
_MOST_WORDS: Final = max(len(name.split()) for name in KERNEL_COMMANDS)


def find_kernel_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the words of the command that a command line begins with; none if it is none here."""
    for words in range(_MOST_WORDS, 0, -1):
        if " ".join(arguments[:words]) in KERNEL_COMMANDS:
            return tuple(arguments[:words])
    return ()
