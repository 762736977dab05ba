"""The audit trail of a node that is killed: one chain of all its processes, whole afterwards."""

import json
import os
import signal

import pytest

from pacs_core.api.commands import main
from pacs_core.testing.node import node_process

PLUGINS = ("audit-json", "sop-verification")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_chain_of_a_node_that_is_killed(tmp_path, capsys, workers):
    tables = {
        "node": {"workers": workers},
        "plugin": {"audit-json": {"required": True, "max_bytes": 4000}},
    }
    for _ in range(2):
        with node_process(tmp_path, tables, plugins=PLUGINS) as node:
            peer = f"{node.peer.ae_title}@{node.peer.host}:{node.peer.port}"
            for _ in range(8):
                assert main(["echo", peer]) == 0
            os.kill(node.process.pid, signal.SIGKILL)
            node.process.wait()
    audit = tmp_path / "audit"
    echoes = sum(path.read_text().count('"c-echo"') for path in audit.glob("audit.jsonl*"))
    assert echoes == 16, "what was acknowledged is recorded"
    assert len(list(audit.glob("audit.jsonl.[1-9]*"))) > 1
    capsys.readouterr()
    keys = (audit / "audit.key.pub").read_text().split()
    command = ["audit", "verify", str(audit / "audit.jsonl"), "--json"]
    assert main([*command, *(f"--public-key={key}" for key in keys)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["problems"], result["highest"]) == (0, result["records"])
    assert len(keys) == 1
    some = next(path for path in audit.glob("audit.jsonl*") if '"c-echo"' in path.read_text())
    some.write_text(some.read_text().replace('"c-echo"', '"c-find"', 1))
    assert main([*command, *(f"--public-key={key}" for key in keys)]) == 1
