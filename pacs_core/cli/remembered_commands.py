"""Memory of all commands found before: for help and completion, without importing plugins."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    from cyclopts import App

# Theory of operation
#
# Which commands there are, and what each does in a line, is known when every plugin is imported:
# a second, for what `pacs --help` prints, and more for a script of completion. So it is kept in a
# file of the user, beside all that it depends on, and used as long as that is the same:
#
#   distributions   the name and time of each folder of metadata on the path: what was installed,
#                   upgraded or removed
#   configuration   the bytes of each file that may be it: plugins can be disabled there
#   modules         the time of each source file outside of what is installed, since those of a
#                   distribution that is installed as editable change while its metadata do not
#
# It is kept only if nothing was wrong: a plugin that is broken says so each time.

_FOLDER: Final = "pacs"


@frozen
class RememberedCommands:
    """Commands of plugins as they are listed.

    Attributes
    ----------
    rows : tuple of (tuple of str, str)
        Words that a command, or a group of commands, is called by, and what it does. A group comes
        before what is in it.
    """

    rows: tuple[tuple[tuple[str, ...], str], ...]

    def runs(self, arguments: list[str]) -> bool:
        """Tell whether a command line runs one of them, rather than being for help, or wrong."""
        groups = {words[:-1] for words, _ in self.rows}
        return any(
            tuple(arguments[: len(words)]) == words for words, _ in self.rows if words not in groups
        )

    def add_to(self, app: "App") -> None:
        """Add them to the application, for the help only."""
        from cyclopts import App

        for words, text in self.rows:
            parent = app
            for word in words[:-1]:
                parent = parent[word]
            parent.command(App(name=words[-1], help=text))


class Memory:
    """A file of the user with what follows from the plugins of this environment.

    Parameters
    ----------
    what : str
        Name of what is kept.
    arguments : list of str
        The command line, which may name the configuration.
    """

    def __init__(self, what: str, arguments: list[str]) -> None:
        folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        name = sha256(sys.prefix.encode()).hexdigest()[:16]
        self._path = Path(folder, _FOLDER, f"{what}-{name}.json")
        configs = (config_option(arguments), os.environ.get("PACS_CONFIG"), "pacs.toml")
        self._state = _digest_state([Path(each) for each in configs if each])

    def recall(self) -> Any:
        """Return what was kept; None if it may be something else by now."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():
                    return None
                kept = json.load(file)
            changed = any(_time_of(path) != time for path, time in kept["modules"].items())
            if changed or kept["state"] != self._state:
                return None
            return kept["value"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def keep(self, value: object) -> None:
        """Keep what JSON can express, found out with all plugins that there are imported.

        Where that cannot be done, it is found out again.
        """
        kept = {"state": self._state, "modules": dict(_own_modules()), "value": value}
        draft = self._path.with_name(f".{os.urandom(8).hex()}.part")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                draft.write_text(json.dumps(kept), encoding="utf-8")
                draft.replace(self._path)
            finally:
                draft.unlink(missing_ok=True)


class CommandMemory:
    """The commands that plugins of this environment have.

    Parameters
    ----------
    arguments : list of str
        The command line.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._memory = Memory("commands", arguments)

    def recall(self) -> RememberedCommands | None:
        """Return the commands; None if they may be others by now."""
        try:
            rows = self._memory.recall()
            return rows and RememberedCommands(
                tuple((tuple(map(str, words)), str(text)) for words, text in rows)
            )
        except (ValueError, TypeError):
            return None

    def keep(self, app: "App", commands: frozenset[str], groups: frozenset[str]) -> None:
        """Keep what plugins have added.

        Parameters
        ----------
        app : App
            With all commands.
        commands, groups : frozenset of str
            Names of the kernel's own.
        """
        from pacs_core.cli.manual import describe
        from pacs_core.cli.whole_application import iterate_commands

        self._memory.keep(
            [
                (words, describe(each).partition("\n\n")[0])
                for words, each in iterate_commands(app, without=commands)
                if " ".join(words) not in groups
            ]
        )


def config_option(arguments: list[str]) -> Path | None:
    """Return what --config names.

    It is read by hand: the line can be parsed only once the commands are known, and the
    configuration decides on those.
    """
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--config":
            return Path(value if equals else " ".join(arguments[number + 1 : number + 2]))
    return None


def _digest_state(configs: list[Path]) -> str:
    digest = sha256(f"{sys.version}\n{sys.path}\n".encode())
    for folder in sys.path:
        with suppress(OSError), os.scandir(folder or ".") as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.endswith((".dist-info", ".egg-info")):
                    digest.update(f"{entry.name} {_time_of(entry.path)}\n".encode())
    for config in configs:
        content = b""
        with suppress(OSError):
            content = config.read_bytes()
        digest.update(sha256(content).digest())
    return digest.hexdigest()


def _own_modules() -> Iterator[tuple[str, int | None]]:
    import sysconfig

    installed = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    modules: list[Any] = list(sys.modules.values())
    for path in {getattr(module, "__file__", None) for module in modules}:
        if path and not path.startswith(installed):
            yield path, _time_of(path)


def _time_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
