"""The guide "Put it on the network", carried out as it is written, but for paths and addresses."""

import io
import json
import re
import shlex
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from pacs_core.api.commands import main
from pacs_core.testing.node import node_process
from pacs_core.testing.peer_programs import PeerPrograms

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "put-it-on-the-network.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PASSWORD = "a horse that is correct"


def blocks(language):
    return [text for found, text in BLOCK.findall(GUIDE) if found == language]


def other_plugins():
    """Names of the installed plugins that ``pacs-core[archive,auth]`` does not bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {*extras["archive"], *extras["auth"]}
    return sorted(
        e.name for e in entry_points(group="pacs_core.plugins") if e.dist.name not in wanted
    )


class Site:
    """The site of the guide in a folder, where all addresses are those of this machine."""

    def __init__(self, folder, authority):
        self.etc, self.data = folder / "etc", folder / "data"
        self.etc.mkdir(mode=0o700)
        self.config = self.etc / "pacs.toml"
        (self.etc / "hospital-ca.crt").write_bytes(authority.file.read_bytes())
        for name, host in (("node", "127.0.0.1"), ("ct1", "ct1.hospital.example")):
            pem = authority.issue(host, common_name=name)
            (self.etc / f"{name}.crt").write_bytes(pem.certificate.read_bytes())
            (self.etc / f"{name}.key").write_bytes(pem.key.read_bytes())
            (self.etc / f"{name}.key").chmod(0o600)
        self.port = 0

    def localize(self, text):
        """Return a text of the guide with what is otherwise here."""
        replaced = {
            "/etc/pacs": str(self.etc),
            "/var/lib/pacs": str(self.data),
            "10.0.1.0/24": "127.0.0.0/8",
            "10.0.1.5": "127.0.0.1",
            "10.0.1.17": "127.0.0.1",
            " 2762": f" {self.port}",
        }
        for theirs, ours in replaced.items():
            text = text.replace(theirs, ours)
        return text

    def configure(self):
        """Write the files that the guide writes."""
        tables = []
        for text in map(self.localize, blocks("toml")):
            if text.startswith("# "):
                Path(text.partition("\n")[0][2:]).write_text(text)
            else:
                tables.append(text)
        disabled = f"[plugins]\ndisabled = {json.dumps(other_plugins())}\n"
        text = "".join(tables).replace("[plugins]\n", disabled)
        self.config.write_text(text)
        return tomllib.loads(text)


@pytest.fixture
def site(tmp_path, authority, monkeypatch):
    site = Site(tmp_path, authority)
    monkeypatch.setenv("PACS_CONFIG", str(site.config))
    return site


def run(capfd, *arguments):
    capfd.readouterr()
    code = main(list(arguments))
    return code, capfd.readouterr()


@pytest.mark.peer("dcmtk")
def test_put_it_on_the_network(site, capfd, monkeypatch):
    tables = site.configure()
    tables["network"]["tls"]["port"] = 0
    tables["plugin"]["web"] = {"port": 0}
    assert run(capfd, "config", "check")[0] == 0
    commands = [line for text in blocks("sh") for line in text.splitlines()]
    people = [shlex.split(line)[1:] for line in commands if line.startswith("pacs ")]
    assert len(people) == 2
    for arguments in people:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
        assert run(capfd, *arguments)[0] == 0
    for text in map(site.localize, blocks("console")):
        for shown in text.removeprefix("$ pacs ").split("$ pacs "):
            command, _, answer = shown.partition("\n")
            assert run(capfd, *shlex.split(command))[1].out == answer
    with node_process(site.data, tables) as node:
        site.port = node.tls_port
        look_at_it_from_outside(site)
        code, said = run(capfd, "audit", "verify")
        assert (code, "the trail is as it was written" in said.out) == (0, True)
    trail = (site.data / "audit" / "audit.jsonl").read_text(encoding="utf-8")
    kinds = {json.loads(line)["event"] for line in trail.splitlines()}
    assert {"auth-local.changed", "association-accepted", "access-denied"} <= kinds
    weak = re.findall(r"^[A-Z]+ .*", run(capfd, "doctor", "security")[1].out, re.MULTILINE)
    assert [each for each in weak if "this is root" not in each] == []


def look_at_it_from_outside(site):
    (text,) = [text for text in blocks("sh") if "echoscu" in text]
    text = site.localize(text.replace("\\\n", " "))
    expected = {
        "answered": ("", 0),
        "refused": ("Failed", 1),
        "0x124: not authorized": ("0x124", 0),
    }
    said = []
    for line in text.splitlines():
        command, _, comment = line.partition("#")
        output, code = expected[comment.strip()]
        assert output in PeerPrograms(site.etc).run(*shlex.split(command), code=code)
        said.append(comment)
    assert len(said) == len(expected)
