"""Rules of a running node: replaced, refused, explained, and overridden by an operator."""

import json
import signal
import time

import pytest
from pynetdicom import AE

from pacs_core.api.commands import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process, write_config

PATIENCE = 60.0
VERIFICATION = "1.2.840.10008.1.1"
LOCAL = '[[rule]]\nname = "the machine"\nmethod = "local"\nmay = "*"\n'
ECHO_ONE = '[[rule]]\nae_title = "ONE"\nnetwork = "127.0.0.0/8"\nmay = "echo"\n'
ECHO_TWO = ECHO_ONE.replace("ONE", "TWO")
EMERGENCY = '[[rule]]\nrole = "nurse"\nmay = "query"\nemergency = true\n'


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(LOCAL + ECHO_ONE)
    return path


@pytest.fixture
def config(tmp_path, rules):
    tables = {"plugin": {"access-rules": {"policy": str(rules)}}}
    return write_config(tmp_path / "data", tables)


def echo(node, title):
    ae = AE(title)
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS")
    assert association.is_established
    try:
        return association.send_c_echo().Status
    finally:
        association.release()


def events(folder, kind):
    files = sorted((folder / "audit").glob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [event for event in found if event["event"] == kind]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_is_replaced(tmp_path, rules, capfd, workers):
    """A valid one is taken by all processes; an invalid one is refused, and the old one stays."""
    tables = {
        "node": {"workers": workers},
        "plugin": {"access-rules": {"policy": str(rules)}},
    }
    with node_process(tmp_path / "data", tables) as node:
        config = str(node.data_directory / "pacs.toml")

        def wait_for(kind, count):
            deadline = time.monotonic() + PATIENCE
            while len(found := events(node.data_directory, kind)) < count:
                assert time.monotonic() < deadline, node.log.read_text()
                time.sleep(0.05)
            return found[-1]["details"]

        assert [echo(node, title) for title in ("ONE", "TWO")] == [0x0000, 0x0124]
        rules.write_text(LOCAL + ECHO_TWO)
        assert [echo(node, title) for title in ("ONE", "TWO")] == [0x0000, 0x0124]
        assert main(["reload", "--config", config]) == 0
        assert "plugin.access-rules.policy" in capfd.readouterr().out
        changed = wait_for("configuration-changed", 1)
        assert changed["keys"] == ["plugin.access-rules.policy"]
        for _ in range(4):  # whichever process has it
            assert [echo(node, title) for title in ("ONE", "TWO")] == [0x0124, 0x0000]
        rules.write_text(LOCAL + ECHO_ONE.replace("echo", "ecco"))
        assert main(["reload", "--config", config]) == 1
        assert "rules.toml, line 8: rule 2: unknown action 'ecco'" in capfd.readouterr().err
        node.process.send_signal(signal.SIGHUP)
        [problem] = wait_for("configuration-error", 1)["problems"]
        assert "line 8: rule 2: unknown action" in problem
        # Whether the index keeps an attribute is known to the processes of the node only.
        rules.write_text(LOCAL + '[[rule]]\nmay = "query"\nwhere = { BurnedInAnnotation = "NO" }\n')
        node.process.send_signal(signal.SIGHUP)
        [problem] = wait_for("configuration-error", 2)["problems"]
        assert "the index keeps no BurnedInAnnotation" in problem
        rules.unlink()
        node.process.send_signal(signal.SIGHUP)
        [problem] = wait_for("configuration-error", 3)["problems"]
        assert "rules.toml cannot be read" in problem
        for _ in range(4):
            assert [echo(node, title) for title in ("ONE", "TWO")] == [0x0124, 0x0000]
        assert len(events(node.data_directory, "configuration-changed")) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule]]\nmay = 'ecco'", "rules.toml, line 2: rule 1: unknown action 'ecco'"),
        ("", "has no [[rule]]"),
        (
            "[[rule]]\nmay = 'query'\nwhere.BurnedInAnnotation = 'NO'",
            "rule 1 (line 1): the index keeps no BurnedInAnnotation",
        ),
    ],
)
def test_a_node_does_not_start_with_rules_that_it_cannot_keep(tmp_path, rules, text, problem):
    rules.write_text(text)
    tables = {"plugin": {"access-rules": {"policy": str(rules)}}}
    with pytest.raises(RuntimeError) as raised, node_process(tmp_path / "data", tables):
        pass
    assert problem in str(raised.value)


def test_check(config, rules, capfd):
    assert main(["access", "check", "--config", str(config)]) == 0
    assert capfd.readouterr().out == f"{rules}: 2 rules, 2 of them allow something\n"
    rules.write_text(LOCAL + ECHO_ONE + ECHO_ONE)
    assert main(["access", "check", str(rules)]) == 0
    assert "rule 3 (line 9) never decides: rule 2 (line 5)" in capfd.readouterr().err
    rules.write_text("[[rule]]\nmay = 'ecco'\nx = 1")
    for arguments in ([str(rules)], ["--config", str(config)]):
        assert main(["access", "check", *arguments]) != 0
        error = capfd.readouterr().err
        assert "rules.toml, line 2: rule 1: unknown action" in error
        assert "rules.toml, line 3: rule 1: unknown key" in error


def test_explain(config, rules, tmp_path, capfd):
    study = SampleStudy()
    folder = tmp_path / "files"
    folder.mkdir()
    for number, modality in enumerate(("CT", "CT", "MR")):
        sample = study.make(modality)
        meta = file_meta(sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        (folder / f"{number}.dcm").write_bytes(meta + sample.encode())
    rules.write_text(
        LOCAL
        + '[[rule]]\nname = "no MR"\nmay_not = "query"\nwhere.Modality = "MR"\n'
        + '[[rule]]\nrole = "viewer"\nmay = "query"\nwhere.Modality = ["CT", "MR"]\n'
        + EMERGENCY.replace("nurse", "viewer")
    )
    assert main(["import", str(folder), "--config", str(config)]) == 0
    capfd.readouterr()

    def explain(*arguments):
        code = main(["access", "explain", *arguments, "--config", str(config)])
        return code, capfd.readouterr().out.replace(str(rules), "R").splitlines()

    assert explain("root", "delete", "--method", "local") == (
        0,
        ["allowed", "  R: rule 1 (line 1) 'the machine' allows everything"],
    )
    assert explain("anna", "query", "--role", "viewer") == (
        0,
        [
            "allowed for some instances",
            "  R: rule 2 (line 5) 'no MR' denies what meets its conditions",
            "  R: rule 3 (line 9) allows what meets its conditions",
            "  R: no further rule fits: denied",
        ],
    )
    assert explain("anna", "store", "--role", "viewer") == (
        1,
        ["denied", "  R: no rule fits: denied"],
    )
    assert explain("anna", "query")[1][-1] == (
        "  R: rule 3 (line 9) is for the role viewer: name it with --role"
    )
    uid = study.study_instance_uid
    assert explain("anna", "query", uid, "--role", "viewer") == (
        0,
        [
            "1 instance denied by rule 2 (line 5) 'no MR'",
            "2 instances allowed by rule 3 (line 9)",
        ],
    )
    assert explain("anna", "query", "1.2.3", "--role", "viewer")[0] != 0
    assert explain("anna", "qery")[0] != 0


def test_imports_are_denied_without_a_rule(config, rules, tmp_path, capfd):
    rules.write_text(ECHO_ONE)
    sample = SampleStudy().make("CT")
    meta = file_meta(sample.sop_class_uid, sample.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    (tmp_path / "ct.dcm").write_bytes(meta + sample.encode())
    assert main(["import", str(tmp_path / "ct.dcm"), "--config", str(config)]) != 0
    assert "no rule allows it" in capfd.readouterr().err


def test_an_operator_breaks_the_glass(tmp_path, rules, capfd):
    rules.write_text(LOCAL + EMERGENCY)
    tables = {"plugin": {"access-rules": {"policy": str(rules)}}}
    with node_process(tmp_path / "data", tables) as node:
        config = ["--config", str(node.data_directory / "pacs.toml")]
        command = ["access", "override", "anna", *config]
        assert main(command) != 0
        assert main([*command, "--reason", "short"]) != 0
        assert "say why, in 10 to 500" in capfd.readouterr().err
        assert main([*command, "--reason", "the patient is\tunconscious", "--minutes", "5"]) == 0
        assert "anna: override 1 holds until 20" in capfd.readouterr().out
        assert main(["access", "overrides", "--json", *config]) == 0
        [listed] = json.loads(capfd.readouterr().out)
        assert (listed["principal"], listed["reason"]) == ("anna", "the patient is unconscious")
        assert listed["given_by"] != "anna"
        assert main(["access", "overrides", "--days", "1", *config]) == 0
        assert capfd.readouterr().out.startswith("1 anna 20")
        assert main([*command, "--end"]) == 0
        assert main([*command, "--end"]) == 1
        node.stop()
    [started] = events(tmp_path / "data", "access-rules.override-started")
    assert started["details"] == {"reason": "the patient is unconscious", "minutes": 5}
    assert len(events(tmp_path / "data", "access-rules.override-stopped")) == 1
