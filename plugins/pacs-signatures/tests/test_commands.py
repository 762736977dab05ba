"""``pacs sign`` and ``pacs verify``, held against DCMTK's dcmsign (PS3.15 Annex C)."""

import json
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
ENCODINGS = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm",
             "SC_rgb_rle_2frame.dcm", "image_dfl.dcm")  # fmt: skip
REPORT = FOLDER / "reportsi.dcm"


@pytest.fixture(scope="module")
def signed(keys, tmp_path_factory):
    """A CT that is signed by an authority's signer."""
    from pacs_core.api.commands import main

    output = tmp_path_factory.mktemp("signed")
    assert main(["sign", str(CT), *keys.sign_with("signer"), "-o", str(output)]) == 0
    return output / CT.name


@pytest.mark.parametrize("name", ENCODINGS)
def test_dcmsign_verifies_what_we_sign(run, dcmsign, keys, tmp_path, name):
    code, out, err = run("sign", FOLDER / name, *keys.sign_with("signer"), "-o", tmp_path)
    assert (code, out, err) == (0, "1 file signed\n", "")
    assert dcmsign("+cf", keys.certificate("authority"), "+rg", tmp_path / name)[0]
    assert run("verify", "--ca", keys.certificate("authority"), tmp_path / name)[0] == 0
    before, after = dcmread(FOLDER / name), dcmread(tmp_path / name)
    del after[0x4FFE0001], after[0xFFFAFFFA]
    assert after == before
    assert after.PixelData == before.PixelData


@pytest.mark.parametrize("name", ENCODINGS)
def test_we_verify_what_dcmsign_signs(run, dcmsign, keys, tmp_path, name):
    made = tmp_path / name
    key, certificate = keys.key("signer"), keys.certificate("signer")
    assert dcmsign("+s", key, certificate, "+m2", "+sp", 1, FOLDER / name, made)[0]
    code, out, err = run("verify", "--json", "--ca", keys.certificate("authority"), made)
    found = json.loads(out)
    assert (code, err, found["status"]) == (0, "", "valid")
    assert (found["signer"], found["mac"]) == ("CN=signer", "SHA256")
    assert found["purpose"] == "Author's Signature"
    assert found["weak"] is False


@pytest.mark.parametrize("option", ["+mr", "+ms", "+mm", "+m3", "+m5"])
def test_each_mac_algorithm_is_verified(run, dcmsign, keys, tmp_path, option):
    made = tmp_path / "made.dcm"
    assert dcmsign("+s", keys.key("signer"), keys.certificate("signer"), option, CT, made)[0]
    code, out, _ = run("verify", "--json", "--any-signer", made)
    assert (code, json.loads(out)["status"]) == (0, "valid")
    assert json.loads(out)["weak"] == (option in {"+mr", "+ms", "+mm"})


def test_ecdsa_is_signed_and_verified_by_both(run, dcmsign, keys, tmp_path):
    code, _, err = run("sign", CT, *keys.sign_with("curve"), "-o", tmp_path, "--mac", "sha384")
    assert code == 0
    assert "no RSA key" in err
    authority = keys.certificate("authority")
    assert dcmsign("+cf", authority, "+rg", tmp_path / CT.name)[0]
    made = tmp_path / "made.dcm"
    assert dcmsign("+s", keys.key("curve"), keys.certificate("curve"), "+m2", CT, made)[0]
    assert run("verify", "--ca", authority, made, tmp_path / CT.name)[0] == 0


def test_a_second_signature_leaves_the_first_valid(run, dcmsign, keys, signed, tmp_path):
    copy = tmp_path / "both.dcm"
    copy.write_bytes(signed.read_bytes())
    assert run("sign", copy, *keys.sign_with("curve"), "--in-place", "--purpose", 13)[0] == 0
    code, out, _ = run("verify", "--json", "--ca", keys.certificate("authority"), copy)
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, [each["status"] for each in found]) == (0, ["valid", "valid"])
    assert found[1]["purpose"] == "Review Signature"
    assert dcmsign("+cf", keys.certificate("authority"), copy)[0]


def test_items_are_signed_and_verified_by_both(run, dcmsign, keys, tmp_path):
    run("sign", REPORT, *keys.sign_with("signer"), "-o", tmp_path, "--item", "ContentSequence[*]")
    made = tmp_path / REPORT.name
    code, out, err = run("verify", "--json", "--ca", keys.certificate("authority"), made)
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert len(found) == len(dcmread(REPORT).ContentSequence)
    assert found[1]["item"] == "ContentSequence[2]"
    assert dcmsign("+cf", keys.certificate("authority"), "+rg", made)[0]
    # The dataset may be signed afterwards: signatures in items are no part of its MAC.
    assert run("sign", made, *keys.sign_with("signer"), "--in-place")[0] == 0
    assert dcmsign("+cf", keys.certificate("authority"), "+rg", made)[0]
    theirs = tmp_path / "theirs.dcm"
    key, certificate = keys.key("signer"), keys.certificate("signer")
    assert dcmsign("+si", key, certificate, "ContentSequence[1]", "+m2", made, theirs)[0]
    code, out, _ = run("verify", "--ca", keys.certificate("authority"), theirs)
    assert (code, out.count(": valid")) == (0, len(found) + 2)


@pytest.mark.parametrize(("profile", "theirs"), [("creator", "+rc"), ("authorization", "+ru")])
def test_profiles_are_those_of_dcmsign(run, dcmsign, keys, tmp_path, profile, theirs):
    run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path, "--profile", profile)
    made = tmp_path / CT.name
    assert dcmsign("+cf", keys.certificate("authority"), theirs, made)[0]
    assert run("verify", "--any-signer", "--require", profile, made)[0] == 0
    other = {"creator": "authorization", "authorization": "creator"}[profile]
    expected = 0 if profile == "creator" else 1  # a creator signs more than who authorizes
    assert run("verify", "--any-signer", "--require", other, made)[0] == expected


@pytest.mark.parametrize(("profile", "purpose"), [("sr", 1), ("sr-verification", 5)])
def test_reports_are_signed_by_their_profile(run, dcmsign, keys, tmp_path, profile, purpose):
    run("sign", REPORT, *keys.sign_with("signer"), "-o", tmp_path, "--profile", profile)
    made = dcmread(tmp_path / REPORT.name)
    code = made[0xFFFAFFFA][0].DigitalSignaturePurposeCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == (str(purpose), "ASTM-sigpurpose")
    tags = made[0x4FFE0001][0].DataElementsSigned
    assert ("VerificationFlag" in made) == (0x0040A493 in made)
    assert (0x0040A493 in tags) == (profile == "sr-verification")
    assert 0x0040A730 in tags
    assert 0x00100010 not in tags
    assert run("verify", "--any-signer", "--require", profile, tmp_path / REPORT.name)[0] == 0


def test_attributes_that_are_named_are_all_that_is_signed(run, keys, tmp_path):
    run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path, "--tag", "PatientID", "--tag",
        "PatientName")  # fmt: skip
    assert list(dcmread(tmp_path / CT.name)[0x4FFE0001][0].DataElementsSigned) == [
        0x00100010, 0x00100020,
    ]  # fmt: skip
    code, _, err = run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path / "no", "--tag",
                       "AccessionNumber", "--tag", "RetrieveURL")  # fmt: skip
    assert code == 1
    assert "RetrieveURL: there is no such attribute" in err
    assert not list((tmp_path / "no").glob("*"))


def change_value(file):
    file.PatientName = "Other"


def remove(file):
    del file.PatientID


def add_to_sequence(file):
    file.OtherPatientIDsSequence[0].PatientName = "Added"


def remove_item(file):
    del file.OtherPatientIDsSequence[0]


def order_items(file):
    file.OtherPatientIDsSequence = Sequence(reversed(file.OtherPatientIDsSequence))


def change_pixel(file):
    file.PixelData = b"\1" + file.PixelData[1:]


def change_vr(file):
    file[0x00080050] = DataElement(0x00080050, "LO", file.AccessionNumber)


def change_private(file):
    file[0x00091004].value = "OTHER"


def forget_tag(file):
    parameters = file[0x4FFE0001][0]
    parameters.DataElementsSigned = list(parameters.DataElementsSigned)[1:]


def order_tags(file):
    parameters = file[0x4FFE0001][0]
    parameters.DataElementsSigned = list(reversed(parameters.DataElementsSigned))


def other_algorithm(file):
    file[0x4FFE0001][0].MACAlgorithm = "SHA512"


def unknown_algorithm(file):
    file[0x4FFE0001][0].MACAlgorithm = "CRC32"


def without_parameters(file):
    del file[0x4FFE0001]


def two_parameters(file):
    file[0x4FFE0001].value.append(file[0x4FFE0001][0])


def other_time(file):
    file[0xFFFAFFFA][0].DigitalSignatureDateTime = "20260101000000.000000+0000"


def other_uid(file):
    file[0xFFFAFFFA][0].DigitalSignatureUID = "1.2.3"


def add_purpose(file):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "5", "ASTM-sigpurpose", "x"
    file[0xFFFAFFFA][0].DigitalSignaturePurposeCodeSequence = [code]


def change_signature(file):
    item = file[0xFFFAFFFA][0]
    item.Signature = item.Signature[:-1] + bytes([item.Signature[-1] ^ 1])


def cut_signature(file):
    file[0xFFFAFFFA][0].Signature = file[0xFFFAFFFA][0].Signature[:-2]


def break_certificate(file):
    file[0xFFFAFFFA][0].CertificateOfSigner = b"\x30\x82\xff\xff" + bytes(64)


def false_timestamp(file):
    item = file[0xFFFAFFFA][0]
    item.CertifiedTimestampType, item.CertifiedTimestamp = "CMS_TSP", b"\x30\x03\x02\x01\x00\x00"


def sign_what_may_not_be(file):
    parameters = file[0x4FFE0001][0]
    parameters.DataElementsSigned = [*parameters.DataElementsSigned, 0xFFFAFFFA]


@pytest.mark.parametrize(
    "tamper",
    [change_value, remove, add_to_sequence, remove_item, order_items, change_pixel, change_vr,
     change_private, forget_tag, order_tags, other_algorithm, unknown_algorithm,
     without_parameters, two_parameters, other_time, other_uid, add_purpose, change_signature,
     cut_signature, break_certificate, false_timestamp, sign_what_may_not_be],
)  # fmt: skip
def test_tampering_is_found(run, keys, signed, tmp_path, tamper):
    file = dcmread(signed)
    tamper(file)
    file.save_as(tmp_path / "tampered.dcm")
    authority = keys.certificate("authority")
    code, out, err = run("verify", "--ca", authority, tmp_path / "tampered.dcm")
    assert (code, ": invalid" in out, bool(err)) == (1, True, True)
    assert "internal error" not in err


def test_a_certificate_of_somebody_else_is_found(run, keys, signed, tmp_path):
    file = dcmread(signed)
    other = tmp_path / CT.name
    run("sign", CT, *keys.sign_with("stranger"), "-o", tmp_path)
    file[0xFFFAFFFA][0].CertificateOfSigner = dcmread(other)[0xFFFAFFFA][0].CertificateOfSigner
    file.save_as(tmp_path / "tampered.dcm")
    code, out, _ = run("verify", "--any-signer", tmp_path / "tampered.dcm")
    assert (code, ": invalid" in out) == (1, True)


def test_signers_that_nobody_vouches_for_are_not_trusted(run, keys, tmp_path):
    run("sign", CT, *keys.sign_with("stranger"), "-o", tmp_path)
    code, out, err = run("verify", "--ca", keys.certificate("authority"), tmp_path / CT.name)
    assert (code, ": untrusted" in out) == (1, True)
    assert "signature 2.25." in err
    # He is trusted if he himself is named.
    assert run("verify", "--ca", keys.certificate("stranger"), tmp_path / CT.name)[0] == 0


def test_what_is_added_unsigned_is_named(run, keys, signed, tmp_path):
    file = dcmread(signed)
    file.PatientComments = "not there when it was signed"
    file.save_as(tmp_path / "added.dcm")
    code, out, _ = run("verify", "--ca", keys.certificate("authority"), tmp_path / "added.dcm")
    assert (code, "not signed: PatientComments" in out) == (0, True)


def test_files_without_signatures_have_an_exit_code_of_their_own(run, signed):
    assert run("verify", "--any-signer", CT)[0] == 3
    assert run("verify", "--any-signer", "--require", "base", CT)[0] == 1
    assert run("verify", "--list", signed)[0] == 0
    assert run("verify", CT)[0] == 2
    assert run("verify", "--any-signer", "--ca", CT, CT)[0] == 2


def test_nothing_is_replaced_without_a_word(run, keys, tmp_path):
    (tmp_path / CT.name).write_bytes(b"mine")
    code, _, err = run("sign", CT, *keys.sign_with("signer"), "-o", tmp_path)
    assert (code, "--overwrite" in err) == (1, True)
    assert [each.name for each in tmp_path.iterdir()] == [CT.name]
    assert (tmp_path / CT.name).read_bytes() == b"mine"
    assert run("sign", CT, *keys.sign_with("signer"))[0] == 2


@pytest.mark.parametrize(
    ("key", "certificate", "more", "reason"),
    [
        ("signer.key", "curve.pem", "", "not of the key"),
        ("lapsed.key", "lapsed.pem", "", "was valid until"),
        ("signer.pem", "signer.pem", "", "it is no key"),
        ("signer.key", "signer.key", "", "signer.key"),
        ("signer.key", "signer.pem", "--purpose 19", "1 to 18"),
        ("signer.key", "signer.pem", "--tag Nothing", "Nothing"),
        ("signer.key", "signer.pem", "--timestamp-url file:///x", "http://"),
    ],
)  # fmt: skip
def test_what_cannot_sign_is_said_before(run, keys, tmp_path, key, certificate, more, reason):
    files = ["--private-key", keys.folder / key, "--certificate", keys.folder / certificate]
    code, _, err = run("sign", CT, *files, *more.split(), "-o", tmp_path)
    assert (code, reason in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_key_may_have_a_password(run, keys, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    output = tmp_path / "out"
    more = ["--password-file", password, "-o", output]
    assert run("sign", CT, *keys.sign_with("guarded"), *more)[0] == 0
    password.write_text("wrong\n")
    assert run("sign", CT, *keys.sign_with("guarded"), *more, "--overwrite")[0] == 2


def test_compressed_pixel_data_are_told_from_tampering(run, keys, signed, tmp_path):
    run("convert", "-t", "jpeg-ls-lossless", signed, tmp_path / "ls.dcm")
    code, out, err = run("verify", "--any-signer", tmp_path / "ls.dcm")
    assert (code, ": undecided" in out, "convert the file first" in err) == (1, True, True)
    run("convert", "-t", "explicit", tmp_path / "ls.dcm", tmp_path / "back.dcm")
    assert run("verify", "--any-signer", tmp_path / "back.dcm")[0] == 0


def test_a_vr_that_is_lost_is_told_from_tampering(run, keys, signed, tmp_path):
    run("convert", "-t", "implicit", signed, tmp_path / "implicit.dcm")
    code, out, err = run("verify", "--any-signer", tmp_path / "implicit.dcm")
    assert (code, ": undecided" in out, "is lost" in err) == (1, True, True)


def test_modify_names_signatures_that_it_breaks(run, keys, signed, tmp_path):
    code, _, err = run("modify", signed, "-s", "PatientName=Other", "-o", tmp_path)
    assert (code, "is not valid any more, as it signs PatientName" in err) == (0, True)
    both = ("-d", "DigitalSignaturesSequence", "-d", "MACParametersSequence")
    code, _, err = run("modify", signed, *both, "-s", "PatientName=Other", "-o", tmp_path / "2")
    assert (code, err) == (0, "")
    code, _, err = run("modify", signed, "-s", "PatientComments=Added", "-o", tmp_path / "3")
    assert (code, err) == (0, "")
    assert run("verify", "--any-signer", tmp_path / "3" / signed.name)[0] == 0


@pytest.mark.parametrize("length", [100, 39000, -300, -2])
def test_files_that_are_cut_are_named(run, keys, signed, tmp_path, length):
    (tmp_path / "cut.dcm").write_bytes(signed.read_bytes()[:length])
    code, _, err = run("verify", "--any-signer", tmp_path / "cut.dcm")
    assert (code, "cut.dcm" in err, "internal error" in err) == (1, True, False)
    code, _, err = run("sign", tmp_path / "cut.dcm", *keys.sign_with("signer"), "--in-place")
    assert (code, "internal error" in err) == (1, False)


def test_the_byte_stream_is_that_of_dcmsign(dcmsign, keys, tmp_path):
    """PS3.3 C.12.1.1.3.1.2, byte for byte, with sequences in sequences."""
    from pacs_signatures.byte_stream import ByteStream, select
    from pacs_signatures.model import find_signatures
    from pacs_tools.api import open_dicom

    from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN

    made, dump = tmp_path / "made.dcm", tmp_path / "dump"
    key, certificate = keys.key("signer"), keys.certificate("signer")
    assert dcmsign("+s", key, certificate, "+m2", "+d", dump, REPORT, made)[0]
    parts: list[bytes] = []

    class Collector:
        def update(self, data):
            parts.append(bytes(data))

        def digest(self):
            return b""

    with open_dicom(made) as file:
        (signature,) = find_signatures(file.elements)
        stream = ByteStream(file, EXPLICIT_VR_LITTLE_ENDIAN, Collector())
        stream.add(select(signature.within, signature.parameters[0].tags))
        stream.add(signature.signed_attributes)
    assert b"".join(parts) == dump.read_bytes()
    assert struct.pack("<HH", 0xFFFE, 0xE0DD) in dump.read_bytes()
