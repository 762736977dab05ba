"""The compose example, with each service as a process: what the file names is what they get."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import pydicom
import pytest
import yaml
from attrs import frozen
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.postgresql import PostgresqlServer

CONTAINER = Path(__file__).parents[2] / "packaging" / "container"
PROGRAMS = ("unshare", "nsenter", "setpriv", "ip", "storescu", "findscu", "getscu")
SECRETS = {"DATABASE_PASSWORD": "of-the-database", "S3_KEY": "pacs", "S3_SECRET": "of-the-bucket"}
PATIENCE = 120.0
PROGRAMS_OF_PYTHON = Path(sys.executable).parent

pytestmark = [
    pytest.mark.peer("dcmtk"),
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)),
        reason=f"{', '.join(PROGRAMS)}, as root, make a network and a root of its own",
    ),
]


@frozen
class Host:
    """A network and file systems of their own, in which every service has the name it has there."""

    pid: int
    services: dict

    def enter(self, *command):
        return ("nsenter", f"--target={self.pid}", "--net", "--mount", *map(str, command))

    def run(self, *command, code=0):
        done = subprocess.run(
            self.enter(*command), capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def until(self, process, *command):
        """Wait until a command says that a service is there."""
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(self.enter(*command), capture_output=True).returncode:
            assert process.poll() is None
            assert time.monotonic() < deadline, command
            time.sleep(0.2)

    @contextmanager
    def serve(self, name, *command, folder):
        """Run a service with exactly the environment that the example gives it."""
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        given = self.services[name].get("environment", {})
        environment |= {key: Template(value).substitute(SECRETS) for key, value in given.items()}
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                self.enter(*command), env=environment, stdout=log, stderr=log, cwd="/"
            )
        try:
            yield process
            process.terminate()
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def host(tmp_path):
    services = yaml.safe_load((CONTAINER / "compose.yaml").read_text("utf-8"))["services"]
    script = ["ip link set lo up"]
    for place in ("/etc", "/var/lib", "/var/run"):
        upper, work = tmp_path / "own" / place[1:], tmp_path / "work" / place[1:]
        upper.mkdir(parents=True)
        work.mkdir(parents=True)
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        script.append(f"mount -t overlay overlay -o {options} {place}")
    names = "".join(f"127.0.0.1 {name}\n" for name in ("localhost", *services))
    (tmp_path / "own/etc/hosts").write_text(names, "utf-8")
    (tmp_path / "own/etc/pacs").mkdir()
    (tmp_path / "own/etc/pacs/pacs.toml").touch()
    (tmp_path / "own/var/lib/pacs").mkdir()
    script.append("mkdir -p -m 1777 /var/run/postgresql && echo whole; exec cat")
    with subprocess.Popen(
        ("unshare", "--net", "--mount", "sh", "-c", " && ".join(script)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "whole\n"
        yield Host(process.pid, services)
        process.stdin.close()


@contextmanager
def run_database(host, folder):
    """Run PostgreSQL as its image does with the variables of the example; give a way to ask it."""
    given = host.services["database"]["environment"]
    password = Template(given["POSTGRES_PASSWORD"]).substitute(SECRETS)
    assert given["POSTGRES_USER"] == "pacs"  # that of every server of the tests
    with TemporaryDirectory(prefix="pg-", dir="/tmp") as directory:
        server = PostgresqlServer.make(Path(directory), password=password)
        data = server.directory / "data"
        with (data / "pg_hba.conf").open("a") as access:
            access.write("host all all 0.0.0.0/0 scram-sha-256\n")
        user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
        options = ("-c", "listen_addresses=*", "-c", "unix_socket_directories=/var/run/postgresql")
        command = (*user, server.programs / "postgres", "-D", data, *options)
        with host.serve("database", *command, folder=folder) as process:
            kind, *check = host.services["database"]["healthcheck"]["test"]
            assert kind == "CMD"
            host.until(process, *check)
            client = ("env", f"PGPASSWORD={password}", "psql", "-qAt", "-h", "database", "-Upacs")
            name = given["POSTGRES_DB"]
            host.run(*client, "-d", "postgres", "-c", f"create database {name}")
            yield lambda query: host.run(*client, "-d", name, "-c", query).split()


@contextmanager
def run_objects(host, folder):
    """Run the S3 server of the tests in the place of the other; give a way to list its bucket."""
    service = host.services["objects"]
    (bucket,) = [each[8:] for each in service["command"] if each.startswith("-bucket=")]
    port = re.search(r":(\d+)/", service["healthcheck"]["test"][-1])[1]
    server = (sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", port)
    with host.serve("objects", *server, folder=folder) as process:
        url = f"http://objects:{port}/{bucket}"
        host.until(process, "curl", "--fail", "--silent", "--request", "PUT", url)
        yield lambda: re.findall(r"<Key>([^<]+)", host.run("curl", "-fsS", f"{url}?list-type=2"))


def command_of_archive(host, volumes):
    """Return how it runs: nothing to write but its volumes, and no capability."""
    service = host.services["archive"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    image = (CONTAINER / "Containerfile").read_text("utf-8")
    program, *arguments = [
        word
        for kind in ("ENTRYPOINT", "CMD")
        for word in json.loads(re.search(rf"^{kind} (.+)$", image, re.MULTILINE)[1])
    ]
    mounts = []
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        mounts.append(f"mount --bind {volumes[source]} {target}")
    mounts += [f"mount -t tmpfs none {place}" for place in service["tmpfs"]]
    mounts.append("mount -o bind,remount,ro /")
    config = re.search(r"PACS_CONFIG=\S+", image)[0]
    drop = "setpriv --no-new-privs --bounding-set=-all --inh-caps=-all"
    run = f"exec {drop} env {config} {PROGRAMS_OF_PYTHON / program} {' '.join(arguments)}"
    return ("unshare", "--mount", "sh", "-c", " && ".join([*mounts, run]))


def check_of_archive(process):
    """Return the health check of the image, in the file systems of the archive."""
    image = (CONTAINER / "Containerfile").read_text("utf-8")
    inside = ("nsenter", f"--target={process.pid}", "--mount")
    config = re.search(r"PACS_CONFIG=\S+", image)[0]
    program, *arguments = json.loads(re.search(r"^HEALTHCHECK .*CMD (.+)$", image, re.MULTILINE)[1])
    return (*inside, "env", config, PROGRAMS_OF_PYTHON / program, *arguments)


def write_file(path, content):
    dataset = pydicom.dcmread(BytesIO(content), force=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def test_its_services_keep_and_give_back_what_is_sent_to_them(host, tmp_path):
    (tmp_path / "data").mkdir(0o700)
    volumes = {"data": tmp_path / "data", "./site.toml": CONTAINER / "site.toml"}
    ports = [each.split(":")[-1] for each in host.services["archive"]["ports"]]
    dicom, web = ports
    study = SampleStudy()
    sent = [study.make("CT") for _ in range(3)]
    files = [tmp_path / f"{number}.dcm" for number, _ in enumerate(sent)]
    for path, each in zip(files, sent, strict=True):
        write_file(path, each.encode())
    unique = ("-S", "-k", f"StudyInstanceUID={study.study_instance_uid}")
    images = ("-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID")
    peer = ("-aec", "PACS", "127.0.0.1", dicom)

    with run_database(host, tmp_path) as ask, run_objects(host, tmp_path) as keys:
        assert set(host.services["archive"]["depends_on"]) == {"database", "objects"}
        command = command_of_archive(host, volumes)
        with host.serve("archive", *command, folder=tmp_path) as process:
            host.until(process, *check_of_archive(process))
            host.run("storescu", *peer, *files)
            process.kill()
            process.wait()
        assert len([each for each in keys() if "dcm" in each]) == len(sent), keys()
        assert ask("select count(*) from instance") == ["3"]
        with host.serve("archive", *command, folder=tmp_path) as process:
            host.until(process, *check_of_archive(process))
            found = host.run("findscu", *unique, *images, *peer)
            assert all(each.sop_instance_uid in found for each in sent)
            (tmp_path / "got").mkdir()
            got = ("-k", "QueryRetrieveLevel=STUDY", "-od", tmp_path / "got")
            host.run("getscu", *unique, *got, *peer)
            host.run("curl", "--fail", "--silent", f"http://127.0.0.1:{web}/health/ready")
        assert process.returncode == 0
    assert len([*(tmp_path / "got").iterdir()]) == len(sent)
