"""Rendered resources and thumbnails over the wire (PS3.18 §8.3.5, §10.4.1.1.3)."""

import io

import numpy as np
import pydicom
import pytest
from hypothesis import given, strategies as st
from pacs_dicomweb.kept import Kept
from pacs_dicomweb.rendering_parameters import read_rendering, read_viewport
from pacs_dicomweb.search_parameters import InvalidParameterError
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, JPEGLSLossless

from pacs_core.contracts import (
    EntityPath,
    InstancePath,
    Origin,
    Renderer,
    SourceRegion,
    Viewport,
)
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta, tag_of
from pacs_core.testing.datasets import SampleStudy


def path_of(dataset, *parts):
    values = dataset.values
    return (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )


def picture(response):
    assert response.status_code == 200, response.text
    image = Image.open(io.BytesIO(response.content))
    image.load()
    return image


def check_ranges(web, path, content, start, end):
    """Safari plays no video without ranges (RFC 9110 §14.1), and nobody can jump within one."""
    part = web.get(path, headers={"Range": f"bytes={start}-{end - 1}"})
    assert (part.status_code, part.content) == (206, content[start:end])
    assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
    last = web.get(path, headers={"Range": "bytes=-3"})
    assert last.content == content[-3:]
    assert web.get(path, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    whole = web.get(path)
    assert whole.headers["content-length"] == str(len(content))
    assert whole.headers["accept-ranges"] == "bytes"
    same = web.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert same.status_code == 304


def store_gradient(web, study, frames=1, syntax=None, elements=None, modality="CT"):
    """Store an image whose left is dark and whose right is bright, 64 wide, 32 high."""
    made = study.make(modality)
    dataset = pydicom.dcmread(
        io.BytesIO(
            file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
            + made.encode()
        )
    )
    row = np.arange(64, dtype="u2") * 16
    pixels = np.stack([np.tile(row, (32, 1)) + 300 * number for number in range(frames)])
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 32, 64, frames
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
    dataset.WindowCenter, dataset.WindowWidth = "512", "1024"
    dataset.PixelData = pixels.astype("u2").tobytes()
    for (group, number, vr), value in (elements or {}).items():
        dataset.add_new((group, number), vr, value)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    out = io.BytesIO()
    dataset.save_as(out)
    assert web.store(out.getvalue()).status_code == 200
    return made


@pytest.fixture(scope="module")
def gradient(shared):
    return store_gradient(shared, SampleStudy())


class TestRendered:
    def test_default_is_jpeg(self, shared, gradient):
        response = shared.get(f"{path_of(gradient)}/rendered")
        assert response.headers["content-type"] == "image/jpeg"
        image = picture(response)
        assert image.size == (64, 32)
        assert image.getpixel((2, 16)) < 20
        assert image.getpixel((61, 16)) > 230

    def test_png_window_and_viewport(self, shared, gradient):
        path = f"{path_of(gradient)}/rendered?window=100,10,linear&viewport=640,640"
        image = picture(shared.get(path, "image/png"))
        assert image.format == "PNG"
        assert image.size == (640, 320)
        assert image.getpixel((20, 100)) == 0
        assert image.getpixel((200, 100)) == 255

    def test_region_and_flip(self, shared, gradient):
        path = f"{path_of(gradient)}/rendered?viewport=32,32,32,0,32,32"
        image = picture(shared.get(path, "image/png"))
        assert image.size == (32, 32)
        assert image.getpixel((0, 0)) > 110
        flipped = picture(shared.get(f"{path.rsplit(',', 2)[0]},-32,32", "image/png"))
        assert flipped.getpixel((31, 0)) == image.getpixel((0, 0))

    def test_compressed(self, shared):
        made = store_gradient(shared, SampleStudy(), 3, JPEGLSLossless)
        image = picture(shared.get(f"{path_of(made)}/frames/2/rendered", "image/png"))
        assert image.size == (64, 32)
        moving = picture(shared.get(f"{path_of(made)}/rendered"))
        assert (moving.format, moving.n_frames) == ("GIF", 3)
        assert picture(shared.get(f"{path_of(made)}/rendered", "image/png")).size == (64, 32)
        moving = picture(shared.get(f"{path_of(made)}/frames/1,3/rendered", "image/gif"))
        assert moving.n_frames == 2

    def test_series_and_study(self, shared, wire):
        study = SampleStudy()
        first, second = store_gradient(shared, study), store_gradient(shared, study)
        path = f"/studies/{study.study_instance_uid}"
        parts = wire.read_parts(shared.get(f"{path}/rendered"))
        assert [headers["content-type"] for headers, _ in parts] == ["image/jpeg"] * 2
        series = path_of(first).rpartition("/instances")[0]
        accept = 'multipart/related; type="image/png"'
        parts = wire.read_parts(shared.get(f"{series}/rendered", accept))
        assert len(parts) == 2
        assert second.sop_instance_uid in "".join(h["content-location"] for h, _ in parts)
        assert shared.get(f"{series}/rendered", "image/png").status_code == 406

    @pytest.mark.parametrize("part", ["", "/frames/1", "series", "study"])
    def test_thumbnails(self, shared, gradient, part):
        path = path_of(gradient)
        path = {"series": path.rpartition("/instances")[0], "study": path.split("/series")[0]}.get(
            part, path + part
        )
        response = shared.get(f"{path}/thumbnail")
        assert response.headers["content-type"] == "image/jpeg"
        assert max(picture(response).size) == 128
        assert picture(shared.get(f"{path}/thumbnail?viewport=32,32")).size == (32, 16)
        tag = response.headers["etag"]
        again = shared.get(f"{path}/thumbnail", headers={"If-None-Match": tag})
        assert again.status_code == 304

    def test_documents(self, shared):
        pdf, page = (
            SampleStudy().make("PDF"),
            SampleStudy().make("PDF", MIMETypeOfEncapsulatedDocument="text/html"),
        )
        shared.store(pdf, page)
        response = shared.get(f"{path_of(pdf)}/rendered", "application/pdf")
        assert response.headers["content-type"] == "application/pdf"
        assert response.content.startswith(b"%PDF")
        content = pdf.values["EncapsulatedDocument"] + b"\0"  # it does not say its length
        check_ranges(shared, f"{path_of(pdf)}/rendered", content, 2, 9)
        uid = pdf.sop_instance_uid
        answer = shared.get(f"/wado?requestType=WADO&objectUID={uid}&contentType=application/pdf")
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content == content
        assert shared.get(f"{path_of(page)}/rendered").status_code == 404
        assert shared.get(f"{path_of(pdf)}/thumbnail").status_code == 404
        # A response in parts has one at least (RFC 2046 §5.1.1).
        series = path_of(page).rpartition("/instances")[0]
        for resource in (series, series.rpartition("/series")[0]):
            assert shared.get(f"{resource}/rendered").status_code == 404

    def test_a_document_ends_where_it_says(self, shared):
        """PS3.3 Table C.24-2: the byte that makes its length even is no part of it."""
        mesh = b"v 0 0 0\n" + b"f 1 1 1"
        made = SampleStudy().make(
            "PDF",
            MIMETypeOfEncapsulatedDocument="model/obj",
            EncapsulatedDocument=mesh + b"\0",
            EncapsulatedDocumentLength=str(len(mesh)),
        )
        shared.store(made)
        response = shared.get(f"{path_of(made)}/rendered")
        assert response.headers["content-type"] == "model/obj"
        assert response.content == mesh

    def test_video_comes_as_it_is(self, shared):
        made = SampleStudy().make("CT")
        dataset = pydicom.dcmread(
            io.BytesIO(
                file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
                + made.encode()
            )
        )
        stream = bytes(range(256)) * 4000
        dataset.file_meta.TransferSyntaxUID = MPEG4HP41
        dataset.PixelData = encapsulate([stream[:500_000], stream[500_000:]], has_bot=False)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        out = io.BytesIO()
        dataset.save_as(out)
        shared.store(out.getvalue())
        response = shared.get(f"{path_of(made)}/rendered", "video/mp4")
        assert response.headers["content-type"] == "video/mp4"
        assert response.content == stream
        assert shared.get(f"{path_of(made)}/frames/1").status_code == 406
        check_ranges(shared, f"{path_of(made)}/rendered", stream, 499_990, 500_010)
        uid = made.sop_instance_uid
        answer = shared.get(f"/wado?requestType=WADO&objectUID={uid}&contentType=video/mp4")
        assert answer.content == stream
        whole = shared.get(path_of(made), 'multipart/related; type="application/dicom"')
        assert MPEG4HP41 in whole.headers["content-type"]

    @pytest.mark.parametrize(
        "query",
        [
            "viewport=0,0",
            "viewport=1000000000,1000000000",
            "viewport=-1,10",
            "viewport=10",
            "viewport=1e3,10",
            "viewport=10,10,1,1,0,0",
            "viewport=10,10,nan,1,1,1",
            "window=40,0,linear",
            "window=40,0.5,linear",
            "window=40,0,sigmoid",
            "window=nan,10",
            "window=40",
            "window=40,400,cubic",
            "quality=0",
            "quality=101",
            "quality=x",
        ],
    )
    @pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
    def test_what_makes_no_sense(self, shared, gradient, resource, query):
        response = shared.get(f"{path_of(gradient)}/{resource}?{query}")
        assert response.status_code == 400
        assert response.headers["content-type"] == "application/problem+json"
        assert picture(shared.get(f"{path_of(gradient)}/{resource}")).size[0] in {64, 128}
        assert shared.is_well()

    def test_a_region_outside(self, shared, gradient):
        path = f"{path_of(gradient)}/rendered?viewport=10,10,1000,1000,5,5"
        assert shared.get(path).status_code == 406
        assert shared.is_well()

    def test_bombs(self, shared):
        """Sixty-four thousand by sixty-four thousand pixels, of which there is one."""
        bomb = SampleStudy().make("CT", Rows="65535", Columns="65535")
        shared.store(bomb)
        for resource in ("rendered", "thumbnail", "frames/1/rendered"):
            assert shared.get(f"{path_of(bomb)}/{resource}").status_code == 406
            assert shared.is_well()

    def test_annotations(self, shared, gradient):
        path = f"{path_of(gradient)}/rendered?viewport=512,512&annotation=patient,technique"
        plain = picture(shared.get(path.split("&")[0], "image/png"))
        annotated = picture(shared.get(path, "image/png"))
        assert annotated.tobytes() != plain.tobytes()

    def test_no_frames(self, shared, gradient):
        assert shared.get(f"{path_of(gradient)}/frames/2/rendered").status_code == 404
        assert shared.get(f"{path_of(gradient)}/rendered", "text/html").status_code == 406


def test_viewports():
    assert read_viewport("512,256", 1 << 20) == Viewport(512, 256)
    assert read_viewport("512,256,,,,", 1 << 20) == Viewport(512, 256)
    assert read_viewport("8,8,1,2,-3,4", 100) == Viewport(8, 8, SourceRegion(1, 2, -3, 4))
    assert read_viewport("8,8,,,30,40", 100) == Viewport(8, 8, SourceRegion(0, 0, 30, 40))


@given(st.dictionaries(st.sampled_from(["viewport", "window", "quality"]), st.text(max_size=30)))
def test_whatever_comes_makes_sense_or_is_refused(parameters):
    try:
        options = read_rendering(parameters, "image/png", 10_000)
    except InvalidParameterError:
        return
    assert options.viewport is None or options.viewport.width * options.viewport.height <= 10_000
    assert options.window is None or options.window[1] > 0


def test_a_picture_is_made_once_and_anew_of_what_changed(door):
    door = door()
    made = store_gradient(door, SampleStudy())
    path = path_of(made)
    renderer = door.node.node.opened.node.find(Renderer)
    calls, render = [], renderer.render

    async def count(*arguments):
        calls.append(arguments)
        return await render(*arguments)

    renderer.render = count
    asked = [f"{path}/rendered", f"{path}/thumbnail", f"{path}/frames/1/rendered?viewport=8,8"]
    first = [door.get(each) for each in asked]
    assert [each.status_code for each in first] == [200] * 3
    assert len(calls) == 3
    again = [door.get(each) for each in asked]
    assert [each.content for each in again] == [each.content for each in first]
    assert [each.headers["etag"] for each in again] == [each.headers["etag"] for each in first]
    assert len(calls) == 3
    archive = door.node.node.opened.archive
    entity = EntityPath(study_instance_uid=str(made.values["StudyInstanceUID"]))
    door.node.call(archive.update, entity, {tag_of("PatientID"): ("P2",)}, Origin("test"))
    for each, before in zip(asked, first, strict=True):
        assert door.get(each).headers["etag"] != before.headers["etag"]
    assert len(calls) == 6
    instance = InstancePath(made.values["StudyInstanceUID"], made.sop_instance_uid)
    door.node.call(archive.delete, instance, Origin("test"))
    assert [door.get(each).status_code for each in asked] == [404] * 3


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 200)), max_size=40))
def test_what_is_kept_is_bounded_and_the_latest(asked):
    kept: Kept[int] = Kept(lambda: 800)
    sizes = {}
    for number, (name, size) in enumerate(asked):
        kept.keep(name, number, size)
        if size <= 100:
            sizes.pop(name, None)
            sizes[name] = size
            assert kept.get(name) == number
    expected, total = [], 0
    for name, size in reversed(sizes.items()):
        total += size
        if total > 800:
            break
        expected.append(name)
    assert [name for name in reversed(sizes) if kept.get(name) is not None] == expected
    kept.keep("", 1, 1)
    assert kept.get("") is None
