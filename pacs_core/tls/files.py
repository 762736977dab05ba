"""TLS contexts from the files that the configuration names, made anew when the files change."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from typing import Final

from attrs import define, frozen

from pacs_core.contracts import (
    Certificate,
    ClientTls,
    ServerTls,
    TlsConfigError,
    TlsContexts,
)
from pacs_core.tls.certificates import describe_remaining, own_certificate, trusted_certificates
from pacs_core.tls.contexts import client_context, server_context

# Theory of operation
#
# Certificates are replaced while nodes run, by tools that know nothing of them. So a context is
# kept for each table of settings, with a stamp of the files that it was made of, and whoever
# watches (`CertificateWatch`) calls `refresh` now and then. Connections that exist keep the context
# that they began with; new ones get the new one.
#
# A replacement may be half done when it is looked at: the key is new, the certificate not yet. Then
# no context can be made, the former stays, and the stamp of the failure is kept, so that it is
# reported once and tried again only when a file has changed again.

EXPIRY_WARNING: Final = timedelta(days=30)
"""How long before a certificate expires that is said."""

Settings = ServerTls | ClientTls
_Stamp = tuple[tuple[int, ...], ...]


@define
class _Kept:
    context: SSLContext
    stamp: _Stamp
    failed: _Stamp | None = None


class FileTlsContexts(TlsContexts):
    """Keeps a context for all settings that it was asked for."""

    def __init__(self) -> None:
        self._kept: dict[Settings, _Kept] = {}

    def server_context(self, settings: ServerTls) -> SSLContext:
        """See base."""
        return self._context(settings)

    def client_context(self, settings: ClientTls) -> SSLContext:
        """See base."""
        return self._context(settings)

    def _context(self, settings: Settings) -> SSLContext:
        kept = self._kept.get(settings)
        if kept is None:
            stamp = _stamp(settings)  # before reading: what changes meanwhile is read again
            kept = self._kept[settings] = _Kept(make_context(settings), stamp)
        return kept.context

    def forget(self, settings: Iterable[Settings]) -> None:
        """Keep no contexts for these any more: nobody will ask for them again."""
        for each in settings:
            self._kept.pop(each, None)

    def refresh(self) -> Iterator[tuple[Settings, str]]:
        """Make contexts anew whose files have changed.

        Yields
        ------
        Settings, str
            Whose context is new, or what is wrong with the files: then the former stays, until
            they change again.
        """
        for settings, kept in tuple(self._kept.items()):
            stamp = _stamp(settings)
            if stamp in (kept.stamp, kept.failed):
                continue
            try:
                kept.context = make_context(settings)
            except TlsConfigError as error:
                kept.failed = stamp
                yield settings, str(error)
            else:
                kept.stamp, kept.failed = stamp, None
                yield settings, ""


def make_context(settings: Settings) -> SSLContext:
    """Return a new context.

    Raises
    ------
    TlsConfigError
        A file cannot be used.
    """
    if isinstance(settings, ServerTls):
        return server_context(settings)
    return client_context(settings)


def _stamp(settings: Settings) -> _Stamp:
    """Return what changes whenever a file does."""
    return tuple(_file_stamp(path) for path in _files(settings))


def _files(settings: Settings) -> Iterator[Path]:
    for name in ("certificate", "ca"):
        if path := getattr(settings, name):
            yield path
    for name in ("key", "passphrase"):
        secret = getattr(settings, name)
        if secret is not None and secret.file:
            yield Path(secret.file)


def _file_stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    # Not the time alone: a file that was moved into place may be older than the former.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@frozen
class CertificateUse:
    """A certificate that the configuration names.

    Attributes
    ----------
    where : str
        Path of the key in the configuration.
    file : Path
    certificate : Certificate or None
    problem : str
        Why it cannot be used; empty if it can.
    """

    where: str
    file: Path
    certificate: Certificate | None = None
    problem: str = ""

    def trouble(self, now: datetime) -> str:
        """Return what is wrong with it, or will soon be; empty if nothing is."""
        if self.certificate is None:
            return self.problem
        soon = self.certificate.not_after - now < EXPIRY_WARNING
        return self.remaining(now) if soon or self.certificate.not_before > now else ""

    def remaining(self, now: datetime) -> str:
        """Return for how long it is valid, in words, or why it cannot be used."""
        if self.certificate is None:
            return self.problem
        return f"{self.file}: {describe_remaining(self.certificate, now)}"


def certificate_uses(tables: Mapping[str, Settings]) -> Iterator[CertificateUse]:
    """Iterate over the certificates, of this side and of CAs, that tables name.

    Parameters
    ----------
    tables : mapping of str to Settings
        By path in the configuration.
    """
    for where, settings in tables.items():
        if settings.certificate is not None:
            yield _own(f"{where}.certificate", settings.certificate, settings)
        if settings.ca is not None:
            yield from _trusted(f"{where}.ca", settings.ca)


def _own(where: str, path: Path, settings: ServerTls | ClientTls) -> CertificateUse:
    of_server = isinstance(settings, ServerTls)
    try:
        found = own_certificate(path, settings.key, settings.passphrase, of_server=of_server)
    except TlsConfigError as error:
        return CertificateUse(where, path, problem=str(error))
    return CertificateUse(where, path, found)


def _trusted(where: str, path: Path) -> Iterator[CertificateUse]:
    try:
        for certificate in trusted_certificates(path):
            yield CertificateUse(where, path, certificate)
    except TlsConfigError as error:
        yield CertificateUse(where, path, problem=str(error))
