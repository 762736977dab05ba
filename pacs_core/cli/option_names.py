"""Options that several commands have: one name for one meaning, and one meaning for one name.

A test holds all commands against it, those of plugins too; the reference of the command line shows
it. A name that stands for different things, as words do, says so here.
"""

from typing import Final

from attrs import frozen


@frozen
class OptionName:
    """A name, and what it stands for in every command that has it.

    Attributes
    ----------
    meaning : str
    kinds : frozenset of str
        What is typed after it: ``"path"``, ``"number"``, ``"time"``, ``"text"``; nothing after a
        ``"flag"``.
    short : str
        Of one letter, which all commands that have it have; empty for none.
    """

    meaning: str
    kinds: frozenset[str]
    short: str = ""


def _name(meaning: str, kinds: str, short: str = "") -> OptionName:
    return OptionName(meaning, frozenset(kinds.split()), short)


OPTION_NAMES: Final = {
    "--ae-title": _name("AE title of ours; of a user", "text"),
    "--associations": _name("associations to have at once", "number"),
    "--at-once": _name("files or studies to take at the same time", "number"),
    "--bulk": _name("folder for long values", "path"),
    "--comment": _name("remark that is kept", "text"),
    "--config": _name("config file", "path"),
    "--count": _name("how many", "number", "-n"),
    "--data": _name("data directory", "path"),
    "--days": _name("period in days", "number"),
    "--delete": _name("KEYWORD of an attribute that is to go", "text", "-d"),
    "--dry-run": _name("write nothing, and print what would be", "flag"),
    "--folder": _name("folder with what the command is about", "path"),
    "--format": _name("form of what is printed, or made", "text"),
    "--frame": _name("number of a frame, from 1", "number"),
    "--from": _name("where from", "path text"),
    "--host": _name("address to listen on", "text"),
    "--ignore": _name("what is not looked at", "text", "-i"),
    "--in-place": _name("change the files themselves", "flag"),
    "--instance": _name("SOP Instance UID", "text"),
    "--interface": _name("door by which somebody comes", "text"),
    "--jobs": _name("processes to use at once", "number"),
    "--json": _name("print JSON", "flag"),
    "--keep-leaking": _name("keep also what shows what it must not", "flag"),
    "--kept": _name("also what is kept", "flag"),
    "--key": _name("KEYWORD=VALUE to match; of a job, its key", "text", "-k"),
    "--key-file": _name("file with a secret key", "path"),
    "--kind": _name("which of several kinds is made", "text"),
    "--level": _name("level of a query: patient, study, series, image", "text"),
    "--like": _name("file to take attributes from", "path"),
    "--limit": _name("most that is printed", "number"),
    "--log-level": _name("what to log to standard error", "text"),
    "--name": _name("name of what is made, or looked for", "text"),
    "--older-than": _name("days that have passed", "number"),
    "--output": _name("file or folder to write to", "path", "-o"),
    "--override": _name("reason why to delete what is held", "text"),
    "--overwrite": _name("replace files that exist", "flag"),
    "--patient": _name("Patient ID", "text"),
    "--peer": _name("name of a configured peer", "text"),
    "--port": _name("port to listen on; 0 for a free one", "number"),
    "--priority": _name("what goes first", "number text"),
    "--process": _name("process ID of a node", "number"),
    "--profile": _name("profile, by name", "text"),
    "--quality": _name("quality of lossy compression", "number"),
    "--rate": _name("most to be read in a second", "number"),
    "--reason": _name("reason that is kept", "text"),
    "--refused": _name("of events, those that a receiver has refused", "flag"),
    "--role": _name("role", "text"),
    "--root": _name("information model: patient or study", "text"),
    "--rule": _name("name of a rule", "text"),
    "--series": _name("Series Instance UID", "text"),
    "--set": _name("KEYWORD=VALUE that is to be", "text", "-s"),
    "--size": _name("size", "number text"),
    "--start": _name("when it begins", "time"),
    "--state": _name("only those in a state", "text"),
    "--study": _name("Study Instance UID", "text"),
    "--tag": _name("keyword, or tag, of an attribute", "text"),
    "--timeout": _name("seconds to wait", "number"),
    "--timestamp-ca": _name("certificates to verify timestamps with", "path"),
    "--title": _name("title of a document", "text"),
    "--to": _name("where to", "path text"),
    "--transfer-syntax": _name("UID, name or short name of a transfer syntax", "text", "-t"),
    "--user": _name("name of a user", "text"),
    "--vault": _name("encrypted file with identifiers", "path"),
    "--verbose": _name("name the files that are skipped", "flag", "-v"),
    "--window": _name("operations outstanding; of an image, center and width", "number text"),
    "--without-pixel-data": _name("leave out Pixel Data", "flag"),
    "--yes": _name("do it without asking", "flag"),
}
"""By the long name."""

WITHOUT_SHORT: Final = frozenset({("jobs list", "--key"), ("audit spool drop", "--count")})
"""Commands whose option has no short name: it is no key to match, or is to be said in full."""
