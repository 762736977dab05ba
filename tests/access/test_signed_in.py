"""Rules about users of pacs-auth-local: by their roles, at both doors, in an emergency as well."""

import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.node import node_thread

from .conftest import PLUGINS, instances, part10
from .test_dimse_doors import identifier

FIND = StudyRootQueryRetrieveInformationModelFind
PASSWORD = "correct horse battery staple"
RULES = """
[[rule]]
role = "keeper"
may = "*"

[[rule]]
role = "nurse"
may = ["query", "retrieve"]
where.Modality = "CT"

[[rule]]
role = "nurse"
may = ["query", "retrieve"]
emergency = true
"""


@contextmanager
def associate(node, name):
    ae = AE("ANYONE")
    ae.add_requested_context(FIND, EXPLICIT_VR_LITTLE_ENDIAN)
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = name.encode(), PASSWORD.encode()
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[identity])
    assert association.is_established
    yield association
    association.release()


@pytest.fixture
def node(tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    tables = {"plugin": {"access-rules": {"policy": str(tmp_path / "rules.toml")}}}
    with node_thread(tmp_path / "data", tables, plugins=(*PLUGINS, "auth-local")) as node:
        for name, role in (("kim", "keeper"), ("anna", "nurse"), ("bob", "porter")):
            command = [sys.executable, "-m", "pacs_core.cli.main", "users", "add", name]
            command += ["--role", role, "--config", str(tmp_path / "data" / "pacs.toml")]
            subprocess.run(command, input=PASSWORD + "\n", text=True, check=True)
        yield node


def test_a_user_at_both_doors(node):
    port = node.node.service_sockets["web"][0].getsockname()[1]

    def client(name):
        return httpx.Client(
            base_url=f"http://127.0.0.1:{port}", auth=(name, PASSWORD), timeout=60, trust_env=False
        )

    with client("kim") as keeper:
        for sample in instances():
            headers = {"content-type": "application/dicom"}
            answer = keeper.post("/dicom-web/studies", content=part10(sample), headers=headers)
            assert answer.status_code == 200, answer.text

    def counts():
        with client("anna") as web:
            total = int(web.get("/dicom-web/instances?limit=0").headers["x-total-count"])
        with associate(node, "anna") as association:
            keys = identifier("IMAGE", {"SOPInstanceUID": ""})
            found = [s.Status for s, _ in association.send_c_find(keys, FIND)]
        return total, len(found) - 1

    assert counts() == (4, 4)
    with client("bob") as porter:
        assert porter.get("/dicom-web/studies").status_code == 403
        assert porter.post("/access/override", json={"reason": "I am curious"}).status_code == 403
    with client("anna") as nurse:
        reason = {"reason": "the patient is unconscious"}
        assert nurse.post("/access/override", json=reason).json()["active"] is True
        assert counts() == (7, 7)
        nurse.delete("/access/override")
    assert counts() == (4, 4)
    trail = (node.data_directory / "audit" / "audit.jsonl").read_text()
    assert trail.count('"access-rules.emergency-access"') >= 2
    assert PASSWORD not in trail
