"""``pacs doctor security``: what is weak, how much it matters, and what to change."""

import json
import os
from importlib.metadata import EntryPoint

import pytest

from pacs_core.app import security
from pacs_core.app.security import KNOWN_HOLES, find_weaknesses
from pacs_core.contracts import is_loopback
from pacs_core.plugins import ENTRY_POINT_GROUP


@pytest.fixture(autouse=True)
def some_user(monkeypatch):
    """Nobody's root, whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.fixture
def found(pacs, tmp_path):
    """Return a function: configuration in, exit code and findings out."""

    def run(text, *options):
        path = tmp_path / "pacs.toml"
        path.write_text(text.replace("DATA", str(tmp_path / "data")))
        result = pacs("doctor", "security", "--json", "--config", path, *options)
        facts = json.loads(result.out)
        assert facts["failed"] == bool(result.code)
        assert all(each["action"] for each in facts["findings"])
        return result.code, {each["what"]: each["severity"] for each in facts["findings"]}

    return run


STRICT = """
[node]
ae_title = "HOSPITAL"
host = "0.0.0.0"
data_directory = "DATA"

[network]
calling_ae_titles = ["CT1"]
check_called_ae_title = true

[network.tls]
certificate = "node.pem"
ca = "ca.pem"
plain = false

[plugin.audit-json]
required = true
fsync = true

[plugin.web]
host = "127.0.0.1"
"""


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_files_with_secrets(found, tmp_path, mode):
    names = ("listener.key", "peer.pem", "token", "web.key")
    for name in names:
        (tmp_path / name).touch(mode=mode)
        (tmp_path / name).chmod(mode)
    (tmp_path / "open.pem").touch(mode=0o644)  # a certificate is for everybody
    listener, peer, token, web = (str(tmp_path / name) for name in names)
    _, findings = found(f"""
[network.tls]
certificate = "{tmp_path}/open.pem"
key = {{ file = "{listener}" }}
peers = "ignored"
[peers.ward]
ae_title = "WARD"
host = "127.0.0.1"
tls = {{ certificate = "{peer}" }}
[plugin.audit-atna]
collector = "https://127.0.0.1"
token = {{ file = "{token}" }}
[plugin.web.tls]
certificate = "{tmp_path}/open.pem"
key = {{ file = "{web}" }}
peers = "ignored"
""")
    told = {what for what, severity in findings.items() if "names" in what and severity == "high"}
    keys = {
        listener: "network.tls.key",
        peer: "peers.ward.tls.certificate",
        token: "plugin.audit-atna.token",
        web: "plugin.web.tls.key",
    }
    assert told == {
        f"others on this machine have access to {path}, which {key} names (mode {mode:04o})"
        for path, key in keys.items()
        if mode == 0o644
    }


def test_on_the_network_without_anything(found):
    ignored = '[network]\nunknown_identities = "ignored"\n'
    code, findings = found(f'[node]\nhost = "0.0.0.0"\ndata_directory = "DATA"\n{ignored}')
    assert code == 1
    assert findings["user identities that nobody verifies are ignored, rather than refused"]
    assert {what for what, severity in findings.items() if severity == "high"} >= {
        "associations on 0.0.0.0 are not encrypted",
        "everybody who reaches the node may associate",
        "whoever associates may store, query and retrieve everything: there is no authorizer",
    }
    assert findings["the AE title is the default, which anybody guesses"] == "medium"
    assert "associations that call another AE title are accepted" in findings


def test_the_same_matters_little_on_this_machine_alone(found):
    code, findings = found(
        '[node]\ndata_directory = "DATA"\n[plugin.audit-json]\nrequired = true\n'
    )
    assert "high" not in findings.values()
    assert "medium" not in findings.values()
    assert code == 0
    assert found("[plugin.audit-json]\nrequired = true\n", "--fail-on", "low")[0] == 1


def test_what_is_set_is_not_found(found):
    _, findings = found(STRICT)
    weak = " ".join(findings)
    for gone in ("encrypted", "may associate", "AE title", "audit sink", "power failure"):
        assert gone not in weak


@pytest.mark.parametrize(
    ("table", "what", "severity"),
    [
        ("[network.tls]\ncertificate = 'c'\nca = 'c'\n", "associations on 0.0.0.0", "high"),
        ("[plugin.web]\nhost = '0.0.0.0'\n", "web: what goes over 0.0.0.0", "high"),
        (
            "[plugin.web]\nhost = '0.0.0.0'\ntrusted_proxies = ['10.0.0.1']\n",
            "web: what goes over 0.0.0.0",
            "medium",
        ),
        ("[plugin.web]\ntrusted_proxies = ['0.0.0.0/0']\n", "web: anybody is believed", "high"),
        ("[plugin.web]\nallowed_hosts = ['*']\n", "web: the server answers to any", "medium"),
        ("[plugin.web]\naccess_log = 'full'\n", "web: the log names patients", "low"),
        ("[plugin.audit-json]\nchain = false\n", "audit-json: records can be changed", "medium"),
        (
            "[plugin.audit-atna]\ncollector = 'udp://192.0.2.1'\n",
            "audit-atna: events, which name",
            "high",
        ),
        ("[transcoding.limits]\nconfine = false\n", "codec processes may open", "medium"),
        (
            "[peers.a]\nae_title = 'A'\nhost = '192.0.2.1'\nport = 104\n",
            "what is sent to the peer a",
            "medium",
        ),
    ],
)
def test_each_weakness(found, table, what, severity):
    _, findings = found(f'[node]\nhost = "0.0.0.0"\ndata_directory = "DATA"\n{table}')
    assert {level for text, level in findings.items() if text.startswith(what)} == {severity}


def test_files_that_others_may_read(found, tmp_path):
    (tmp_path / "data" / "index").mkdir(parents=True)
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "index").chmod(0o750)
    (tmp_path / "data" / "audit").mkdir(mode=0o700)
    key = tmp_path / "data" / "audit" / "audit.key"
    key.write_text("")
    key.chmod(0o640)
    _, findings = found('[node]\ndata_directory = "DATA"\n')
    severities = {what: level for what, level in findings.items() if "others" in what}
    assert severities == {
        f"others on this machine have access to {tmp_path / 'data'} (mode 0755)": "high",
        f"audit-json: others may read the key that signs the trail, {key}": "high",
    }


def test_a_distribution_with_a_known_hole(monkeypatch):
    monkeypatch.setattr(security, "version", lambda name: "0.0.1")
    found = [each for each in find_weaknesses() if "has a known hole" in each.what]
    assert len(found) == len(KNOWN_HOLES)
    assert found[0].action.startswith("pip install '")


PLUGIN = """
from pacs_core.contracts import SecurityFinding, Severity
from pacs_core.plugins import hookimpl

@hookimpl
def pacs_security_findings(setup, hooks):
    {result}
"""


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("return [SecurityFinding(Severity.HIGH, 'it is open', 'close it')]", ["odd: it is open"]),
        ("return ['a sentence']", []),
        ("return 7", []),
        ("raise ValueError", []),
    ],
)
def test_plugins_add_what_they_know(tmp_path, monkeypatch, result, expected):
    name = f"odd_{abs(hash(result))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN.format(result=result))
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("odd", name, ENTRY_POINT_GROUP)
    findings = find_weaknesses(found=[point])
    assert [each.what for each in findings if each.what.startswith("odd")] == expected


def test_in_words(pacs, tmp_path):
    (tmp_path / "pacs.toml").write_text('[node]\nhost = "0.0.0.0"\n')
    result = pacs("doctor", "security", "--config", tmp_path / "pacs.toml")
    lines = result.out.splitlines()
    assert lines[0].startswith("HIGH    ")
    assert lines[1].startswith("        what to do: ")
    assert lines[-1].endswith("weaknesses")
    assert result.code == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a", False)],
)
def test_loopback(host, expected):
    assert is_loopback(host) is expected
