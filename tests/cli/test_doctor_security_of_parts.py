"""What ``pacs doctor security`` finds in files, the database, identities, rules and the spool."""

import json
import os
import shutil

import pytest

NODE = '[node]\nhost = "0.0.0.0"\ndata_directory = "DATA"\n'


@pytest.fixture
def found(pacs, tmp_path):
    """Return a function: configuration in, severities by what was found out."""

    def run(text):
        path = tmp_path / "pacs.toml"
        path.write_text((NODE + text).replace("DATA", str(tmp_path / "data")))
        facts = json.loads(pacs("doctor", "security", "--json", "--config", path).out)
        return {each["what"]: each["severity"] for each in facts["findings"]}

    return run


POSTGRESQL = "[database]\nurl = 'postgresql://pacs@{}'\n"
LOCAL = "[plugin.auth-local]\n"


@pytest.mark.parametrize(
    ("table", "what", "severity"),
    [
        (POSTGRESQL.format("db.example/pacs"), "database: what goes to the database on", "high"),
        (POSTGRESQL.format("db.example/a?ssl=prefer"), "database: what goes to the data", "high"),
        (POSTGRESQL.format("db.example/a?ssl=require"), "database: whoever answers in", "medium"),
        (POSTGRESQL.format("db.example/a?ssl=verify-full"), "database: ", None),
        (POSTGRESQL.format("127.0.0.1/pacs"), "database: ", None),
        ("[database]\nurl = 'postgresql:///pacs?host=/run/postgresql'\n", "database: ", None),
        (LOCAL + "anonymous = 'allowed'\n", "auth-local: whoever does not say who it", "high"),
        (LOCAL + "trust_usernames = true\n", "auth-local: a user name without", "high"),
        (LOCAL + "lockout.per_name = 1000\n", "auth-local: passwords may be guessed", "medium"),
        (
            LOCAL + "[[plugin.auth-local.ae]]\ntitle = 'CT'\nnetworks = ['10.0.0.7']\n",
            "auth-local: AE titles that are bound to no address",
            "medium",
        ),
        (
            LOCAL + "[[plugin.auth-local.ae]]\ntitle = 'CT'\nnetworks = ['0.0.0.0/0']\n",
            "auth-local: the AE title CT is bound to 0.0.0.0/0",
            "medium",
        ),
        (LOCAL, "auth-local: ", None),
        (
            "[plugin.audit-atna]\ncollector = 'tls://siem.example'\nfsync = false\n",
            "audit-atna: a power failure costs events",
            "low",
        ),
        ("[plugin.audit-atna]\ncollector = 'tls://siem.example'\n", "audit-atna: ", None),
    ],
)
def test_each_setting(found, table, what, severity):
    expected = set() if severity is None else {severity}
    assert {level for text, level in found(table).items() if text.startswith(what)} == expected


RULES = [
    ('may = "*"\n', "lets anybody do everything", "high"),
    ('may = ["delete", "query"]\n', "lets anybody delete", "high"),
    ('may = "*"\nwhere = { Modality = "CT" }\n', "lets anybody delete and update", "high"),
    ('may = ["query", "store"]\n', "lets ", None),
    ('may_not = "*"\n', "lets ", None),
    ('may = "*"\nae_title = "WS*"\n', "lets whoever calls itself so delete", "medium"),
    ('may = "*"\nrole = "admin"\n', "lets ", None),
    ('may = "*"\nae_title = "WS"\nnetwork = "10.0.0.0/8"\n', "lets ", None),
]


@pytest.mark.parametrize(("rule", "what", "severity"), RULES)
def test_each_rule(found, tmp_path, rule, what, severity):
    policy = tmp_path / "rules.toml"
    policy.write_text(f"[[rule]]\n{rule}")
    findings = found(f"[plugin.access-rules]\npolicy = '{policy}'\n")
    start = f"access-rules: line 1 of {policy} {what}"
    expected = set() if severity is None else {severity}
    assert {level for text, level in findings.items() if text.startswith(start)} == expected


def test_a_policy_and_a_configuration_that_others_may_change(found, tmp_path):
    policy = tmp_path / "rules.toml"
    policy.write_text('[[rule]]\nmay_not = "*"\n')
    table = f"[plugin.access-rules]\npolicy = '{policy}'\n"
    told = "others on this machine may change"
    assert not [what for what in found(table) if what.startswith(told)]
    policy.chmod(0o666)
    (tmp_path / "pacs.toml").chmod(0o646)
    findings = {what: level for what, level in found(table).items() if what.startswith(told)}
    assert findings == {
        f"{told} {policy}, which is plugin.access-rules.policy (mode 0666)": "high",
        f"{told} {tmp_path / 'pacs.toml'}, which is the configuration (mode 0646)": "high",
    }


def test_a_key_of_somebody_else(found, tmp_path, monkeypatch):
    key = tmp_path / "node.key"
    key.touch(mode=0o600)
    table = f"[network.tls]\ncertificate = 'c'\nkey = {{ file = '{key}' }}\npeers = 'ignored'\n"
    assert not [what for what in found(table) if "owns" in what]
    if os.geteuid() == 0:
        os.chown(key, 4711, -1)
    owner = key.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 4712)
    what = f"another user (number {owner}) owns {key}, which network.tls.key names"
    assert found(table)[what] == "high"


def test_a_database_of_ones_own_file(found, tmp_path):
    file = tmp_path / "tables.sqlite"
    file.touch()
    file.chmod(0o644)
    table = f"[database]\nurl = 'sqlite:///{file}'\n"
    what = f"database: others on this machine have access to the database {file} (mode 0644)"
    assert found(table)[what] == "high"
    file.chmod(0o600)
    assert what not in found(table)


def test_events_that_wait_for_a_collector(found, tmp_path):
    folder = tmp_path / "data" / "audit-atna"
    folder.mkdir(parents=True)
    (folder / "spool.sqlite").touch()
    (folder / "spool.sqlite").chmod(0o644)
    table = "[plugin.audit-atna]\ncollector = 'tls://siem.example'\n"
    for mode, expected in ((0o755, {"high"}), (0o700, set())):
        folder.chmod(mode)
        told = f"audit-atna: others may read or change events that wait in {folder}"
        found_now = found(table).items()
        assert {level for what, level in found_now if what.startswith(told)} == expected
    shutil.rmtree(folder)


@pytest.mark.parametrize("where", ["//pacs:open@db.example/pacs", "//db.example/a?password=open"])
def test_a_password_is_in_no_address(pacs, tmp_path, where):
    """It would be in every listing of the configuration, whoever reads that."""
    path = tmp_path / "pacs.toml"
    path.write_text(f"[database]\nurl = 'postgresql:{where}'\n")
    result = pacs("config", "check", "--config", path)
    assert result.code == 2
    assert "database.url: has a password in it: put that into the key `password`" in result.err
