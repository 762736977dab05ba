"""store, move and get with a peer of another make, which also misbehaves."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, evt

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


class Sink:
    """A Storage SCP; `answer` is called for each C-STORE-RQ with its number."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.requests = 0
        self.answer = lambda _number, _event: 0x0000
        self._lock = threading.Lock()
        entity = AE("SINK")
        entity.add_supported_context(CT, [EXPLICIT])
        entity.add_supported_context(MR, [IMPLICIT])
        handlers = [(evt.EVT_C_STORE, self._store)]
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    @property
    def peer(self) -> str:
        return f"SINK@127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return self.server.socket.getsockname()[1]

    def _store(self, event) -> int:
        with self._lock:
            self.requests += 1
            number = self.requests
        status = self.answer(number, event)
        if status == 0:
            self.received.append(str(event.request.AffectedSOPInstanceUID))
        return status


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    yield sink
    sink.server.shutdown()


def aborts(event) -> int:
    event.assoc.abort()
    return 0xA700


def test_store(pacs, sink: Sink, copies: list[Path]) -> None:
    result = pacs("store", sink.peer, *copies)
    assert (result.code, result.out) == (0, "5 instances stored\n")
    assert len(set(sink.received)) == 5


def test_a_transfer_syntax_that_the_peer_does_not_take(pacs, sink: Sink, samples) -> None:
    refused = samples / "MR_small.dcm"
    unknown = samples / "rtplan.dcm"
    others = samples / "MR_small_implicit.dcm", unknown
    result = pacs("store", "--no-transcode", sink.peer, refused, *others)
    assert (result.code, result.out) == (1, "1 instance stored, 2 failed\n")
    reasons = dict(line.removeprefix("pacs: ").split(": ", 1) for line in result.err.splitlines())
    assert (
        "not accept it in Explicit VR Little Endian, only in Implicit VR" in reasons[str(refused)]
    )
    assert "does not accept SOP class" in reasons[str(unknown)]


def test_a_compressed_file_says_what_the_peer_would_take(pacs, sink: Sink, samples) -> None:
    result = pacs("store", sink.peer, samples / "MR_small_RLE.dcm", "--no-transcode")
    assert result.code == 1
    assert "not accept it in RLE Lossless, only in Implicit VR Little Endian" in result.err


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"], ids=lambda n: n[9:-4]
)
def test_a_file_is_converted_to_what_the_peer_takes(pacs, sink: Sink, samples, name) -> None:
    datasets = []
    sink.answer = lambda _number, event: datasets.append(event.dataset) or 0
    result = pacs("store", sink.peer, samples / name)
    assert (result.code, result.out) == (0, "1 instance stored\n")
    (received,), sent = datasets, dcmread(samples / name)
    received.file_meta = FileMetaDataset()
    received.file_meta.TransferSyntaxUID = IMPLICIT
    assert (received.pixel_array == sent.pixel_array).all()
    assert received.PatientName == sent.PatientName


def test_an_image_that_cannot_be_converted_is_not_begun(pacs, sink: Sink, samples, tmp_path):
    broken = dcmread(samples / "MR_small_RLE.dcm")
    broken.PixelData = broken.PixelData[:200] + bytes(len(broken.PixelData) - 200)
    broken.save_as(tmp_path / "broken.dcm")
    result = pacs("store", sink.peer, tmp_path / "broken.dcm", samples / "MR_small_implicit.dcm")
    assert (result.code, result.out) == (1, "1 instance stored, 1 failed\n")
    assert "cannot convert RLE Lossless to Implicit VR Little Endian: frame 1: " in result.err


def test_an_association_that_drops_is_made_again(pacs, sink: Sink, copies: list[Path]) -> None:
    sink.answer = lambda number, event: aborts(event) if number == 3 else 0
    result = pacs("store", sink.peer, *copies)
    assert (result.code, result.out) == (0, "5 instances stored\n")
    assert len(set(sink.received)) == 5


def test_one_file_that_the_peer_cannot_stand(pacs, sink: Sink, copies: list[Path]) -> None:
    def answer(_number: int, event) -> int:
        poison = str(event.request.AffectedSOPInstanceUID).endswith("1")
        return aborts(event) if poison else 0

    sink.answer = answer
    result = pacs("store", sink.peer, *copies)
    assert (result.code, result.out) == (1, "4 instances stored, 1 failed\n")
    (line,) = result.err.splitlines()
    assert line.startswith(f"pacs: {copies[1]}: ")


def test_a_peer_that_always_drops(pacs, sink: Sink, copies: list[Path]) -> None:
    sink.answer = lambda _number, event: aborts(event)
    result = pacs("store", sink.peer, *copies)
    assert (result.code, result.out) == (1, "0 instances stored, 5 failed\n")
    assert {line.split(": ")[1] for line in result.err.splitlines()} == set(map(str, copies))


@pytest.mark.parametrize(("status", "code"), [(0xB000, 0), (0xA700, 1)])
def test_statuses(pacs, sink: Sink, copies: list[Path], status: int, code: int) -> None:
    sink.answer = lambda _number, _event: status
    result = pacs("store", sink.peer, copies[0])
    assert result.code == code
    assert f"{status:04X}H" in result.err


def test_move(pacs, serve, sink: Sink, samples: Path, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[peers.sink]\nae_title = "SINK"\nhost = "127.0.0.1"\nport = {sink.port}\n')
    with serve("--data", str(tmp_path / "data"), "--config", str(config)) as node:
        assert pacs("store", node.peer, samples / "CT_small.dcm").code == 0
        result = pacs("move", node.peer, "--to", "SINK", "-k", f"StudyInstanceUID={STUDY}")
    assert (result.code, result.out) == (0, "1 moved, 0 failed\n")
    assert len(sink.received) == 1


def test_what_a_peer_may_have_converted_is_said(pacs, samples: Path, tmp_path: Path) -> None:
    """It has no C-FIND to ask which SOP classes there are: some syntaxes share a context."""
    entity = AE("SOURCE")
    entity.add_supported_context(STUDY_GET)
    entity.add_supported_context(CT, [EXPLICIT], scu_role=True, scp_role=True)
    sent = dcmread(samples / "CT_small.dcm")

    def answer(_event):
        yield 1
        yield 0xFF00, sent

    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, answer)]
    )
    try:
        peer = f"SOURCE@127.0.0.1:{server.socket.getsockname()[1]}"
        result = pacs("get", peer, "-k", f"StudyInstanceUID={STUDY}", "-o", tmp_path / "out")
    finally:
        server.shutdown()
    assert (result.code, result.out) == (0, "1 received, 0 failed\n")
    assert "it may have converted what it holds compressed" in result.err
