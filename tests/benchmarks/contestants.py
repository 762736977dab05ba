"""Who is measured, and with which settings each does best."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trustme

from .client import PeerError
from .contestant import Command, Contestant
from .with_postgresql import with_postgresql
from .with_servers import haproxy, with_nodes, with_s3

_SYSTEM_PATH = "/usr/bin:/usr/sbin:/usr/local/bin"
MOVE_AE = "SINK"

# --- this project


def _ours(durability: str, extra: Sequence[str] = (), *, journal: bool = True) -> Command:
    """Return what starts a node; `journal` leaves it to the node whether it makes one."""

    def command(directory: Path, port: int, move_port: int) -> Sequence[str]:
        config = directory / "pacs.toml"
        without = "" if journal else "journal = false\n"
        config.write_text(
            f'[node]\nport = {port}\ndata_directory = "{directory}"\n'
            "[network]\nmax_associations = 1000\n"
            f'[archive]\ndurability = "{durability}"\n{without}'
            '[log]\nlevel = "warning"\n'
            f'[peers.sink]\nae_title = "{MOVE_AE}"\nhost = "127.0.0.1"\n'
            f"port = {move_port or 104}\n"
        )
        program = [sys.executable, "-m", "pacs_core.cli.main"]
        return [*program, "serve", "--config", str(config), *extra]

    return command


def _certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate with an RSA key, which all profiles of DCMTK take; return its files."""
    issued = trustme.CA().issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    certificate, key = directory / "node.crt", directory / "node.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def _ours_secured(durability: str) -> Command:
    def command(directory: Path, port: int, move_port: int) -> Sequence[str]:
        certificate, key = _certificate(directory)
        program = _ours(durability)(directory, 0, 0)
        with (directory / "pacs.toml").open("a") as config:
            config.write(
                f'[network.tls]\nport = {port}\nplain = false\npeers = "ignored"\n'
                f'certificate = "{certificate}"\nkey = {{ file = "{key}" }}\n'
            )
        return program

    return command


def _ours_on_the_web(durability: str) -> Command:
    def command(directory: Path, port: int, web_port: int) -> Sequence[str]:
        program = _ours(durability)(directory, port, 0)
        with (directory / "pacs.toml").open("a") as config:
            config.write(f"[plugin.web]\nport = {web_port}\n")
        return program

    return command


def _index_in_postgresql(directory: Path, server: Path) -> None:
    (directory / "dsn").write_text(f"postgresql://pacs@/postgres?host={server}")
    config = directory / "pacs.toml"
    text = config.read_text().replace("[archive]", '[archive]\nindex = "postgresql"')
    dsn = f'{{ file = "{directory / "dsn"}" }}'
    config.write_text(f"{text}[plugin.index-postgresql]\ndsn = {dsn}\n")


# --- DCMTK


def _system(name: str) -> str | None:
    return shutil.which(name, path=_SYSTEM_PATH)


def needs(name: str) -> Callable[[], str]:
    """Return a function that says whether a program is absent."""
    return lambda: "" if _system(name) else f"{name} is not in {_SYSTEM_PATH}"


def dcmtk(name: str) -> str:
    """Return the path of one of DCMTK's programs, never of pynetdicom's of the same name."""
    path = _system(name)
    if path is None:
        raise PeerError(f"DCMTK's {name} is not installed")
    return path


def _dcmtk_storescp(directory: Path, port: int, move_port: int) -> Sequence[str]:
    objects = directory / "objects"
    objects.mkdir(exist_ok=True)
    options = ["--quiet", "+B", "-pdu", "131072", "--fork", "-dhl", "-od", str(objects)]
    return [dcmtk("storescp"), *options, str(port)]


def _dcmtk_storescp_secured(directory: Path, port: int, move_port: int) -> Sequence[str]:
    certificate, key = _certificate(directory)
    program, *options = _dcmtk_storescp(directory, port, move_port)
    return [program, "+tls", str(key), str(certificate), "-ic", *options]


def _dcmqrscp(directory: Path, port: int, move_port: int) -> Sequence[str]:
    objects = directory / "objects"
    objects.mkdir(exist_ok=True)
    config = directory / "dcmqrscp.cfg"
    config.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 256\n"
        f"HostTable BEGIN\nsink = ({MOVE_AE}, localhost, {move_port or 104})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nANY-SCP {objects} RW (500, 1024mb) ANY\nAETable END\n"
    )
    options = ["--quiet", "-c", str(config), "+B", "-dhl"]
    return [dcmtk("dcmqrscp"), *options, str(port)]


# --- pynetdicom

_UNLIMITED = (
    "from pynetdicom import AE\n"
    "start = AE.start_server\n"
    "def unlimited(ae, *args, **kwargs):\n"
    "    ae.maximum_associations = 256\n"
    "    return start(ae, *args, **kwargs)\n"
    "AE.start_server = unlimited\n"
    "from pynetdicom.apps.{app}.{app} import main\n"
    "main()"
)


def _pynetdicom_storescp(directory: Path, port: int, move_port: int) -> Sequence[str]:
    objects = directory / "objects"
    objects.mkdir(exist_ok=True)
    program = [sys.executable, "-W", "ignore", "-c", _UNLIMITED.format(app="storescp")]
    return [*program, "-q", "-pdu", "131072", "-od", str(objects), str(port)]


def _pynetdicom_qrscp(directory: Path, port: int, move_port: int) -> Sequence[str]:
    config = directory / "qrscp.ini"
    config.write_text(
        f"[DEFAULT]\nae_title: ANY-SCP\nport: {port}\nmax_pdu: 131072\nacse_timeout: 30\n"
        "dimse_timeout: 30\nnetwork_timeout: 30\nbind_address: 127.0.0.1\n"
        f"instance_location: {directory}/instances\n"
        f"database_location: {directory}/instances.sqlite\nlog_identifier: False\n"
        f"[{MOVE_AE}]\naddress: 127.0.0.1\nport: {move_port or 104}\n"
    )
    program = [sys.executable, "-W", "ignore", "-c", _UNLIMITED.format(app="qrscp")]
    return [*program, "-q", "-c", str(config)]


def needs_module(*names: str) -> Callable[[], str]:
    """Return a function that says which Python packages are absent."""

    def missing() -> str:
        absent = [name for name in names if importlib.util.find_spec(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else ""

    return missing


# --- Orthanc


def _orthanc(*, sync: bool) -> Command:
    def command(directory: Path, port: int, move_port: int) -> Sequence[str]:
        config = directory / "orthanc.json"
        config.write_text(
            json.dumps(
                {
                    "StorageDirectory": str(directory / "storage"),
                    "IndexDirectory": str(directory / "storage"),
                    "SyncStorageArea": sync,
                    "HttpServerEnabled": False,
                    "DicomAet": "ANY-SCP",
                    "DicomPort": port,
                    "DicomThreadsCount": 32,
                    "DicomAlwaysAllowEcho": True,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowFind": True,
                    "DicomAlwaysAllowGet": True,
                    "DicomAlwaysAllowMove": True,
                    "DicomModalities": {"sink": [MOVE_AE, "127.0.0.1", move_port or 104]},
                    "MaximumPduLength": 131072,
                    "StableAge": 86400,
                    "OverwriteInstances": False,
                    "StoreMD5ForAttachments": False,
                    "StorageCompression": False,
                    "StorageAccessOnFind": "Never",
                    "TranscodeDicomProtocol": False,
                    "MetricsEnabled": False,
                    "SaveJobs": False,
                    "LoadPrivateDictionary": False,
                    "DicomAssociationCloseDelay": 0,
                    "Plugins": [],
                }
            )
        )
        return [_system("Orthanc") or "Orthanc", str(config)]

    return command


def _orthanc_in_postgresql(directory: Path, server: Path) -> None:
    config = directory / "orthanc.json"
    settings = json.loads(config.read_text()) | {
        "Plugins": [str(_ORTHANC_POSTGRESQL)],
        "PostgreSQL": {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": str(server),
            "Port": 5432,
            "Database": "postgres",
            "Username": "pacs",
            "Password": "",
            "EnableSsl": False,
        },
    }
    config.write_text(json.dumps(settings))


def _orthanc_on_the_web(*, sync: bool) -> Command:
    def command(directory: Path, port: int, web_port: int) -> Sequence[str]:
        program = _orthanc(sync=sync)(directory, port, 0)
        config = directory / "orthanc.json"
        settings = json.loads(config.read_text()) | {
            "HttpServerEnabled": True,
            "HttpPort": web_port,
            "HttpThreadsCount": 32,
            "KeepAlive": True,
            "TcpNoDelay": True,
            "HttpCompressionEnabled": False,
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "Plugins": [str(_ORTHANC_DICOMWEB)],
            "DicomWeb": {"Enable": True, "EnableMetadataCache": True},
        }
        config.write_text(json.dumps(settings))
        return program

    return command


_ORTHANC_POSTGRESQL = Path("/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so")
_ORTHANC_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

_SERVER = frozenset({"echo", "store", "find", "get", "move"})
_RECEIVER = frozenset({"echo", "store"})

_ORTHANC_SETTINGS = (
    "HttpServerEnabled false, MaximumPduLength 131072, DicomThreadsCount 32 (an association holds "
    "a thread), OverwriteInstances false, StoreMD5ForAttachments false, StorageCompression false, "
    "StorageAccessOnFind Never, TranscodeDicomProtocol false, StableAge 86400, MetricsEnabled "
    "false, SaveJobs false, no plugins, SyncStorageArea "
)


def _this_project(
    name: str, durability: str, settings: str, *extra: str, journal: bool = True
) -> Contestant:
    return Contestant(
        name,
        durable=durability == "commit",
        does=_SERVER | {"given", "ours"},
        command=_ours(durability, extra, journal=journal),
        settings=f'durability "{durability}"{settings}; max_associations 1000; log level warning; '
        "uvloop",
        called="PACS",
    )


_JOURNAL = " (with its journal, once it has stored 64 small objects)"
_SPOOL = 'spool = "spool"\nspool_grace = 0.0\n[stores.spool]\ntype = "filesystem"\n'


def _needs_postgresql() -> str:
    return "" if any(Path("/usr/lib/postgresql").glob("*/bin/postgres")) else "PostgreSQL is absent"


CONTESTANTS = (
    _this_project("ours-commit", "commit", _JOURNAL),
    _this_project("ours-none", "none", ""),
    _this_project("ours-behind", "write-behind", ""),
    _this_project("ours-2-workers", "none", ", --workers 2", "--workers", "2"),
    _this_project("ours-commit-2-workers", "commit", f"{_JOURNAL}, --workers 2", "--workers", "2"),
    _this_project("ours-no-journal", "commit", ", journal false", journal=False),
    _this_project(
        "ours-no-journal-2-workers",
        "commit",
        ", journal false, --workers 2",
        "--workers",
        "2",
        journal=False,
    ),
    Contestant(
        "ours-postgresql",
        durable=True,
        does=_SERVER | {"ours"},
        command=with_postgresql(_ours("commit"), _index_in_postgresql),
        settings="as ours-commit, the index in PostgreSQL with its defaults (fsync on), so that "
        "there is no journal",
        missing=_needs_postgresql,
        called="PACS",
    ),
    *(
        Contestant(
            f"ours-{name}",
            durable=True,
            does=frozenset({"store", "get", "ours"}),
            command=with_s3(_ours("commit"), more),
            settings="as ours-commit, objects in S3 (moto, beside it, in memory), so that there is "
            f"no journal{how}",
            missing=needs_module("moto", "flask"),
            called="PACS",
        )
        for name, how, more in (
            ("s3", "", ""),
            ("s3-spool", "; spool on disk", _SPOOL),
        )
    ),
    *(
        Contestant(
            f"ours-{count}-node{'s' * (count > 1)}",
            durable=True,
            does=frozenset({"store", "find", "ours"}),
            command=with_nodes(_ours("commit"), _index_in_postgresql, count),
            settings=f"{count} as ours-postgresql, one folder of objects, behind HAProxy; nodes on "
            "one processor, all else of theirs on the other",
            missing=lambda: _needs_postgresql() or ("" if haproxy() else "HAProxy is absent"),
            called="PACS",
        )
        for count in (1, 3)
    ),
    Contestant(
        "dcmtk-storescp",
        durable=False,
        does=_RECEIVER,
        command=_dcmtk_storescp,
        settings="+B -pdu 131072 --fork -dhl --quiet, TCP_NODELAY=1; keeps no index",
        missing=needs("storescp"),
    ),
    *(
        Contestant(
            f"ours-{durability}-tls",
            durable=durability == "commit",
            does=frozenset({"store"}),
            command=_ours_secured(durability),
            settings=f"as ours-{durability}, secured by TLS; peers ignored, plain false",
            called="PACS",
            tls=True,
        )
        for durability in ("commit", "none")
    ),
    Contestant(
        "dcmtk-storescp-tls",
        durable=False,
        does=frozenset({"store"}),
        command=_dcmtk_storescp_secured,
        settings="as dcmtk-storescp, secured by TLS; +tls, -ic",
        missing=needs("storescp"),
        tls=True,
    ),
    Contestant(
        "dcmtk-dcmqrscp",
        durable=False,
        does=_SERVER,
        command=_dcmqrscp,
        settings="+B -dhl --quiet, MaxPDUSize 131072, MaxAssociations 256, a process for each "
        "association (its default), TCP_NODELAY=1; one association stores at a time, because its "
        "processes answered others with A900H and C000H here",
        missing=needs("dcmqrscp"),
        max_associations=256,
        max_storing=1,
    ),
    Contestant(
        "pynetdicom-storescp",
        durable=False,
        does=_RECEIVER,
        command=_pynetdicom_storescp,
        settings="-pdu 131072 -q, maximum_associations 256 (10 could not be exceeded otherwise); "
        "keeps no index",
        missing=needs_module("pynetdicom"),
        max_associations=256,
    ),
    Contestant(
        "pynetdicom-qrscp",
        durable=False,
        does=_SERVER,
        command=_pynetdicom_qrscp,
        settings="max_pdu 131072, log_identifier False, -q, maximum_associations 256",
        missing=needs_module("pynetdicom", "sqlalchemy"),
        max_associations=256,
    ),
    Contestant(
        "orthanc-sync",
        durable=True,
        does=_SERVER | {"given"},
        command=_orthanc(sync=True),
        settings=_ORTHANC_SETTINGS + "true (its SQLite stays at synchronous NORMAL)",
        missing=needs("Orthanc"),
        max_associations=32,
    ),
    Contestant(
        "orthanc-postgresql",
        durable=True,
        does=_SERVER,
        command=with_postgresql(_orthanc(sync=True), _orthanc_in_postgresql),
        settings="as orthanc-sync, the index in PostgreSQL with its defaults (fsync on)",
        missing=lambda: (
            _needs_postgresql()
            or ("" if _ORTHANC_POSTGRESQL.exists() else "orthanc-postgresql is not installed")
        ),
        max_associations=32,
    ),
    Contestant(
        "orthanc-nosync",
        durable=False,
        does=_SERVER | {"given"},
        command=_orthanc(sync=False),
        settings=_ORTHANC_SETTINGS + "false",
        missing=needs("Orthanc"),
        max_associations=32,
    ),
    *(
        Contestant(
            name,
            durable=durability == "commit",
            does=frozenset({"web", "ours"}),
            command=_ours_on_the_web(durability),
            settings=f'as ours-commit, with the web server; durability "{durability}"',
            called="PACS",
        )
        for name, durability in (("ours-web", "commit"), ("ours-web-behind", "write-behind"))
    ),
    *(
        Contestant(
            name,
            durable=sync,
            does=frozenset({"web"}),
            command=_orthanc_on_the_web(sync=sync),
            settings=f"as {name.replace('-web', '')}, with HTTP (KeepAlive, TcpNoDelay, no "
            "compression, 32 threads) and the DICOMweb plugin with its cache of metadata",
            missing=lambda: (
                "" if _ORTHANC_DICOMWEB.exists() else "orthanc-dicomweb is not installed"
            ),
            max_associations=32,
        )
        for name, sync in (("orthanc-web-sync", True), ("orthanc-web-nosync", False))
    ),
)
