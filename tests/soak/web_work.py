"""Pieces of work over DICOMweb (PS3.18 §10)."""

from hashlib import sha256
from typing import Final

import anyio
from pacs_dicomweb.multipart import PartBegin, PartData, Splitter

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, file_meta
from pacs_core.testing.datasets import SampleStudy

from .trouble import RefusedError, WrongAnswerError
from .work import Client, compare

DICOM: Final = 'multipart/related; type="application/dicom"'
BOUNDARY: Final = "soak"
STORED, REFERENCED, INSTANCE_UID = "00081199", "00081155", "00080018"


def _body(*files: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"\r\n".join([*(head + each for each in files), f"--{BOUNDARY}--\r\n".encode()])


async def stow(client: Client) -> None:
    """Store some instances by STOW-RS (PS3.18 §10.5); what the answer names is acknowledged."""
    study, files = SampleStudy(), []
    for _ in range(client.draw.choice((1, 3, 6))):
        sample, data = client.ledger.make(client.draw, study)
        files.append(file_meta(sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT) + data)
    response = await client.http.post(
        f"{client.node.url}/studies",
        content=_body(*files),
        headers={"Content-Type": f"{DICOM}; boundary={BOUNDARY}"},
    )
    if response.status_code not in (200, 202, 409):
        raise RefusedError(f"STOW-RS was answered {response.status_code}")
    stored = response.json().get(STORED, {}).get("Value", ())
    for item in stored:
        client.ledger.acknowledge(item[REFERENCED]["Value"][0])
    if response.status_code != 200:
        raise RefusedError(f"STOW-RS has stored {len(stored)} of {len(files)}")


async def abandon_stow(client: Client) -> None:
    """Close the connection amid the body of a STOW-RS."""
    sample, data = client.ledger.make(client.draw, SampleStudy())
    meta = file_meta(sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT)
    body = _body(meta + data)
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{client.node.web}\r\n"
        f"Content-Type: {DICOM}; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with await anyio.connect_tcp("127.0.0.1", client.node.web) as stream:
        await stream.send(head.encode() + body[: len(body) // 2])
        await anyio.sleep(client.draw.uniform(0, 0.2))


async def search(client: Client) -> None:
    """Search the instances of a study by QIDO-RS (PS3.18 §10.6): each is there once."""
    study = client.ledger.choose(client.draw)
    if study is None:
        return
    acknowledged = set(client.ledger.studies[study])
    url = f"{client.node.url}/studies/{study}/instances"
    response = await client.http.get(url, headers={"Accept": "application/dicom+json"})
    if study not in client.ledger.studies:
        return
    if response.status_code not in (200, 204):
        raise RefusedError(f"QIDO-RS was answered {response.status_code}")
    rows = response.json() if response.status_code == 200 else []
    found = [row[INSTANCE_UID]["Value"][0] for row in rows]
    if len(found) != len(set(found)):
        raise WrongAnswerError(f"QIDO-RS lists an instance of {study} twice")
    if missing := acknowledged - set(found):
        raise WrongAnswerError(f"QIDO-RS lists not {sorted(missing)}")


async def retrieve(client: Client) -> None:
    """Retrieve a study by WADO-RS (PS3.18 §10.4); or leave amid of it."""
    study = client.ledger.choose(client.draw)
    if study is None:
        return
    acknowledged = set(client.ledger.studies[study])
    leaves = client.draw.random() < 0.2
    parts: list[bytearray] = []
    url = f"{client.node.url}/studies/{study}"
    accept = {"Accept": f"{DICOM}; transfer-syntax=*"}
    async with client.http.stream("GET", url, headers=accept) as response:
        if study in client.ledger.studies and response.status_code != 200:
            raise RefusedError(f"WADO-RS was answered {response.status_code}")
        if response.status_code != 200:
            return
        splitter = Splitter(response.headers["content-type"].split("boundary=")[1].split(";")[0])
        async for chunk in response.aiter_raw():
            for event in splitter.feed(chunk):
                if isinstance(event, PartBegin):
                    parts.append(bytearray())
                elif isinstance(event, PartData):
                    parts[-1] += event.data
            if leaves:
                return
    if study not in client.ledger.studies:
        return
    compare(client.ledger, study, acknowledged, dict(map(_read, parts)))


def _read(file: bytearray) -> tuple[str, bytes]:
    """Return SOP Instance UID and digest of the dataset of a DICOM file (PS3.10 §7.1)."""
    # (0002,0000) File Meta Information Group Length is the first element: 12 bytes after "DICM".
    end = 144 + int.from_bytes(file[140:144], "little")
    mark = file.index(b"\x02\x00\x03\x00UI", 144, end)
    length = int.from_bytes(file[mark + 6 : mark + 8], "little")
    uid = file[mark + 8 : mark + 8 + length].decode().rstrip("\0")
    return uid, sha256(file[end:]).digest()
