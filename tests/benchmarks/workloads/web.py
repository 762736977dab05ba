"""DICOMweb: queries, metadata, frames, whole series and uploads, over one connection.

The archive holds a series of CT images, and a hundred small studies. Each figure is the median of
a few requests; the first of a kind is not counted, for neither side starts cold in practice.
"""

import http.client
import json
import mmap
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import monotonic

from attrs import define

from pacs_core.testing.peer_programs import find_free_port

from .. import data
from ..client import Client, PeerError
from ..contestant import Contestant, Running, running
from ..load import Operation, drive, storage_context
from ..memory import Peak
from ..runner import Case, Measure, Metric, Options
from ..wire import store_request

_STUDIES, _IMAGES, _UPLOADED = 100, 1000, 100
_REPETITIONS = 5
_OFTEN = 50  # of requests that take a few milliseconds, until whoever answers them is warm
_ALONE = 1_000_000  # number of the large series, apart from those of the small studies
_NEW = 2_000_000
_BOUNDARY = "pacs-benchmark"
_TYPES = {
    "json": "application/dicom+json",
    "frame": 'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    "instances": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    "jpeg": "image/jpeg",
}


def cases(options: Options) -> Iterator[Case]:
    """Yield the one case of DICOMweb."""
    studies, images = options.count(_STUDIES), options.count(_IMAGES)
    uploaded = options.count(_UPLOADED)
    names = {
        f"QIDO {studies} studies": "ms",
        "QIDO one study": "ms",
        f"QIDO {images} instances": "ms",
        f"metadata of {images} instances": "ms",
        "metadata, first byte": "ms",
        "one frame": "ms",
        f"{min(100, images)} frames, singly": "ms",
        f"series of {images}": "ms",
        "thumbnail": "ms",
        f"STOW of {uploaded} in one request": "ms",
        f"STOW of {uploaded} small ones singly": "ms",
        "peak memory": "MB",
    }
    metrics = tuple(Metric(name, unit, higher_is_better=False) for name, unit in names.items())
    session = partial(_session, studies, images, uploaded)
    yield Case(f"DICOMweb, {images} CT images", "web", metrics, session)


@contextmanager
def _session(
    studies: int, images: int, uploaded: int, contestant: Contestant, directory: Path
) -> Iterator[Measure]:
    port = find_free_port()
    with running(contestant, directory, port) as node:
        drive(partial(_fill, node, "tiny", _study), 1, count=studies)
        drive(partial(_fill, node, "ct", _large), 1, count=images)
        yield partial(_measure, node, port, studies, images, uploaded)


def _study(number: int) -> tuple[int, int, int]:
    return number, number, number


def _large(number: int) -> tuple[int, int, int]:
    return _ALONE, _ALONE, _ALONE + number


@contextmanager
def _fill(
    node: Running, shape_name: str, place: Callable[[int], tuple[int, int, int]], _sender: int
) -> Iterator[Operation]:
    shape, numbers = data.SHAPES[shape_name], count()
    with Client(node.port, [storage_context(shape.sop_class_uid)], node.called) as client:

        def store() -> int:
            numbered = place(next(numbers))
            dataset = data.whole(shape, *numbered)
            uid = data.instance_uid(numbered[2])
            client.send(client.encode(1, store_request(shape.sop_class_uid, uid), dataset))
            client.confirm()
            return len(dataset)

        yield store


@define
class Web:
    """A connection to the DICOMweb root of a contestant."""

    root: str
    connection: http.client.HTTPConnection

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.connection.host, self.connection.port

    def get(self, path: str, accept: str) -> tuple[bytes, float]:
        """Return a body, and the seconds until its first byte."""
        began = monotonic()
        self.connection.request("GET", f"{self.root}{path}", headers={"Accept": _TYPES[accept]})
        response = self.connection.getresponse()
        first = response.read(1)
        after = monotonic() - began
        body = first + response.read()
        if response.status != http.client.OK:
            raise PeerError(f"GET {path}: {response.status} {body[:300]!r}")
        return body, after

    def drain(self, path: str, accept: str) -> int:
        """Read a body that is too large to be taken apart here, and return how long it is.

        To decode its chunks in Python takes longer than a server needs to send them.
        """
        with closing(socket.create_connection(self.address, timeout=120)) as connection:
            lines = (
                f"GET {self.root}{path} HTTP/1.1",
                f"Host: {self.address[0]}:{self.address[1]}",
                f"Accept: {_TYPES[accept]}",
                "Connection: close",
            )
            connection.sendall("\r\n".join((*lines, "", "")).encode())
            # Begins where a page does: into what begins a little later, the kernel copies slowly.
            buffer = mmap.mmap(-1, 1 << 20)
            size = connection.recv_into(buffer)
            if buffer[:12] != b"HTTP/1.1 200":
                raise PeerError(f"GET {path}: {buffer[:300]!r}")
            while count := connection.recv_into(buffer):
                size += count
        return size

    def store(self, body: bytes) -> None:
        """Store what a body has."""
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        headers = {"Content-Type": kind, "Accept": _TYPES["json"]}
        self.connection.request("POST", f"{self.root}/studies", body=body, headers=headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != http.client.OK:
            raise PeerError(f"POST: {response.status} {answer[:300]!r}")


def _time(act: Callable[[], object], repetitions: int) -> float:
    act()
    seconds = []
    for _ in range(repetitions):
        began = monotonic()
        act()
        seconds.append(monotonic() - began)
    return median(seconds) * 1000


def _measure(node: Running, port: int, studies: int, images: int, uploaded: int) -> Sequence[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    web = Web("/dicom-web", connection)
    peak = Peak(node.process.pid)
    study, series = data.study_uid(_ALONE), data.series_uid(_ALONE)
    inside = f"/studies/{study}/series/{series}"

    def get(path: str, accept: str = "json") -> Callable[[], bytes]:
        return lambda: web.get(path, accept)[0]

    def frame(number: int) -> bytes:
        uid = data.instance_uid(_ALONE + number)
        return web.get(f"{inside}/instances/{uid}/frames/1", "frame")[0]

    def frames() -> None:
        for number in range(min(100, images)):
            frame(number)

    def whole_series() -> None:
        if web.drain(inside, "instances") < images * data.SHAPES["ct"].pixel_bytes:
            raise PeerError("the series is not whole")

    thumbnail = f"{inside}/instances/{data.instance_uid(_ALONE)}/rendered?viewport=128,128"
    shown = f"/studies?limit={studies}&includefield=00081030"
    _check(get(shown)(), studies)
    _check(get(f"{inside}/metadata")(), images)

    def measure(act: Callable[[], object], repetitions: int = _REPETITIONS) -> float:
        connection.close()  # a server may have held it for long enough; the next is made unmeasured
        return _time(act, repetitions)

    figures = [
        measure(get(shown)),
        measure(get(f"/studies?StudyInstanceUID={study}"), _OFTEN),
        measure(get(f"{inside}/instances?limit={images}")),
        measure(get(f"{inside}/metadata"), 3),
        median(web.get(f"{inside}/metadata", "json")[1] for _ in range(5)) * 1000,
        measure(partial(frame, 0), _OFTEN),
        measure(frames, 2),
        measure(whole_series, 1),
        measure(get(thumbnail, "jpeg"), _OFTEN),
        _upload(web, "ct", uploaded, _NEW, together=True),
        _upload(web, "small", uploaded, 2 * _NEW, together=False),
    ]
    peak.sample()
    connection.close()
    return [*figures, (peak.start + peak.growth) / 1e6]


def _check(body: bytes, wanted: int) -> None:
    if (found := len(json.loads(body))) < wanted:
        raise PeerError(f"{found} objects instead of {wanted}")


def _body_of(instances: Sequence[bytes]) -> bytes:
    """Return Part 10 files as the body of a request."""
    head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join(head + each for each in instances) + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _upload(web: Web, shape_name: str, uploaded: int, first: int, *, together: bool) -> float:
    shape = data.SHAPES[shape_name]
    files = [data.part10(shape, first, first, first + number) for number in range(uploaded)]
    bodies = [_body_of(batch) for batch in ([files] if together else [[file] for file in files])]
    # Preparing them may take longer than a server holds an idle connection.
    web.connection.close()
    web.connection.connect()
    began = monotonic()
    for body in bodies:
        web.store(body)
    return (monotonic() - began) * 1000
