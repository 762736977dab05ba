"""Imaging Document Consumer, over the wire: ITI-18, ITI-43 and RAD-69 into another archive."""

import json

import httpx
import pytest
from pacs_core.testing.waiting import until


@pytest.fixture(scope="module")
def consumer(tmp_path_factory, registry, site, tools):
    sources = {"here": {"url": f"http://127.0.0.1:{site.web}/xds", "unique_id": tools.LOCATION}}
    directory = tmp_path_factory.mktemp("consumer")
    with tools.open_site(directory, registry, sources=sources, location_uid="1.2.3.4") as opened:
        yield opened


def found(site, study):
    answer = httpx.get(
        f"http://127.0.0.1:{site.web}/dicom-web/instances", params={"StudyInstanceUID": study}
    )
    return {each["00080018"]["Value"][0] for each in answer.json()} if answer.content else set()


def publish(site, study, patient, *modalities):
    images = [study.make(each, PatientID=patient) for each in modalities]
    uid = site.store(*images)
    document = site.wait(uid, "registered")[0].document_uid
    return uid, document, {each.sop_instance_uid for each in images}


def test_what_one_publishes_another_finds_and_retrieves(site, consumer, study, tools, capsys):
    uid, document, images = publish(site, study, "O'Neil", "CT", "MR", "SR")
    assert consumer.run("xds", "find", "O'Neil", "--json") == 0
    (entry,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (entry["document"], entry["repository"]) == (document, tools.REPOSITORY)
    assert entry["patient"] == f"O'Neil^^^&{tools.DOMAIN}&ISO"
    assert entry["events"] == "CT\\MR\\SR"
    assert consumer.run("xds", "find", "nobody", "--json") == 0
    assert capsys.readouterr().out.strip() == ""
    assert consumer.run("xds", "retrieve", document) == 0
    assert "3 instances: 3 stored" in capsys.readouterr().out
    assert found(consumer, uid) == images
    for each in images:  # byte for byte as they are stored there
        url = f"/dicom-web/studies/{uid}"
        one, two = (httpx.get(f"http://127.0.0.1:{at.web}{url}").content for at in (site, consumer))
        assert each.encode() in one
        assert each.encode() in two
    assert consumer.run("xds", "retrieve", document) == 0
    assert "0 stored, 3 were there" in capsys.readouterr().out
    for kind in ("xds.queried", "xds.retrieved", "xds.images-retrieved"):
        until(lambda kind=kind: consumer.audited(kind), 30)


def test_what_is_gone_at_the_source_is_said(site, consumer, study, capsys):
    uid, document, images = publish(site, study, "P2", "CT", "MR")
    gone = sorted(images)[0]

    async def remove():
        from pacs_core.contracts import InstancePath, Origin

        archive = site.node.node.opened.node.archive
        await archive.delete(InstancePath(uid, gone), Origin("test"))

    site.node.call(remove)
    assert consumer.run("xds", "retrieve", document) == 1
    out = capsys.readouterr().out
    assert "2 instances: 1 stored" in out
    assert f"{gone}: XDSDocumentUniqueIdError" in out
    assert found(consumer, uid) == images - {gone}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("bomb", "is not taken"),
        ("entity", "declaration"),
        ("html", "text/html"),
        ("fault", "go away"),
        ("oversize", "more than 2000000 bytes"),
        ("cut", "ends before"),
        ("absent", "not there"),
        ("other", "the source answers with"),
    ],
)
def test_hostile_sources_store_nothing(
    site, consumer, study, tmp_path, registry, tools, capsys, kind, reason
):
    uid, document, _ = publish(site, study, "P3", "CT")
    text = (consumer.node.data_directory / "pacs.toml").read_text()
    text = text.replace(f"http://127.0.0.1:{site.web}/xds", f"{registry.url}/hostile/{kind}")
    text = text.replace("[plugin.xds]", "[plugin.xds]\nmax_document = 2000000", 1)
    config = tmp_path / "pacs.toml"
    config.write_text(text)
    from pacs_core.api.commands import main

    assert main(["xds", "retrieve", document, "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert "0 stored" in out
    assert reason in out
    assert "root:" not in out
    assert found(consumer, uid) == set()


@pytest.mark.parametrize("kind", ["bomb", "html", "cut", "absent", "oversize", "other"])
def test_hostile_repositories_are_refused(consumer, registry, tmp_path, capsys, kind):
    text = (consumer.node.data_directory / "pacs.toml").read_text()
    text = text.replace(f"{registry.url}/repository", f"{registry.url}/hostile/{kind}")
    config = tmp_path / "pacs.toml"
    config.write_text(text.replace("[plugin.xds]", "[plugin.xds]\nmax_document = 2000000", 1))
    from pacs_core.api.commands import main

    assert main(["xds", "retrieve", "1.2.3.4.5", "--config", str(config)]) == 1
    assert "1.2.3.4.5" in capsys.readouterr().err


def test_what_is_not_configured_is_said(consumer, capsys):
    assert consumer.run("xds", "find", "1", "--issuer", "X") != 0
    assert "has no OID for the issuer 'X'" in capsys.readouterr().err
    assert consumer.run("xds", "retrieve", "1.2", "--repository", "1.2.3") == 1
    assert "none with the unique_id 1.2.3" in capsys.readouterr().err
    assert consumer.run("xds", "register", "nonsense") != 0
