"""Zip archives, written while they are sent."""

import zipfile
from collections.abc import AsyncIterable, AsyncIterator
from io import RawIOBase

_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Outlet(RawIOBase):
    """Keeps what is written until it is taken; cannot seek, so that lengths come after content."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


async def write_zip(
    files: AsyncIterable[tuple[str, AsyncIterable[bytes | memoryview]]],
) -> AsyncIterator[bytes]:
    """Iterate over a zip archive of files, which are not compressed further.

    Parameters
    ----------
    files : async iterable of (str, async iterable of bytes-like)
        Names within the archive, and contents, which are read one after the other.
    """
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        async for name, content in files:
            with archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as entry:
                async for chunk in content:
                    entry.write(chunk)
                    yield outlet.take()
            yield outlet.take()
    yield outlet.take()
