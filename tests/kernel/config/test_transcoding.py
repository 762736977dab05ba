"""What may be configured of transcoding: names of transfer syntaxes, codecs, lossy compression."""

import pytest

from pacs_core.config import Config, ConfigError, structure
from pacs_core.dataset import transfer_syntax_uid

JLS, RLE, BASELINE = map(transfer_syntax_uid, ("JPEG-LS", "RLE", "JPEG Baseline"))
PEER = {"ae_title": "PEER", "host": "h"}


def test_peers_have_policies_by_name_or_uid():
    peer = {
        **PEER,
        "accepted": ["jpeg-ls", RLE],
        "preferred": ["JPEG Baseline"],
        "lossy": True,
        "ratio": 10,
        "new_uid": True,
    }
    policy = structure({"peers": {"x": peer}}, Config, "").settings.peers["x"].transfer
    assert (policy.accepted, policy.preferred) == ((JLS, RLE), (BASELINE,))
    assert (policy.lossy, policy.options.ratio, policy.new_uid) == (True, 10.0, True)


def test_codecs_are_chosen_by_transfer_syntax():
    settings = structure({"transcoding": {"codecs": {"rle": "mine"}}}, Config, "").transcoding
    assert settings.codec_choices == {RLE: "mine"}


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({"transcoding": {"preferred": ["JPEG 3000"]}}, "transcoding.preferred: 'JPEG 3000' is no"),
        ({"transcoding": {"codecs": {"J": "x"}}}, "transcoding.codecs: 'J' is no transfer syntax"),
        ({"transcoding": {"limits": {"workers": 0}}}, "transcoding.limits.workers: "),
        ({"transcoding": {"limits": {"memory": 1000}}}, "transcoding.limits.memory: "),
        ({"network": {"receives": ["x"]}}, "network.receives: 'x' is no transfer syntax"),
        ({"peers": {"x": {**PEER, "receives": ["x"]}}}, "peers.x.receives: 'x' is no transfer"),
        ({"peers": {"x": {**PEER, "accepted": ["x"]}}}, "peers.x.accepted: 'x' is no transfer"),
        ({"peers": {"x": {**PEER, "lossy": True}}}, "peers.x: lossy = true: say how lossy"),
        ({"peers": {"x": {**PEER, "quality": 101}}}, "peers.x.quality: "),
        ({"peers": {"x": {**PEER, "ratio": 1}}}, "peers.x.ratio: "),
    ],
)
def test_errors_name_the_key(tables, problem):
    with pytest.raises(ConfigError) as caught:
        structure(tables, Config, "")
    assert any(each.startswith(problem) for each in caught.value.problems), caught.value.problems
