"""A Storage SCP that writes files (PS3.4 Annex B, PS3.10), and C-ECHO.

How it works: a dataset is written as it comes, a MiB at a time, behind File Meta Information of
ours, to a file without a name. When it is whole it is made durable, gets its name, and only then is
the peer told. Names are UIDs, each checked to be one before it becomes part of a path. What has the
name already is compared: the same is taken as done, something else stays, and the newcomer gets a
name beside it, so that nothing that was acknowledged is ever replaced.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from attrs import define, field, frozen

from pacs_core.api.file_commands import Draft, complain
from pacs_core.association import Services, SupportedService
from pacs_core.contracts import (
    AuditEvent,
    AuditTrail,
    Operation,
    Response,
    ServiceProvider,
    SopClassSupport,
)
from pacs_core.dataset import (
    Attributes,
    HeaderScanner,
    MalformedDataset,
    UnencodableValue,
    file_meta,
    tag_of,
    texts,
)
from pacs_core.dimse import CommandField, DimseError, Status, is_valid_uid
from pacs_tools.names import list_sop_classes

Layout = Literal["series", "study", "flat"]

_VERIFICATION: Final = "1.2.840.10008.1.1"
_FOLDERS: Final[dict[Layout, tuple[str, ...]]] = {
    "series": ("StudyInstanceUID", "SeriesInstanceUID"),
    "study": ("StudyInstanceUID",),
    "flat": (),
}
_BLOCK: Final = 1 << 20
_LARGEST_NUMBER: Final = 10_000


@frozen
class ReceivedFile:
    """A file that was received, and is durable.

    Attributes
    ----------
    path : Path
    size : int
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
    calling_ae_title : str
    is_new : bool
        Rather than there already, with the same content.
    """

    path: Path
    size: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    is_new: bool


@define(eq=False)
class IncomingFile:
    """A file that comes; a small one is in memory until it is whole, to visit a thread once.

    Attributes
    ----------
    output : Path
    size : int
        Bytes so far.
    """

    output: Path
    size: int = 0
    _waiting: bytearray = field(factory=bytearray)
    _draft: Draft | None = None

    @property
    def is_due(self) -> bool:
        """Whether so much waits in memory that it is to be written."""
        return len(self._waiting) >= _BLOCK

    @property
    def is_on_disk(self) -> bool:
        """Whether some of it is, and is to be discarded."""
        return self._draft is not None

    def add(self, chunk: bytes | memoryview) -> None:
        """Append to it, in memory."""
        self._waiting += chunk
        self.size += len(chunk)

    def write(self) -> Draft:
        """Write what waits in memory. Blocking."""
        if self._draft is None:
            self._draft = Draft(self.output)
        self._draft.write(self._waiting)
        self._waiting = bytearray()
        return self._draft

    def discard(self) -> None:
        """Remove what has no name. Blocking."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    def settle(self, folders: Sequence[str], uid: str) -> tuple[Path, bool]:
        """Give it its name; return its path, and whether it is new. Blocking."""
        try:
            draft = self.write()
            folder = self.output.joinpath(*folders)
            for number in range(_LARGEST_NUMBER):
                path = folder / (f"{uid}.dcm" if not number else f"{uid}-{number}.dcm")
                if not path.exists():
                    draft.finish(*folders, name=path.name, durable=True)
                    return path, True
                if path.stat().st_size == self.size and draft.holds(path):
                    return path, False
        finally:
            self.discard()
        raise OSError(f"there are {_LARGEST_NUMBER} files of this instance")


@define(eq=False)
class FileReceiver(ServiceProvider):
    """Writes what C-STORE brings.

    Attributes
    ----------
    output : Path
    layout : ``"series"``, ``"study"`` or ``"flat"``
        The folders below it.
    tell : callable
        Is told of each file.
    received, failed : int
    """

    output: Path
    layout: Layout
    tell: Callable[[ReceivedFile], None]
    received: int = 0
    failed: int = 0
    _locks: WeakValueDictionary[str, anyio.Lock] = field(factory=WeakValueDictionary)

    async def handle(self, operation: Operation) -> Response:
        """Write an instance, or answer a C-ECHO.

        Raises
        ------
        DimseError
            It could not be taken: A700H, C000H, 0117H or 0211H (PS3.4 Table B.2-1, PS3.7 Annex C).
        """
        if operation.command.field is CommandField.C_ECHO_RQ:
            return Response(Status.SUCCESS)
        if operation.command.field is not CommandField.C_STORE_RQ:
            raise DimseError(Status.UNRECOGNIZED_OPERATION, "there is C-STORE and C-ECHO only")
        uid = operation.command.affected_sop_instance_uid or ""
        try:
            file = await self._receive(operation, uid)
        except (DimseError, MalformedDataset, UnencodableValue, ValueError, OSError) as error:
            self.failed += 1
            complain(f"instance {uid[:80]} from {_who(operation)}: {error}")
            if isinstance(error, DimseError):
                raise
            status = Status.CANNOT_UNDERSTAND
            if isinstance(error, OSError):
                status = Status.OUT_OF_RESOURCES
            raise DimseError(status, str(error)[:64]) from error
        self.received += 1
        self.tell(file)
        return Response(Status.SUCCESS)

    async def _receive(self, operation: Operation, uid: str) -> ReceivedFile:
        syntax, sop_class = operation.context.transfer_syntax, operation.context.abstract_syntax
        if not is_valid_uid(uid):
            raise DimseError(Status.INVALID_SOP_INSTANCE, "SOP Instance UID is no UID")
        file = IncomingFile(self.output)
        file.add(file_meta(sop_class, uid, syntax, operation.association.origin.calling_ae_title))
        try:
            attributes = await _fill(file, operation)
            if texts(attributes, _INSTANCE) != (uid,):
                raise ValueError("the dataset has another SOP Instance UID than the request")
            folders = [_folder(attributes, keyword) for keyword in _FOLDERS[self.layout]]
            async with self._locks.setdefault(uid, anyio.Lock()):
                path, is_new = await anyio.to_thread.run_sync(file.settle, folders, uid)
        finally:
            if file.is_on_disk:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(file.discard)
        return ReceivedFile(path, file.size, sop_class, uid, syntax, _who(operation), is_new)


_INSTANCE: Final = tag_of("SOPInstanceUID")


async def _fill(file: IncomingFile, operation: Operation) -> Attributes:
    """Write a dataset; return what names it."""
    wanted = {_INSTANCE, *map(tag_of, _FOLDERS["series"])}
    scanner: HeaderScanner | None = HeaderScanner(operation.context.transfer_syntax, wanted)
    attributes: Attributes = {}
    async for chunk in operation.dataset:
        if scanner is not None and scanner.feed(bytes(chunk)):
            attributes, scanner = scanner.attributes, None
        file.add(chunk)
        if file.is_due:
            await anyio.to_thread.run_sync(file.write)
    if scanner is not None:
        scanner.finish()
        attributes = scanner.attributes
    return attributes


def _folder(attributes: Attributes, keyword: str) -> str:
    values = texts(attributes, tag_of(keyword))
    if len(values) != 1 or not is_valid_uid(values[0]):
        raise ValueError(f"the dataset has no valid {keyword}")
    return values[0]


def _who(operation: Operation) -> str:
    return operation.association.origin.calling_ae_title


class NoAuditTrail(AuditTrail):
    """Records nothing: a command has its output."""

    async def record(self, event: AuditEvent) -> None:
        """See base."""


def make_services(provider: ServiceProvider, transfer_syntaxes: tuple[str, ...]) -> Services:
    """Return a provider as SCP of Verification, and of all Storage SOP classes of PS3.6."""
    support = SopClassSupport(transfer_syntaxes)
    offers = {
        uid: SupportedService(support, provider)
        for uid, keyword in list_sop_classes(retired=True).items()
        if "Storage" in keyword and "Commitment" not in keyword and "Directory" not in keyword
    }
    return Services({_VERIFICATION: SupportedService(SopClassSupport(), provider), **offers})
