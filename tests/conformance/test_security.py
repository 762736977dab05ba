"""The chapter on security: what is configured, and nothing that is secret (PS3.2 A.7)."""

import json
import re

import pytest

from pacs_core.app import assemble_file
from pacs_core.cli.main import main
from pacs_core.conformance import state
from pacs_core.contracts import SecurityStatement
from pacs_core.testing.node import write_config

RULES = """
[[rule]]
may = "echo"

[[rule]]
role = "research"
may = ["query", "retrieve"]
where.Modality = "CT"

[[rule]]
role = "physician"
may = "retrieve"
emergency = true
"""
QUIET = {"web": {}, "auth-local": {}, "audit-json": {}}


@pytest.fixture
def write(tmp_path):
    def run(form="md", **plugins):
        output = tmp_path / f"statement.{form}"
        tables = {"plugin": {**QUIET, **{k.replace("_", "-"): v for k, v in plugins.items()}}}
        config = write_config(tmp_path / "data", {"log": {}, **tables})
        arguments = ["--format", form, "--output", output, "--config", config]
        assert main(["conformance", *map(str, arguments)]) == 0
        text = output.read_text(encoding="utf-8")
        return text if form == "json" else text.replace("\\", "")

    return run


def chapter(text, title):
    section = re.search(rf"^### 7\.\d {title}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert section
    return section[1]


def test_users(write):
    text = write()
    assert "User Identity plus Passcode Association Profile (PS3.15 B.5)" in text
    assert "Basic User Identity" not in text
    association = chapter(text, "Association Level Security")
    assert "a username is not enough alone" in association
    assert "may associate; over HTTP as long as" in association
    bound = {"title": "CT1", "networks": ["192.0.2.0/24"]}
    changed = {"trust_usernames": True, "anonymous": "refused", "ae": [bound], "idle": 60}
    text = write(auth_local=changed)
    assert "the Basic User Identity Association Profile (PS3.15 B.4) and" in text
    association = chapter(text, "Association Level Security")
    assert "CT1 to 192.0.2.0/24. Others may associate" in association
    assert "do not say who they are are refused" in association
    application = chapter(text, "Application Level Security")
    assert "ends after 60 seconds without a request" in application


def test_rules(write, tmp_path):
    assert "ordered rules" not in write()
    (tmp_path / "rules.toml").write_text(RULES)
    text = chapter(
        write(access_rules={"policy": str(tmp_path / "rules.toml")}), "Application Level Security"
    )
    assert "3 ordered rules" in text
    assert "(Modality)" in text
    assert "for 60 minutes, with a reason" in text
    assert "research" not in text


def test_whose_word_is_taken(write, monkeypatch):
    assert "OpenID" not in write()
    monkeypatch.setenv("CLIENT_SECRET", "hushhush")
    secret = {"env": "CLIENT_SECRET"}
    oidc = {"issuer": "https://sso.example", "client_id": "archive", "client_secret": secret}
    for form in ("md", "html", "json"):
        text = write(form, auth_oidc=oidc)
        assert "JSON Web Token of https://sso.example, for the audience archive" in text
        assert "hushhush" not in text


def test_where_events_go(write):
    profiles = chapter(write(), "Security Profiles")
    assert "HTTP is not secured by TLS" in profiles
    assert "signed (Ed25519)" in profiles
    profiles = chapter(
        write(
            audit_atna={"collector": "tls://audit.example", "when_full": "drop"},
            audit_json={"chain": False, "required": True},
        ),
        "Security Profiles",
    )
    assert "(PS3.15 A.5), and the Audit Trail Message Transmission Profile - SYSLOG-TLS" in profiles
    assert "dropped, and counted" in profiles
    assert "What cannot be recorded is not acknowledged." in profiles
    assert "Ed25519" not in profiles


def test_facts(write):
    found = json.loads(write("json"))["security"]
    assert {each["section"] for each in found} == {
        "Security Profiles",
        "Association Level Security",
        "Application Level Security",
    }


WRONG = """
from pacs_core.plugins import hookimpl


@hookimpl
def pacs_conformance(setup):
    return ["safe"]
"""


def test_what_is_no_statement_is_left_out(tmp_path, caplog):
    (tmp_path / "wrong.py").write_text(WRONG)
    config = write_config(tmp_path / "data", {"log": {}})
    assembly = assemble_file(config, plugin_files=[tmp_path / "wrong.py"])
    assert all(isinstance(each, SecurityStatement) for each in state(assembly).security)
    assert "quarantined: pacs_conformance returned ['safe']" in caplog.text
