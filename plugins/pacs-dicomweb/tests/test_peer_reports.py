"""What users of other servers, clients and viewers have reported, tried on this one."""

import io
import json

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import item
from .test_rendered import path_of, picture, store_gradient

OCTETS = 'multipart/related; type="application/octet-stream"'
US = "1.2.840.10008.5.1.4.1.1.6.1"


def store(web, modality="CT", study=None, **values):
    """Store a dataset with such values; None deletes one. Return it and its path."""
    made = (study or SampleStudy()).make(modality)
    head = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    dataset = pydicom.dcmread(io.BytesIO(head + made.encode()))
    for keyword, value in values.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    out = io.BytesIO()
    dataset.save_as(out)
    response = web.store(out.getvalue())
    assert response.status_code == 200, response.text
    return made, path_of(made)


class TestSearch:
    def test_pages_end(self, shared):
        """dcmjs-org/dicomweb-server#19: Slicer asks on, by offset, until nothing comes."""
        name = "Paging^Peter"
        for _ in range(5):
            store(shared, PatientName=name)
        found = []
        for _ in range(10):
            path = f"/studies?PatientName={name}&limit=2&offset={len(found)}"
            response = shared.get(path)
            page = response.json() if response.content else []
            if not page:
                break
            found += [each["0020000D"]["Value"][0] for each in page]
        assert (len(found), len(set(found))) == (5, 5)

    @pytest.mark.parametrize("level", ["studies", "series", "instances"])
    def test_the_address_is_whole_whatever_is_returned(self, shared, level):
        """dcm4chee-arc-light#4062 (studies/null), Weasis#469 (no host)."""
        _, path = store(shared, PatientID=f"WHOLE {level}")
        parts = {"studies": 3, "series": 5, "instances": 7}[level]
        (found,) = shared.found(f"/{level}?PatientID=WHOLE {level}&includefield=PatientName")
        url = found["00081190"]["Value"][0]
        assert url == shared.url + "/".join(path.split("/")[:parts])
        assert httpx.URL(url).host == "127.0.0.1"
        assert shared.client.get(f"{url}/metadata").status_code == 200

    def test_what_is_not_kept_is_said_not_to_be_matched(self, shared):
        """dcm4chee-arc-light#1652: all instances came, and nothing was said."""
        response = shared.get("/instances?ImageComments=foo&limit=1")
        assert response.status_code == 200
        assert (
            "ImageComments is not kept here: it has not been matched" in response.headers["warning"]
        )

    def test_a_key_is_matched_though_it_is_to_be_returned(self, shared):
        """DICOMcloud#1."""
        made, _ = store(shared)
        uid = made.values["StudyInstanceUID"]
        fields = "&".join(f"includefield={tag}" for tag in ("00080018", "0020000E", "0020000D"))
        found = shared.found(f"/instances?0020000D={uid}&{fields}")
        assert [each["0020000D"]["Value"] for each in found] == [[uid]]

    @pytest.mark.parametrize("value", ["all", "ALL", "All"])
    def test_all_fields(self, shared, value):
        """knopkem/dicomweb-proxy#150; GoogleCloudPlatform's client sends it in capitals."""
        store(shared, PatientID=f"FIELDS {value}")
        (found,) = shared.found(f"/studies?PatientID=FIELDS {value}&includefield={value}")
        assert "00080020" in found

    def test_two_types_in_one_header(self, shared):
        """OHIF#3726, dcmjs-org/dicomweb-client#88: 406 for series."""
        accept = "application/dicom+json, multipart/related; type=application/octet-stream"
        made, _ = store(shared)
        response = shared.get(f"/studies/{made.values['StudyInstanceUID']}/series", accept)
        assert response.headers["content-type"].startswith("application/dicom+json")

    def test_available_transfer_syntax_and_sop_class_are_fields(self, shared):
        """imi-bigpicture/wsidicom#141, #149: 400 for either."""
        made, _ = store(shared)
        uid = made.values["SeriesInstanceUID"]
        path = f"/instances?SeriesInstanceUID={uid}&SOPClassUID={made.sop_class_uid}"
        (found,) = shared.found(f"{path}&includefield=AvailableTransferSyntaxUID")
        assert found["00083002"]["Value"] == [EXPLICIT_VR_LITTLE_ENDIAN]

    @pytest.mark.parametrize(
        ("value", "finds"),
        [
            ("20140309-20150309", True),
            ("-20150309", True),
            ("20140309-", True),
            ("20141231", True),
            ("-20140309", False),
            ("20150309-", False),
        ],
    )
    def test_ranges_of_dates(self, shared, value, finds):
        """DICOMcloud#20, microsoft/dicom-server#1087: errors for ranges, and for open ones."""
        store(shared, PatientID=f"RANGE {value}", StudyDate="20141231")
        path = f"/studies?PatientID=RANGE {value}&StudyDate={value}"
        response = shared.get(path)
        assert bool(response.content and response.json()) is finds

    @pytest.mark.parametrize(
        "number", ["A+B", "50%", "a&b=c", "a/b", "#1", "Ü 1", "a%2Bb", "'; --"]
    )
    def test_odd_patient_ids(self, shared, number):
        """Weasis#132."""
        store(shared, PatientID=number, SpecificCharacterSet="ISO_IR 192")
        (found,) = shared.found("/studies", params={"PatientID": number})
        assert found["00100020"]["Value"] == [number]

    @pytest.mark.parametrize(
        ("charset", "codec", "name"),
        [
            ("ISO_IR 126", "iso8859_7", "Διονυσιος^Νικος"),
            ("ISO_IR 144", "iso8859_5", "Люкceмбypг^Анна"),
            ("ISO_IR 100", "latin-1", "Äneas^Rüdiger"),
            ("GB18030", "gb18030", "Wang^XiaoDong=王^小东"),
        ],
    )
    def test_names_in_other_letters(self, shared, charset, codec, name):
        """Weasis#627: question marks in results; dcm4che#1074, shanoir-ng#2367."""
        made, path = store(
            shared, SpecificCharacterSet=charset, PatientName=name.encode(codec).decode("latin-1")
            if codec == "latin-1" else name,
        )  # fmt: skip
        uid = made.values["StudyInstanceUID"]
        (found,) = shared.found(f"/studies?StudyInstanceUID={uid}")
        (told,) = shared.found(f"{path}/metadata")
        shown = found["00100010"]["Value"][0]
        assert "=".join(shown.values()) == name
        assert told["00100010"]["Value"][0] == shown
        asked = {"PatientName": f"{name.split('^')[0]}*", "StudyInstanceUID": uid}
        assert len(shared.found("/studies", params=asked)) == 1


class TestMetadata:
    def test_what_is_empty_has_no_value(self, shared):
        """fo-dicom#873, #2162, knopkem/dicomweb-proxy#13 (PS3.18 F.2.5)."""
        _, path = store(
            shared, DerivationDescription="", SeriesNumber="", ImageComments="", PatientName=""
        )
        (found,) = shared.found(f"{path}/metadata")
        for tag, vr in (("00082111", "ST"), ("00200011", "IS"), ("00204000", "LT")):
            assert found[tag] == {"vr": vr}

    def test_no_value_of_a_sequence_is_null(self, shared):
        """OHIF#4658: an item that is null ends the loading of a study."""
        empty = Dataset()
        _, path = store(
            shared,
            ReferencedStudySequence=[],
            ProcedureCodeSequence=[empty],
            RequestAttributesSequence=[item(ScheduledProtocolCodeSequence=[Dataset(), Dataset()])],
        )
        (found,) = shared.found(f"{path}/metadata")
        assert found["00081110"] == {"vr": "SQ"}
        assert found["00081032"] == {"vr": "SQ", "Value": [{}]}
        (request,) = found["00400275"]["Value"]
        assert request["00400008"] == {"vr": "SQ", "Value": [{}, {}]}

    def test_numbers_that_end_with_nul(self, shared):
        """fo-dicom#665, #1078: "0\\0" is a number that somebody padded wrongly."""
        made = SampleStudy().make("CT", PatientWeight="70.5", PatientSize="0")
        padded = b"\x10\0\x20\x10DS\x02\0"
        content = part10_of(made).replace(padded + b"0 ", padded + b"0\0")
        assert b"DS\x02\x000\0" in content
        assert shared.store(content).status_code == 200
        (found,) = shared.found(f"{path_of(made)}/metadata")
        assert found["00101020"] == {"vr": "DS", "Value": [0]}

    def test_decimal_commas(self, shared):
        """fo-dicom#1355, dcm4che#294: illegal numbers keep nothing from being read."""
        made = SampleStudy().make("CT", SliceThickness="1,5", PatientWeight="@")
        assert shared.store(made).status_code == 200
        response = shared.get(f"{path_of(made)}/metadata")
        (found,) = json.loads(response.content)
        for tag in ("00180050", "00101030"):
            assert not isinstance(found.get(tag, {}).get("Value", [""])[0], float)


def part10_of(made):
    uids = made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN
    return file_meta(*uids) + made.encode()


class TestAccept:
    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            # OHIF#2591, #3990: what Orthanc answers 400.
            ("multipart/related; type=application/octet-stream; transfer-syntax=*", 200),
            (
                "application/dicom+json, multipart/related; type=application/octet-stream; "
                "transfer-syntax=*; transfer-syntax=*",
                200,
            ),
            # OHIF#1284, cornerstoneWADOImageLoader#54: not quoted; and as a shell quotes.
            ("multipart/related;type=application/octet-stream", 200),
            ("multipart/related;type='application/octet-stream'", 200),
            # dcmjs-org/dicomweb-client#108: what dcm4chee does not take.
            ("image/*, application/octet-stream;q=0.1", 200),
            # imi-bigpicture/slim, Azure: several, and the one without a type first.
            ('multipart/related, multipart/related; type="image/jpeg"', 200),
            # dicom-microscopy-viewer#32, OHIF#624: the parameter within the quotes.
            ('multipart/related; type="image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"', 406),
            ('multipart/related; type="application/octet-stream; transfer-syntax=*"', 200),
        ],
    )
    def test_frames(self, shared, accept, status):
        made = store_gradient(shared, SampleStudy())
        response = shared.get(f"{path_of(made)}/frames/1", accept)
        assert response.status_code == status, response.text

    @pytest.mark.parametrize(
        "accept",
        [
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            'multipart/related; type="application/dicom"; transfer-syntax="*"',
            "multipart/related; type=application/dicom",
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1, '
            'multipart/related; type="application/dicom"; transfer-syntax=*;q=0.5',
            "multipart/related",
            "*/*",
        ],
    )
    def test_whole_studies(self, shared, wire, accept):
        """ImagingDataCommons/dicomweb-client#34, #46, #82: 406 of Azure."""
        _, path = store(shared)
        response = shared.get(path, accept)
        assert response.status_code == 200, response.text
        assert len(wire.read_parts(response)) == 1


class TestFrames:
    def test_a_frame_of_odd_length_has_no_padding(self, shared, wire):
        """cornerstone3D#2818: the byte that makes the value even is no pixel."""
        pixels = np.arange(3 * 7 * 5, dtype="u1")
        values = {
            "Rows": 7, "Columns": 5, "SamplesPerPixel": 3, "PlanarConfiguration": 0,
            "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0,
            "PhotometricInterpretation": "RGB",
        }  # fmt: skip
        _, path = store(shared, PixelData=pixels.tobytes() + b"\0", **values)
        ((_, content),) = wire.read_parts(shared.get(f"{path}/frames/1", OCTETS))
        assert content == pixels.tobytes()

    def test_boundaries_are_new_each_time(self, shared):
        """DICOM-RST#59, healthcare-api-dicom-viewer#16: none is in the content by chance."""
        _, path = store(shared)
        boundaries = {
            shared.get(path).headers["content-type"].partition("boundary=")[2] for _ in range(5)
        }
        assert len(boundaries) == 5

    def test_a_frame_says_how_it_is_encoded(self, shared, wire):
        """shanoir-ng#3712, dcmjs-org/dicomweb-client#108: without it, nobody can decode it."""
        made = store_gradient(shared, SampleStudy(), 2, "1.2.840.10008.1.2.4.80")
        accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
        response = shared.get(f"{path_of(made)}/frames/1", accept)
        ((headers, _),) = wire.read_parts(response)
        assert "transfer-syntax=1.2.840.10008.1.2.4.80" in headers["content-type"]


class TestStore:
    @pytest.mark.parametrize(
        "boundary", ["a b(c)", "=_?:/,'+", "----WebKitFormBoundary", "b" * 70, "'b'"]
    )
    def test_boundaries_of_any_characters(self, shared, wire, boundary):
        """dcm4che#415, and what RFC 2046 §5.1.1 allows between quotation marks."""
        made = SampleStudy().make("CT")
        part = b"Content-Type: application/dicom\r\n\r\n" + part10_of(made)
        edge = boundary.encode()
        body = b"--" + edge + b"\r\n" + part + b"\r\n--" + edge + b"--\r\n"
        kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
        response = shared.client.post("/studies", content=body, headers={"Content-Type": kind})
        assert response.status_code == 200, response.text

    @pytest.mark.parametrize("accept", ["application/dicom+json", "application/dicom+xml", None])
    def test_failures_come_as_asked(self, shared, wire, accept):
        """ImagingDataCommons/dicomweb-client#26: XML to who asked for JSON."""
        body = wire.multipart(("application/dicom", b"\0" * 128 + b"DICM" + b"nonsense"))
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
        headers |= {"Accept": accept} if accept else {}
        response = shared.client.post("/studies", content=body, headers=headers)
        assert response.status_code in {400, 409}
        kind = response.headers["content-type"]
        assert "xml" in kind if accept == "application/dicom+xml" else "json" in kind

    def test_reports_are_stored(self, shared):
        """DICOMcloud#108: an SR was no image, and an exception."""
        for modality in ("SR", "PDF", "RTSTRUCT"):
            made = SampleStudy().make(modality)
            assert shared.store(made).status_code == 200
            assert shared.get(f"{path_of(made)}/metadata").status_code == 200


class TestRendered:
    def test_thumbnails_are_small(self, shared):
        """Static-DICOMWeb#101: they were as large as the image."""
        values = {"Rows": 1024, "Columns": 800, "PixelData": bytes(2 * 1024 * 800)}
        _, path = store(shared, **values)
        for resource in (path, path.rpartition("/instances")[0], path.split("/series")[0]):
            assert max(picture(shared.get(f"{resource}/thumbnail")).size) <= 128

    @pytest.mark.parametrize("bits", [8, 14, 16])
    def test_tables_of_values_of_interest(self, shared, bits):
        """cornerstone3D#938, fo-dicom#949, OHIF#818: shown as if there were no table."""
        entries = 1 << 12
        data = np.linspace((1 << bits) - 1, 0, entries).astype("<u2")  # turns it over
        lut = item(
            LUTDescriptor=[entries, 0, bits], LUTExplanation="turned", LUTData=data.tobytes()
        )
        lut["LUTData"].VR = "OW"
        pixels = np.tile(np.linspace(0, entries - 1, 16).astype("<u2"), (4, 1))
        _, path = store(
            shared, Rows=4, Columns=16, BitsAllocated=16, BitsStored=12, HighBit=11,
            PixelRepresentation=0, PixelData=pixels.tobytes(), RescaleSlope=None,
            RescaleIntercept=None, WindowCenter=None, WindowWidth=None, VOILUTSequence=[lut],
            PixelSpacing=None,
        )  # fmt: skip
        shown = np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).astype(int)
        expected = 255 - pixels / (entries - 1) * 255
        assert np.abs(shown - expected).max() <= 2

    def test_columns_that_are_odd(self, shared):
        """fo-dicom#471: half the chroma of an odd number of columns, compressed."""
        out = io.BytesIO()
        Image.new("RGB", (33, 17), (200, 40, 40)).save(out, "JPEG", subsampling=1, quality=95)
        made = SampleStudy().make("US")
        head = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
        dataset = pydicom.dcmread(io.BytesIO(head + made.encode()))
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 17, 33, 3
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL_422", 0
        dataset.PixelRepresentation = 0
        for keyword in ("NumberOfFrames", "WindowCenter", "WindowWidth", "PixelSpacing"):
            if keyword in dataset:
                delattr(dataset, keyword)
        dataset.PixelData = encapsulate([out.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        file = io.BytesIO()
        dataset.save_as(file)
        assert shared.store(file.getvalue()).status_code == 200
        shown = picture(shared.get(f"{path_of(made)}/rendered", "image/png"))
        assert shown.size == (33, 17)
        assert np.abs(np.asarray(shown).astype(int) - [200, 40, 40]).max() < 12

    def test_the_window_of_a_frame(self, shared):
        """cornerstone#443, cornerstone3D#2745: it is in the functional groups of the frame."""
        pixels = np.stack([np.full((4, 4), 100, "<u2")] * 2)

        def window(centre):
            voi = item(WindowCenter=str(centre), WindowWidth="100")
            return item(FrameVOILUTSequence=[voi])

        _, path = store(
            shared,
            Rows=4, Columns=4, NumberOfFrames=2, BitsAllocated=16, BitsStored=16, HighBit=15,
            PixelRepresentation=0, PixelData=pixels.tobytes(), RescaleSlope="1",
            RescaleIntercept="0", PerFrameFunctionalGroupsSequence=[window(100), window(140)],
        )  # fmt: skip
        first, second = (
            np.asarray(picture(shared.get(f"{path}/frames/{n}/rendered", "image/png"))).mean()
            for n in (1, 2)
        )
        assert 120 < first < 136
        assert second < 30

    def test_the_first_frame_is_the_first(self, shared):
        """cornerstone3D#1194, DICOMcloud#48: the next one was shown."""
        made = store_gradient(shared, SampleStudy(), 3, elements={(0x28, 0x1050, "DS"): "1000"})
        means = [
            np.asarray(picture(shared.get(f"{path_of(made)}/frames/{n}/rendered"))).mean()
            for n in (1, 2, 3)
        ]
        assert means == sorted(means)
        uid = made.sop_instance_uid
        wado = f"/wado?requestType=WADO&objectUID={uid}&contentType=image/jpeg"
        assert np.asarray(picture(shared.get(wado))).mean() == pytest.approx(means[0], abs=1)
        third = picture(shared.get(f"{wado}&frameNumber=3"))
        assert np.asarray(third).mean() == pytest.approx(means[2], abs=1)


def test_uid_of_nobody(shared):
    """OHIF#3210, #3219: what is not there is 404 or no result, with a reason, never a page."""
    uid = generate_uid()
    assert shared.get(f"/studies?StudyInstanceUID={uid}").status_code in {200, 204}
    for path in ("", "/metadata", "/series", "/rendered", "/thumbnail"):
        response = shared.get(f"/studies/{uid}{path}")
        assert response.status_code in {404, 200, 204}, path
        assert "html" not in response.headers.get("content-type", "")
