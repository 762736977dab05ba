"""Examination of a configuration for what is weak in it; nothing is started."""

import os
import ssl
import stat
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from attrs import fields, has
from packaging.version import Version

from pacs_core.app.assembly import Assembly
from pacs_core.app.examination import examine
from pacs_core.app.secret_files import list_secret_files
from pacs_core.config import Config, find_config, inspect_config
from pacs_core.contracts import (
    AccessDescriptor,
    AuditSinkDescriptor,
    ConfigFile,
    SecurityFinding,
    Severity,
    is_loopback,
)
from pacs_core.plugins import Fault
from pacs_core.sandbox import describe_protection
from pacs_core.sandbox.landlock import landlock_version
from pacs_core.sandbox.seccomp import has_seccomp

HOOK: Final = "pacs_security_findings"

KNOWN_HOLES: Final = {
    "aiohttp": ("3.10.11", "CVE-2024-52304"),
    "cryptography": ("44.0.1", "CVE-2024-12797"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "imagecodecs": ("2023.9.18", "CVE-2023-4863 in its libwebp"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "lxml": ("4.9.1", "CVE-2022-2309"),
    "pillow": ("10.3.0", "CVE-2024-28219"),
    "pynacl": ("1.6.2", "CVE-2025-69277 in its libsodium"),
    "python-multipart": ("0.0.18", "CVE-2024-53981"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "starlette": ("0.49.1", "CVE-2025-62727"),
    "urllib3": ("2.5.0", "CVE-2025-50181"),
}
"""Distributions that a node may have: the first version without a hole that is known, and the hole.
What became known after this release is not in it."""

_HIGH, _MEDIUM, _LOW = Severity.HIGH, Severity.MEDIUM, Severity.LOW
_ORDER: Final = {severity: place for place, severity in enumerate(Severity)}


def find_weaknesses(
    path: Path | None = None, found: Iterable[Any] | None = None
) -> list[SecurityFinding]:
    """Return what is weak in a configuration and its plugins, the worst first.

    Parameters
    ----------
    path : Path, optional
        Config file; see :func:`pacs_core.config.find_config`.
    found : iterable of EntryPoint, optional
        Instead of those of the environment.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    file = find_config(path)
    config, _ = inspect_config(path)
    assembly, _ = examine(config, found)
    findings = [
        *_of_the_network(config, assembly),
        *_of_the_trail(config, assembly),
        *_of_the_machine(config),
        *_of_secret_files(assembly),
        *_of_files_that_decide(file, assembly),
        *_of_codecs(config),
        *_of_distributions(),
        *_of_plugins(assembly),
    ]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def _of_the_network(config: Config, assembly: Assembly) -> Iterator[SecurityFinding]:
    node, network = config.node, config.network
    reachable = not is_loopback(node.host)
    if reachable and (network.tls is None or network.tls.plain):
        what = f"associations on {node.host} are not encrypted"
        action = "set [network.tls], and plain = false in it"
        yield SecurityFinding(_HIGH, what, action)
    guarded = any(
        descriptor.authorizer is not None
        for _, descriptor in assembly.registry.active(AccessDescriptor)
    )
    if not network.calling_ae_titles and not guarded:
        yield SecurityFinding(
            _HIGH if reachable else _LOW,
            "everybody who reaches the node may associate",
            "name the peers in calling_ae_titles of [network], or install an authorizer such as "
            "pacs-access-rules",
        )
    if not guarded:
        yield SecurityFinding(
            _HIGH if reachable else _LOW,
            "whoever associates may store, query and retrieve everything: there is no authorizer",
            "install one, such as pacs-access-rules, and give it rules",
        )
    if network.unknown_identities == "ignored":
        yield SecurityFinding(
            _MEDIUM,
            "user identities that nobody verifies are ignored, rather than refused",
            "remove unknown_identities from [network]",
        )
    if node.ae_title == "PACS":
        what = "the AE title is the default, which anybody guesses"
        severity = _MEDIUM if reachable else _LOW
        yield SecurityFinding(severity, what, "set ae_title in [node]")
    if reachable and not network.check_called_ae_title:
        what = "associations that call another AE title are accepted"
        yield SecurityFinding(_LOW, what, "set check_called_ae_title = true in [network]")
    for name, peer in config.peers.items():
        if peer.host and peer.tls is None and not is_loopback(peer.host):
            what = f"what is sent to the peer {name} is not encrypted"
            yield SecurityFinding(_MEDIUM, what, f"set [peers.{name}.tls]")


def _of_the_trail(config: Config, assembly: Assembly) -> Iterator[SecurityFinding]:
    sinks = [descriptor for _, descriptor in assembly.registry.active(AuditSinkDescriptor)]
    if not sinks:
        what = "nothing is recorded: there is no audit sink"
        yield SecurityFinding(_HIGH, what, "install one, such as pacs-audit-json")
    elif not config.audit.required and not any(sink.required for sink in sinks):
        yield SecurityFinding(
            _MEDIUM,
            "the node goes on where it cannot record what it does: no audit sink is required",
            "set required = true for a sink, such as in [plugin.audit-json]",
        )


def _of_the_machine(config: Config) -> Iterator[SecurityFinding]:
    if os.geteuid() == 0:
        what = "this is root: a node needs no rights of root"
        yield SecurityFinding(_MEDIUM, what, "run the node as a user of its own")
    data = config.node.data_directory
    paths = [data, *(sorted(data.iterdir()) if data.is_dir() and os.access(data, os.R_OK) else [])]
    for path in paths:
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except OSError:
            continue
        if mode & 0o007 and not path.is_symlink():
            what = f"others on this machine have access to {path} (mode {mode:04o})"
            yield SecurityFinding(_HIGH if path == data else _MEDIUM, what, f"chmod o= {path}")


def _of_secret_files(assembly: Assembly) -> Iterator[SecurityFinding]:
    tables = {f"plugin.{name}": table for name, table in assembly.plugin_configs.items()}
    for top, table in {"": assembly.config, **tables}.items():
        for key, path in list_secret_files(table, top):
            try:
                status = path.stat()
            except OSError:
                continue  # that it is missing is said where it is used
            mode = stat.S_IMODE(status.st_mode)
            if mode & 0o007:
                what = f"others on this machine have access to {path}, which {key} names"
                yield SecurityFinding(_HIGH, f"{what} (mode {mode:04o})", f"chmod o= {path}")
            if status.st_uid not in (0, os.geteuid()):
                what = f"another user (number {status.st_uid}) owns {path}, which {key} names"
                yield SecurityFinding(_HIGH, what, f"let the user of the node own it: chown {path}")


def _of_files_that_decide(config: Path | None, assembly: Assembly) -> Iterator[SecurityFinding]:
    """Find what others could change: the configuration, and the files that it is made of."""
    files = {} if config is None else {config: "the configuration"}
    for name, table in assembly.plugin_configs.items():
        kind = type(table)
        for field in fields(kind) if has(kind) else ():
            if isinstance(value := getattr(table, field.name), ConfigFile):
                files[value.path] = f"plugin.{name}.{field.name}"
    for file, what in files.items():
        mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0
        if mode & 0o002:
            told = f"others on this machine may change {file}, which is {what} (mode {mode:04o})"
            yield SecurityFinding(_HIGH, told, f"chmod o-w {file}")


def _of_codecs(config: Config) -> Iterator[SecurityFinding]:
    if not config.transcoding.limits.confine:
        what = "codec processes may open files and sockets"
        action = "remove confine = false from [transcoding.limits]"
        yield SecurityFinding(_MEDIUM, what, action)
    elif not (landlock_version() and has_seccomp()):
        what = f"this system does not confine codec processes: {describe_protection()}"
        yield SecurityFinding(_LOW, what, "use Linux 5.13 or later, or a container")


def _of_distributions() -> Iterator[SecurityFinding]:
    for name, (fixed, hole) in KNOWN_HOLES.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            continue
        if Version(installed) < Version(fixed):
            what = f"{name} {installed} has a known hole ({hole})"
            yield SecurityFinding(_HIGH, what, f"pip install '{name}>={fixed}'")
    if ssl.OPENSSL_VERSION_INFO < (3, 0):
        what = f"{ssl.OPENSSL_VERSION} gets no corrections any more"
        yield SecurityFinding(_MEDIUM, what, "use a Python that is linked with OpenSSL 3")


def _of_plugins(assembly: Assembly) -> Iterator[SecurityFinding]:
    manager, hooks = assembly.manager, assembly.hooks
    for record, result in manager.call(HOOK, assembly.setup_for, hooks=hooks):
        if isinstance(result, Sequence) and all(
            isinstance(each, SecurityFinding) for each in result
        ):
            for each in result:
                what = f"{record.name}: {each.what}"
                yield SecurityFinding(each.severity, what, each.action)
        else:
            reason = f"{HOOK} returned {result!r:.100}, not a list of SecurityFinding"
            manager.quarantine(record, Fault.WRONG_RESULT, reason)
