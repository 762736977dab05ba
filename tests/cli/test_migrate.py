"""``pacs migrate --check``: what a start would do to what is there, without doing it."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pacs_core.cli.main import main
from pacs_core.testing.postgresql import postgresql_server


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """One that has been used, and its config file."""
    folder = tmp_path_factory.mktemp("archive")
    config = folder / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{folder / "data"}"\n')
    add = ["worklist", "add", "4711", "Doe^Jane", "--modality", "CT", "--config", str(config)]
    assert main(add) == 0
    return config


@pytest.fixture
def copy(archive, tmp_path):
    """The data directory of a copy that may be changed, and its config file."""
    data, config = tmp_path / "data", tmp_path / "pacs.toml"
    shutil.copytree(archive.parent / "data", data, ignore=shutil.ignore_patterns("control"))
    config.write_text(f'[node]\ndata_directory = "{data}"\n')
    return data, config


def check(capsys, config, code=0):
    capsys.readouterr()
    assert main(["migrate", "--check", "--json", "--config", str(config)]) == code
    told = capsys.readouterr()
    found = {}
    for row in json.loads(told.out):
        name = row["what"].removeprefix("tables of ").partition(" ")[0]
        found[name] = (row["a_start"], row["found"])
    return found, told.err


def change(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump(), connection.execute("PRAGMA user_version").fetchone()]


def test_nothing_is_there_and_nothing_is_made(tmp_path, capsys):
    config = tmp_path / "pacs.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    found, _ = check(capsys, config)
    assert {each for each, _ in found.values()} == {"is made"}
    assert not (tmp_path / "data").exists()


def test_what_was_used_stays_as_it_is(archive, capsys):
    found, _ = check(capsys, archive)
    assert found["worklist"][0] == "stays as it is"
    assert found["index"][0] == "stays as it is"
    assert found["hl7"] == ("is made", "")


def test_what_is_older_is_migrated_and_what_is_of_others_is_left_alone(copy, capsys):
    data, config = copy
    change(data / "database.sqlite", "UPDATE worklist_revisions SET version_num = 'worklist_1'")
    change(data / "database.sqlite", "CREATE TABLE acme_revisions (version_num TEXT)")
    change(data / "index.sqlite", "PRAGMA user_version = 1")
    found, _ = check(capsys, config)
    assert found["worklist"] == ("is migrated", "worklist_1")
    assert found["acme"][0] == "is left alone"
    assert found["index"] == ("is migrated", "1")


@pytest.mark.parametrize(
    ("file", "statement", "what", "command"),
    [
        ("index.sqlite", "PRAGMA user_version = 99", "index", ["index", "verify"]),
        (
            "database.sqlite",
            "UPDATE worklist_revisions SET version_num = 'worklist_99'",
            "tables of worklist",
            ["worklist", "list"],
        ),
    ],
)
def test_what_is_newer_than_the_program_is_refused_and_unchanged(
    copy, capsys, file, statement, what, command
):
    """A downgrade: the check says it, and so does whoever opens it."""
    data, config = copy
    change(data / file, statement)
    before = dump(data / file)
    found, told = check(capsys, config, code=1)
    assert found[what.rpartition(" ")[2]][0] == "is refused"
    assert told.startswith(f"pacs: {what} ")
    assert "install the later program again, or restore a backup" in told
    assert main([*command, "--config", str(config)]) != 0
    refused = capsys.readouterr().err
    assert "install the" in refused
    assert "internal error" not in refused
    assert dump(data / file) == before


def test_what_cannot_be_read_is_an_error(copy, capsys):
    data, config = copy
    (data / "index.sqlite").write_bytes(b"no database at all, but as long as one" * 200)
    for path in data.glob("index.sqlite-*"):
        path.unlink()
    _, told = check(capsys, config, code=1)
    assert "pacs_data_versions raised DatabaseError" in told


def test_it_changes_nothing_by_itself(archive, capsys):
    assert main(["migrate", "--config", str(archive)]) == 2
    assert "say --check" in capsys.readouterr().err


@pytest.mark.peer("postgresql")
def test_postgresql_is_asked(tmp_path, capsys):
    config = tmp_path / "pacs.toml"
    with postgresql_server() as server:
        (tmp_path / "dsn").write_text(server.url)
        config.write_text(
            f'[node]\ndata_directory = "{tmp_path / "data"}"\n[database]\nurl = "{server.url}"\n'
            f'[archive]\nindex = "postgresql"\n'
            f'[plugin.index-postgresql]\ndsn = {{ file = "{tmp_path / "dsn"}" }}\n'
        )
        add = ["worklist", "add", "4711", "Doe^Jane", "--modality", "CT", "--config", str(config)]
        assert main(add) == 0
        capsys.readouterr()
        assert main(["migrate", "--check", "--json", "--config", str(config)]) == 0
        rows = json.loads(capsys.readouterr().out)
    states = {row["what"].partition(" in ")[0]: row["a_start"] for row in rows}
    assert states["tables of worklist"] == "stays as it is"
    assert "schema pacs" in next(row["what"] for row in rows if row["found"].isdecimal())
    assert Path(tmp_path / "data").exists()
