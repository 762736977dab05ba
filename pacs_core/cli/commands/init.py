"""``pacs init``: a commented config file for a first archive."""

import shlex
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Annotated, Final, TypeVar

from attrs import frozen
from importlib_metadata import entry_points

from pacs_core.cli.certificates import make_certificates
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.option import Option
from pacs_core.cli.output import complain, say
from pacs_core.config import literal, load_config
from pacs_core.plugins import ENTRY_POINT_GROUP

T = TypeVar("T")

_KERNEL: Final = Template("""\
# Configuration of this archive. All keys: docs/reference/configuration.md; what is left out has its
# default, which `pacs config show` prints. `pacs config check` names what is wrong, `pacs reload`
# lets a node that runs take what has changed.

[node]
ae_title = $ae_title          # by which peers call it: at most 16 characters
host = $host                  # the address it listens on; "0.0.0.0" for all of this machine
port = $port                  # 104 is the registered one, and needs rights to take it
data_directory = $data        # objects, index, audit trail: back it up
# workers = 2                 # processes that serve, where one processor is not enough

[network]
check_called_ae_title = false # true refuses who calls it by another name
# calling_ae_titles = ["CT1"] # who may connect; by default everybody who reaches the port

[archive]
durability = "commit"         # acknowledged when it would survive a power failure
duplicates = "keep-first"     # another object under a known UID is set aside

[archive.space]
warning = 2147483648          # bytes free below which the log says so
minimum = 67108864            # below which instances are refused (A700H)

# Peers to which the node sends, by a name for the command line: pacs echo NAME
# [peers.workstation]
# ae_title = "WORKSTATION"
# host = "192.0.2.10"
# port = 104
""")
_WEB: Final = Template("""
[plugin.web]
port = $web_port              # of pages, DICOMweb, /health/ready; 0 takes a free one
# host = "0.0.0.0"            # only with people who sign in: docs/how-to/sign-in.md
""")
_TLS: Final = Template("""
[network.tls]                 # beside the plain port; plain = false closes that one
certificate = $certificate
key = { file = $key }
# The key of this CA, ca.key, is for certificates of peers: move it to a safe place.
ca = $ca
peers = "optional"            # "required" refuses who shows no certificate of this CA
port = $tls_port

[peers.self]                  # this node, for the test: pacs echo self
ae_title = $ae_title
host = $called
port = $tls_port

[peers.self.tls]
ca = $ca
""")


@frozen
class _Answers:
    ae_title: str
    host: str
    port: int
    data: Path
    web_port: int | None
    tls: bool
    tls_port: int


def init(
    folder: Path = Path(),
    *,
    yes: Annotated[bool, Option()] = False,
    ae_title: str = "PACS",
    host: str = "127.0.0.1",
    port: int = 11112,
    web_port: int = 8042,
    tls: bool = False,
    tls_port: int = 2762,
) -> None:
    """Write a commented pacs.toml, and say how to start and test the archive that it describes.

    Asks for what matters, offering what the options say; nothing is asked with --yes. Nothing that
    is there is written over.

    Parameters
    ----------
    folder
        Where the config file, the data directory and certificates go.
    yes
        Take what the options say, and ask nothing.
    ae_title
        By which peers call the archive.
    host
        Address that it listens on.
    port
        For associations.
    web_port
        Of the web server, if pacs-web is installed.
    tls
        Make certificates, and listen for associations that are secured by TLS as well.
    tls_port
        For these.
    """
    target = folder / "pacs.toml"
    certificates = folder / "tls"
    has_web = bool(entry_points(group=ENTRY_POINT_GROUP, name="web"))
    answers = _Answers(
        ae_title, host, port, folder / "pacs-data", web_port if has_web else None, tls, tls_port
    )
    if not yes:
        answers = _ask(answers)
    for path in (target, *([certificates] if answers.tls else [])):
        if path.exists():
            raise CommandError(f"{path} is there already: move it away, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    if answers.tls:
        make_certificates(certificates, _called(answers.host))
    _write(target, _text(answers, certificates))
    _say_what_next(target, answers)


def _ask(offered: _Answers) -> _Answers:
    """Ask for what matters, with what is offered for whoever presses Enter."""
    return _Answers(
        _question("AE title of the archive", offered.ae_title, str),
        _question("Address to listen on (0.0.0.0: all of this machine)", offered.host, str),
        _question("Port for DICOM", offered.port, int),
        offered.data,
        offered.web_port
        if offered.web_port is None
        else _question("Port for the web", offered.web_port, int),
        is_tls := _question("TLS, with certificates made now (yes or no)", offered.tls, _yes_or_no),
        _question("Port for DICOM with TLS", offered.tls_port, int) if is_tls else offered.tls_port,
    )


def _question(text: str, offered: T, read: Callable[[str], T]) -> T:
    shown = ("yes" if offered else "no") if read is _yes_or_no else offered
    while True:
        try:
            answer = input(f"{text} [{shown}]: ").strip()
        except EOFError:
            raise UsageError("there is nobody to ask: say --yes") from None
        try:
            return read(answer) if answer else offered
        except ValueError as error:
            complain(f"{answer!r} will not do: {error}")


def _yes_or_no(answer: str) -> bool:
    if answer.lower() not in {"yes", "y", "no", "n"}:
        raise ValueError("answer yes or no")
    return answer.lower() in {"yes", "y"}


def _called(host: str) -> str:
    """Return the address at which this machine reaches what listens on an address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _text(answers: _Answers, certificates: Path) -> str:
    folder = certificates.absolute()
    values = {
        "ae_title": answers.ae_title,
        "host": answers.host,
        "port": answers.port,
        "data": str(answers.data.absolute()),
        "web_port": answers.web_port,
        "certificate": str(folder / "node.crt"),
        "key": str(folder / "node.key"),
        "ca": str(folder / "ca.crt"),
        "tls_port": answers.tls_port,
        "called": _called(answers.host),
    }
    quoted = {name: literal(value) for name, value in values.items() if value is not None}
    parts = [_KERNEL, *([_WEB] if answers.web_port is not None else [])]
    parts += [_TLS] if answers.tls else []
    return "".join(part.substitute(quoted) for part in parts)


def _write(target: Path, text: str) -> None:
    """Write the file, once it was read as a node would read it."""
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(text, encoding="utf-8")
    try:
        load_config(partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def _say_what_next(target: Path, answers: _Answers) -> None:
    host = _called(answers.host)
    address = f"[{host}]" if ":" in host else host
    file = shlex.quote(str(target))
    say(f"{target} was written. Start the archive:")
    say(f"  pacs serve --config {file}")
    say("and in another terminal test it:")
    say(f"  pacs echo {shlex.quote(f'{answers.ae_title}@{address}:{answers.port}')}")
    if answers.tls:
        say(f"  pacs echo self --config {file}")
        say(f"  pacs tls check --config {file}")
    say(f"  pacs status --config {file}")
    say("Before others reach it, see what is weak in it:")
    say(f"  pacs doctor security --config {file}")
