"""In which form instances go to DICOMweb servers, and what follows where one does not take it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, RLELossless

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_thread
from pacs_core.testing.waiting import until

from .receivers import BASE, described, modality, pydicom_of, rules

PLUGINS = ("routing", *BASE, "dicomweb", "web", "codec-basic")
NOT_SUPPORTED = 0xC122  # Transfer Syntax not supported


class Server:
    """A Store transaction's origin server (PS3.18 §10.5) that takes what it is told to take."""

    def __init__(self):
        self.refuse, self.says_nothing = {}, False
        self.received, self.refused = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                status, answer = outer.answer(self.headers, self.rfile)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/dicom+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/dicom-web"

    def answer(self, headers, stream):
        body = stream.read(int(headers["Content-Length"]))
        boundary = headers["Content-Type"].split("boundary=")[1].strip('"').encode()
        parts = body.split(b"--" + boundary)[1:-1]
        files = [dcmread(BytesIO(part.split(b"\r\n\r\n", 1)[1][:-2])) for part in parts]
        if self.says_nothing:
            self.refused += [each.SOPInstanceUID for each in files]
            return 200, {}
        ways = {self.refuse.get(each.file_meta.TransferSyntaxUID) for each in files}
        if 415 in ways:
            self.refused += [each.SOPInstanceUID for each in files]
            return 415, {}
        taken, failed = [], []
        for each in files:
            reason = self.refuse.get(each.file_meta.TransferSyntaxUID)
            item = {"00081155": {"vr": "UI", "Value": [each.SOPInstanceUID]}}
            if reason:
                self.refused.append(each.SOPInstanceUID)
                failed.append(item | {"00081197": {"vr": "US", "Value": [reason]}})
            else:
                self.received[each.SOPInstanceUID] = each
                taken.append(item)
        found = {"00081199": taken, "00081198": failed}
        return 200 if not failed else 202, {
            tag: {"vr": "SQ", "Value": items} for tag, items in found.items() if items
        }

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A node that prefers RLE Lossless for each of its servers."""
    with Server() as taking, Server() as choosy, Server() as strict, Server() as silent:
        choosy.refuse = {RLELossless: NOT_SUPPORTED}
        strict.refuse = {RLELossless: 415}
        servers = {"taking": taking, "choosy": choosy, "strict": strict}
        silent.says_nothing = True
        servers["silent"] = silent
        tables = rules(
            {n: {"dicomweb": s.url, "preferred": ["RLELossless"]} for n, s in servers.items()},
            {"all": {"to": list(servers)}},
            refusals=2,
        )
        folder = tmp_path_factory.mktemp("forms")
        with node_thread(folder, tables, plugins=PLUGINS) as node:
            yield folder, node, servers


def image(sample):
    """Return a sample with pixels."""
    dataset = pydicom_of(sample)
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    values = np.random.default_rng(int(dataset.InstanceNumber)).integers(0, 4096, (16, 16))
    dataset.PixelData = values.astype("<u2").tobytes()
    return dataset


def test_what_a_server_prefers_it_gets_and_what_it_refuses_goes_in_another_form(site):
    """Of several in one request, too; and what was refused once is not tried again."""
    folder, node, servers = site
    study = SampleStudy()
    images = {each.SOPInstanceUID: each for each in (image(study.make("CT")) for _ in range(3))}
    with modality(node.port, "MODALITY", [CTImageStorage]) as association:
        for each in images.values():
            assert association.send_c_store(each).Status == 0x0000
    # As in dicomweb-client issue 42: 200, and nothing is there.
    silent = servers.pop("silent")
    for name, server in servers.items():
        until(lambda server=server: set(server.received) == set(images))
        for uid, original in images.items():
            found = server.received[uid]
            syntax = found.file_meta.TransferSyntaxUID
            assert syntax == RLELossless if name == "taking" else not syntax.is_compressed
            assert np.array_equal(found.pixel_array, original.pixel_array)
    until(lambda: set(silent.refused) == set(images))
    for uid in images:
        to_silent = [e for e in described(folder, "routes", "show", uid) if e["peer"] == "silent"]
        assert [each["state"] for each in to_silent] != ["sent"]
    assert not servers["taking"].refused
    for name in ("choosy", "strict"):
        assert set(servers[name].refused) <= set(images)
        assert servers[name].refused
