"""DCMTK, pynetdicom and openssl as requestors and as acceptors of secured associations."""

import ssl

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from .conftest import move

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"

# What this DCMTK knows of PS3.15: Non-downgrading BCP 195, BCP 195, Extended BCP 195.
PROFILES = ("+py", "+px", "+pz")


@pytest.fixture
def options(of_modality, authority):
    """What DCMTK's programs need to know."""
    return ("+tls", of_modality.key, of_modality.certificate, "+cf", authority.file)


@pytest.fixture
def ssl_context(of_modality, authority):
    """Return a function that makes a context of this side for pynetdicom."""

    def ssl_context(purpose, version=None):
        context = ssl.create_default_context(purpose, cafile=authority.file)
        context.check_hostname = False
        context.load_cert_chain(of_modality.certificate, of_modality.key)
        if purpose is ssl.Purpose.CLIENT_AUTH:
            context.verify_mode = ssl.CERT_REQUIRED
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    return ssl_context


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("profile", PROFILES)
def test_the_profiles_of_echoscu(secure_node, programs, options, profile):
    with secure_node() as node:
        address = ("-aec", "PACS", "127.0.0.1", node.port)
        output = programs.run("echoscu", *options, profile, "-v", *address)
        assert "Received Echo Response (Success)" in output
        (details,) = node.await_details("association-accepted")
        assert details["tls"] in ("TLSv1.2", "TLSv1.3")


@pytest.mark.peer("dcmtk")
def test_storescu_findscu_and_a_move_to_storescp(
    secure_node, programs, options, of_modality, authority, image, file, free_port, tmp_path
):
    received = tmp_path / "received"
    received.mkdir()
    peer = {"ae_title": "SCP", "host": "127.0.0.1", "port": free_port}
    # DCMTK's certificate is the modality's, which does not name this host.
    peer["tls"] = {"ca": str(authority.file), "check_hostname": False, **of_modality.own}
    serving = programs.serve("storescp", free_port, *options, "-aet", "SCP", "-od", received, "+B")
    with secure_node(remote={"scp": peer}) as node, serving:
        address = ("-aec", "PACS", "127.0.0.1", node.port)
        programs.run("storescu", *options, "-v", *address, file)
        output = programs.run(
            "findscu", *options, "-S", *address, "-k", "0008,0052=STUDY", "-k", "PatientID"
        )
        assert "P1" in output
        assert move(node, of_modality, image, "SCP") == (0x0000, 1)
        (stored,) = received.iterdir()
        assert dcmread(stored).PixelData == image.PixelData


@pytest.mark.peer("dcmtk")
def test_the_retired_aes_profile_is_refused(secure_node, programs, options):
    """It has TLS_RSA_WITH_AES_128_CBC_SHA only, which RFC 9325 §4.1 advises against."""
    with secure_node() as node:
        address = ("-aec", "PACS", "127.0.0.1", node.port)
        programs.run("echoscu", *options, "+pa", *address, code=None)
        node.await_refusal("cipher-suite")


@pytest.mark.peer("dcmtk")
def test_a_program_without_a_certificate(secure_node, programs, authority):
    with secure_node() as node:
        arguments = ("+tla", "+cf", authority.file, "-aec", "PACS", "127.0.0.1", node.port)
        programs.run("echoscu", *arguments, code=None)
        node.await_refusal("no-certificate")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pynetdicom_stores(secure_node, ssl_context, image, version):
    with secure_node() as node:
        ae = AE("PYNETDICOM")
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        context = ssl_context(ssl.Purpose.SERVER_AUTH, version)
        association = ae.associate("127.0.0.1", node.port, tls_args=(context, None))
        assert association.is_established
        for _ in range(2):
            assert association.send_c_store(image).Status == 0x0000
        association.release()
        assert node.await_details("association-released")[0]["reason"].startswith("released")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_node_moves_to_pynetdicom(
    secure_node, ssl_context, of_modality, authority, image, version
):
    """The association to the destination is secured as well (PS3.4 C.4.2.1: one of its own)."""
    got = []
    ae = AE("SCP")
    ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)

    def store(event):
        got.append(event.dataset.PixelData)
        return 0x0000

    context = ssl_context(ssl.Purpose.CLIENT_AUTH, version)
    server = ae.start_server(
        ("127.0.0.1", 0), False, evt_handlers=[(evt.EVT_C_STORE, store)], ssl_context=context
    )
    try:
        port = server.server_address[1]
        tls = {"ca": str(authority.file), "check_hostname": False, **of_modality.own}
        scp = {"ae_title": "SCP", "host": "127.0.0.1", "port": port, "tls": tls}
        with secure_node(remote={"scp": scp}) as node:
            sender = AE("SENDER")
            sender.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            plain = sender.associate("127.0.0.1", node.node.port)
            assert plain.send_c_store(image).Status == 0x0000
            plain.release()
            assert move(node, of_modality, image, "SCP") == (0x0000, 1)
            assert got == [image.PixelData]
    finally:
        server.shutdown()


def test_no_compression_no_renegotiation_no_tickets(secure_node, programs, of_modality):
    with secure_node() as node:
        own = ("-cert", of_modality.certificate, "-key", of_modality.key)
        where = ("s_client", "-connect", f"127.0.0.1:{node.port}", "-tls1_2", *own)
        output = programs.run("openssl", *where, code=None)
        assert "Compression: NONE" in output
        assert "TLS session ticket:" not in output
