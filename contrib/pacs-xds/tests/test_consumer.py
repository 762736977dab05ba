"""Imaging Document Consumer, over the wire: ITI-18, ITI-43 and RAD-69 into another archive."""

import json

import httpx
import pytest
from pacs_core.contracts import Origin
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.waiting import until

from pacs_xds.config import XdsConfig, XdsPeer
from pacs_xds.desk import Desk
from pacs_xds.fetching import FetchError, retrieve_images, retrieve_manifest
from pacs_xds.transactions import DocumentKey


@pytest.fixture(scope="module")
def consumer(tmp_path_factory, registry, site, tools):
    sources = {"here": {"url": f"http://127.0.0.1:{site.web}/xds", "unique_id": tools.LOCATION}}
    directory = tmp_path_factory.mktemp("consumer")
    with tools.open_site(directory, registry, sources=sources, batch=2) as opened:
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


@pytest.fixture(scope="module")
def published(site):
    """Return a study that no other test fetches, and its manifest's UID."""
    uid, document, _ = publish(site, SampleStudy(), "P3", "CT")
    return uid, document


def hostile_desk(consumer, registry, tools, kind):
    """Return what asks, with a source and a repository that misbehave."""
    peer = XdsPeer(f"{registry.url}/hostile/{kind}", tools.LOCATION)
    good = XdsPeer(f"{registry.url}/repository", tools.REPOSITORY)
    config = XdsConfig(
        sources={"bad": peer},
        repositories={"good": good, "bad": XdsPeer(peer.url, "1.2.3")},
        max_document=2_000_000,
    )
    return Desk(consumer.node.node.opened.node, config, consumer.node.data_directory / "xds")


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
def test_hostile_sources_store_nothing(consumer, published, registry, tools, kind, reason):
    study, document = published
    desk = hostile_desk(consumer, registry, tools, kind)

    async def fetch():
        references = await retrieve_manifest(desk, DocumentKey(tools.REPOSITORY, document))
        return await retrieve_images(desk, references, Origin("test"))

    report = consumer.node.call(fetch)
    assert (report.named, report.stored, report.known) == (1, 0, 0)
    assert reason in report.failures[0]
    assert "root:" not in report.failures[0]
    assert found(consumer, study) == set()


@pytest.mark.parametrize("kind", ["bomb", "html", "cut", "absent", "oversize", "other"])
def test_hostile_repositories_are_refused(consumer, published, registry, tools, kind):
    desk = hostile_desk(consumer, registry, tools, kind)

    async def fetch():
        await retrieve_manifest(desk, DocumentKey("1.2.3", "1.2.3.4.5"))

    with pytest.raises(FetchError, match=r"1\.2\.3\.4\.5"):
        consumer.node.call(fetch)


def test_what_is_not_configured_is_said(consumer, capsys):
    assert consumer.run("xds", "find", "1", "--issuer", "X") != 0
    assert "has no OID for the issuer 'X'" in capsys.readouterr().err
    assert consumer.run("xds", "retrieve", "1.2", "--repository", "1.2.3") == 1
    assert "none with the unique_id 1.2.3" in capsys.readouterr().err
    assert consumer.run("xds", "register", "nonsense") != 0
