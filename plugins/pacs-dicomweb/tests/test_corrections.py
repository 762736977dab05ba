"""What was corrected goes out corrected at every resource, and no cache keeps what was before."""

from io import BytesIO

from pydicom import dcmread

from pacs_core.contracts import EntityPath, Origin
from pacs_core.dataset import tag_of
from pacs_core.testing.datasets import SampleStudy

DICOM = 'multipart/related; type="application/dicom"'


def correct(door, sample):
    archive = door.node.node.opened.archive
    entity = EntityPath(study_instance_uid=str(sample.values["StudyInstanceUID"]))
    changes = {tag_of("PatientID"): ("P2",), tag_of("PatientName"): ("山田^太郎",)}
    return door.node.call(archive.update, entity, changes, Origin("test"))


def test_each_resource_shows_the_correction(door, wire):
    door = door()
    sample = SampleStudy().make("CT", PatientID="P1", PatientName="Doe^Jane")
    assert door.store(sample).status_code == 200
    study = f"/studies/{sample.values['StudyInstanceUID']}"
    series = f"{study}/series/{sample.values['SeriesInstanceUID']}"
    instance = f"{series}/instances/{sample.sop_instance_uid}"
    paths = {
        study: DICOM,
        instance: "application/dicom",
        f"{study}/metadata": "application/dicom+json",
    }
    before = {path: door.get(path, accept) for path, accept in paths.items()}
    correct(door, sample)
    after = {}
    for path, accept in paths.items():
        # A cache asks whether what it has is what there is.
        tag = before[path].headers["ETag"]
        after[path] = door.get(path, accept, headers={"If-None-Match": tag})
        assert after[path].status_code == 200, path
        assert after[path].headers["ETag"] != tag
    ((_, content),) = wire.read_parts(after[study])
    whole = after[instance].content
    assert content == whole
    assert int(after[instance].headers["Content-Length"]) == len(whole)
    dataset = dcmread(BytesIO(whole))
    assert (dataset.PatientID, dataset.PatientName) == ("P2", "山田^太郎")
    old = dcmread(BytesIO(before[instance].content))
    assert dataset.PixelData == old.PixelData
    metadata = after[f"{study}/metadata"].json()[0]
    assert metadata["00100020"]["Value"] == ["P2"]
    part = door.get(instance, "application/dicom", headers={"Range": f"bytes=0-{len(whole) - 5}"})
    assert (part.status_code, part.content) == (206, whole[:-4])
    found = door.get("/studies?PatientID=P2").json()
    assert found[0]["00100010"]["Value"] == [{"Alphabetic": "山田^太郎"}]
    assert door.get("/studies?PatientID=P1").content in (b"", b"[]")
