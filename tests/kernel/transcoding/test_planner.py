"""Pass through, transcode or refuse: the rules of docs/explanation/transcoding.md."""

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from pacs_core.contracts import (
    NO_IMAGE,
    Action,
    CodecDescriptor,
    EncodeOptions,
    FrameFormat,
    Peer,
    TransferPolicy,
)
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, encoding_of, transfer_syntax_uid
from pacs_core.imaging import is_lossless, is_video
from pacs_core.transcoding import Planner, codec_table

IMPLICIT, EXPLICIT, BIG, DEFLATED = map(
    transfer_syntax_uid, ("implicit", "explicit", "big endian", "deflated")
)
JLS, J2K, J2K_LOSSY, RLE, BASELINE, JXL = map(
    transfer_syntax_uid,
    ("JPEG-LS", "JPEG 2000 Lossless", "JPEG 2000", "RLE", "JPEG Baseline", "JPEG XL Lossless"),
)
JXL_JPEG = transfer_syntax_uid("JPEG XL Recompression")
PAIRS = frozenset({(BASELINE, JXL_JPEG), (JXL_JPEG, BASELINE)})
MPEG = "1.2.840.10008.1.2.4.102"
TABLE = codec_table(
    [
        CodecDescriptor("jls", frozenset({JLS}), frozenset({JLS}), object),
        CodecDescriptor("j2k", frozenset({J2K, J2K_LOSSY}), frozenset({J2K}), object),
        CodecDescriptor("j2k-lossy", frozenset(), frozenset({J2K_LOSSY}), object),
        CodecDescriptor("rle", frozenset({RLE}), frozenset(), object),
        CodecDescriptor("jpeg", frozenset({BASELINE}), frozenset({BASELINE}), object),
        CodecDescriptor("jxl", frozenset({JXL_JPEG}), frozenset(), object, recompresses=PAIRS),
    ]
)
PLANNER = Planner(TABLE)
LOSSY = TransferPolicy(preferred=(BASELINE,), lossy=True, options=EncodeOptions(ratio=10.0))


def peer(**policy):
    return Peer("PEER", "host", 104, transfer=TransferPolicy(**policy))


@pytest.mark.parametrize(
    ("source", "accepted", "policy", "action", "target"),
    [
        # What is stored goes out as it is wherever it is accepted ...
        (JLS, {JLS, EXPLICIT, IMPLICIT}, {}, Action.PASS_THROUGH, JLS),
        (JXL, {JXL}, {}, Action.PASS_THROUGH, JXL),
        (BASELINE, {BASELINE, EXPLICIT}, {}, Action.PASS_THROUGH, BASELINE),
        (MPEG, {MPEG, EXPLICIT}, {"preferred": (EXPLICIT,)}, Action.PASS_THROUGH, MPEG),
        # ... unless another lossless form is preferred to it
        (EXPLICIT, {JLS, EXPLICIT}, {"preferred": (JLS,)}, Action.TRANSCODE, JLS),
        (EXPLICIT, {EXPLICIT}, {"preferred": (JLS,)}, Action.PASS_THROUGH, EXPLICIT),
        (J2K, {JLS, J2K}, {"preferred": (J2K, JLS)}, Action.PASS_THROUGH, J2K),
        (J2K, {JLS, J2K}, {"preferred": (JLS, J2K)}, Action.TRANSCODE, JLS),
        (J2K, {RLE, J2K}, {"preferred": (RLE,)}, Action.PASS_THROUGH, J2K),
        # Else in the order of preference, explicit little endian, implicit, others
        (J2K, {EXPLICIT, IMPLICIT, BIG}, {}, Action.TRANSCODE, EXPLICIT),
        (J2K, {IMPLICIT, BIG}, {}, Action.TRANSCODE, IMPLICIT),
        (J2K, {BIG}, {}, Action.TRANSCODE, BIG),
        (J2K, {IMPLICIT, JLS}, {"preferred": (JXL, JLS)}, Action.TRANSCODE, JLS),
        (RLE, {JLS}, {}, Action.TRANSCODE, JLS),
        (EXPLICIT, {IMPLICIT}, {}, Action.TRANSCODE, IMPLICIT),
        (EXPLICIT, {DEFLATED}, {}, Action.TRANSCODE, DEFLATED),
        (BASELINE, {JLS, BASELINE}, {"preferred": (JLS,)}, Action.TRANSCODE, JLS),
        # Never what the configuration of the peer excludes
        (JLS, {JLS, EXPLICIT}, {"accepted": (EXPLICIT,)}, Action.TRANSCODE, EXPLICIT),
        (JLS, {JLS}, {"accepted": (EXPLICIT,)}, Action.REFUSE, ""),
        # Lossy only where that is configured
        (EXPLICIT, {BASELINE}, {}, Action.REFUSE, ""),
        (EXPLICIT, {BASELINE, EXPLICIT}, {"preferred": (BASELINE,)}, Action.PASS_THROUGH, EXPLICIT),
        (EXPLICIT, {BASELINE}, {"preferred": (JLS,), "lossy": True}, Action.REFUSE, ""),
        (EXPLICIT, {J2K_LOSSY}, {}, Action.REFUSE, ""),
        # What is recompressed loses nothing, and stays smaller than native pixels
        (BASELINE, {JXL_JPEG}, {}, Action.TRANSCODE, JXL_JPEG),
        (JXL_JPEG, {BASELINE}, {}, Action.TRANSCODE, BASELINE),
        (JXL_JPEG, {BASELINE, EXPLICIT}, {}, Action.TRANSCODE, BASELINE),
        (JXL_JPEG, {BASELINE, JXL_JPEG}, {}, Action.PASS_THROUGH, JXL_JPEG),
        (JXL_JPEG, {BASELINE, JXL_JPEG}, {"preferred": (BASELINE,)}, Action.TRANSCODE, BASELINE),
        (JXL_JPEG, {BASELINE, JLS}, {"preferred": (JLS,)}, Action.TRANSCODE, JLS),
        (JXL_JPEG, {BASELINE, EXPLICIT}, {"accepted": (EXPLICIT,)}, Action.TRANSCODE, EXPLICIT),
        (JXL_JPEG, {EXPLICIT}, {}, Action.TRANSCODE, EXPLICIT),
        (EXPLICIT, {JXL_JPEG}, {}, Action.REFUSE, ""),
        # Impossible
        (EXPLICIT, set(), {}, Action.REFUSE, ""),
        (JXL, {EXPLICIT}, {}, Action.REFUSE, ""),
        (EXPLICIT, {RLE}, {}, Action.REFUSE, ""),
        (MPEG, {EXPLICIT, JLS}, {}, Action.REFUSE, ""),
        (EXPLICIT, {MPEG}, {}, Action.REFUSE, ""),
    ],
)
def test_rules(source, accepted, policy, action, target):
    plan = PLANNER.plan(source, accepted, peer(**policy))
    assert (plan.action, plan.target) == (action, target)
    assert plan.source == source
    assert plan.reason


@pytest.mark.parametrize(
    ("source", "accepted", "reason"),
    [
        (JXL, {EXPLICIT}, "no installed codec decodes JPEG XL Lossless"),
        (JXL, {EXPLICIT}, "install pacs-codec-imagecodecs"),
        (EXPLICIT, {RLE}, "no installed codec encodes RLE Lossless (install pacs-codec-basic"),
        (EXPLICIT, {BASELINE}, "JPEG Baseline is lossy, which"),
        (EXPLICIT, {JXL_JPEG}, "JPEG XL Recompression can only be made from JPEG Baseline"),
        (MPEG, {EXPLICIT}, "video is never converted"),
        (EXPLICIT, set(), "accepts no transfer syntax"),
        (RLE, {JXL}, "stored in RLE Lossless, negotiated JPEG XL Lossless: no installed codec enc"),
    ],
)
def test_a_refusal_says_what_is_missing(source, accepted, reason):
    assert reason in PLANNER.plan(source, accepted).reason


def test_a_plan_names_the_codecs():
    plan = PLANNER.plan(RLE, {J2K})
    assert (plan.decoder, plan.encoder) == ("rle", "j2k")
    assert (PLANNER.plan(RLE, {EXPLICIT}).decoder, PLANNER.plan(RLE, {EXPLICIT}).encoder) == (
        "rle",
        "",
    )


@pytest.mark.parametrize(("source", "target"), sorted(PAIRS))
def test_what_is_recompressed_is_no_other_image(source, target):
    policy = evolve(LOSSY, preferred=(target,), new_uid=True)
    options = EncodeOptions(quality=50.0)
    for plan in (
        PLANNER.plan(source, {target}, Peer("P", "h", 1, transfer=policy)),
        PLANNER.conversion(source, target, options, new_uid=True),
    ):
        assert plan.recompress
        assert (plan.decoder, plan.encoder) == ("", "jxl")
        assert "recompressed, without loss" in plan.reason
        assert plan.options == EncodeOptions()
        assert plan.sop_instance_uid("1.2.3") == "1.2.3"


def test_lossy_by_configuration():
    plan = PLANNER.plan(EXPLICIT, {BASELINE, EXPLICIT}, Peer("P", "h", 1, transfer=LOSSY))
    assert (plan.action, plan.target) == (Action.TRANSCODE, BASELINE)
    assert plan.options.ratio == 10.0
    assert plan.sop_instance_uid("1.2.3") == "1.2.3"


def test_what_is_lossy_already_is_not_made_worse_without_need():
    someone = Peer("P", "h", 1, transfer=LOSSY)
    assert PLANNER.plan(J2K_LOSSY, {J2K_LOSSY, BASELINE}, someone).target == J2K_LOSSY
    assert PLANNER.plan(J2K_LOSSY, {EXPLICIT, BASELINE}, someone).target == EXPLICIT
    assert PLANNER.plan(J2K_LOSSY, {BASELINE}, someone).target == BASELINE


def test_a_new_uid_is_valid_and_the_same_every_time():
    someone = Peer("P", "h", 1, transfer=evolve(LOSSY, new_uid=True))
    plan = PLANNER.plan(EXPLICIT, {BASELINE}, someone)
    uid = plan.sop_instance_uid("1.2.3")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert uid == plan.sop_instance_uid("1.2.3") != plan.sop_instance_uid("1.2.4")
    assert not PLANNER.plan(EXPLICIT, {IMPLICIT}, someone).new_uid


def test_the_node_prefers_for_peers_that_do_not():
    planner = Planner(TABLE, TransferPolicy(preferred=(JLS,)))
    assert planner.plan(EXPLICIT, {EXPLICIT, JLS}).target == JLS
    assert planner.plan(EXPLICIT, {EXPLICIT, JLS}, peer()).target == JLS
    assert planner.plan(EXPLICIT, {EXPLICIT, JLS, J2K}, peer(preferred=(J2K,))).target == J2K


@pytest.mark.parametrize(
    ("source", "policy", "proposals"),
    [
        (EXPLICIT, {}, (EXPLICIT, IMPLICIT)),
        (JLS, {}, (JLS, EXPLICIT, IMPLICIT)),
        (JXL, {}, (JXL,)),
        (MPEG, {}, (MPEG,)),
        (BIG, {}, (BIG, EXPLICIT, IMPLICIT)),
        (JXL_JPEG, {}, (JXL_JPEG, BASELINE, EXPLICIT, IMPLICIT)),
        (JLS, {"preferred": (J2K, RLE, JXL)}, (J2K, JLS, EXPLICIT, IMPLICIT)),
        (JLS, {"accepted": (J2K, EXPLICIT)}, (EXPLICIT, J2K)),
        (JXL, {"accepted": (J2K, EXPLICIT)}, ()),
    ],
)
def test_proposals(source, policy, proposals):
    assert PLANNER.proposals(source, peer(**policy)) == proposals


GREY_8 = FrameFormat(4, 4, 1, 8, 8, is_signed=False, photometric_interpretation="MONOCHROME2")
GREY_16 = evolve(GREY_8, bits_allocated=16, bits_stored=16)
PALETTE = evolve(GREY_8, photometric_interpretation="PALETTE COLOR")
RGB = evolve(GREY_8, samples_per_pixel=3, photometric_interpretation="RGB")
FITS = "prefers JPEG Baseline"
NO_PIXELS = "it has no pixels to compress"


@pytest.mark.parametrize(
    ("source", "accepted", "image", "target", "reason"),
    [
        (EXPLICIT, {BASELINE, EXPLICIT}, None, BASELINE, FITS),
        (EXPLICIT, {BASELINE, EXPLICIT}, GREY_8, BASELINE, FITS),
        (EXPLICIT, {BASELINE, EXPLICIT}, RGB, BASELINE, FITS),
        # Colours are transformed by the encoder: YBR_RCT is not in Table 8.2.1-1
        (J2K, {BASELINE, J2K}, evolve(RGB, photometric_interpretation="YBR_RCT"), BASELINE, FITS),
        # What does not fit into the preferred form goes out in the next
        (EXPLICIT, {BASELINE, EXPLICIT}, GREY_16, EXPLICIT, "JPEG Baseline holds 8 bits, not 16; "),
        (IMPLICIT, {BASELINE, EXPLICIT}, GREY_16, EXPLICIT, "but Explicit VR Little Endian"),
        (J2K, {BASELINE, JLS}, GREY_16, JLS, "JPEG Baseline holds 8 bits, not 16; "),
        (EXPLICIT, {BASELINE, EXPLICIT}, evolve(GREY_8, is_signed=True), EXPLICIT, "signed"),
        (EXPLICIT, {BASELINE, EXPLICIT}, PALETTE, EXPLICIT, "not hold PALETTE COLOR; "),
        (
            EXPLICIT,
            {BASELINE, EXPLICIT},
            evolve(GREY_8, bits_allocated=16),
            EXPLICIT,
            "JPEG Baseline does not hold 8 bits of 16 allocated; ",
        ),
        # Without a next one it is refused
        (EXPLICIT, {BASELINE}, GREY_16, "", "negotiated JPEG Baseline: JPEG Baseline holds 8 bits"),
        (EXPLICIT, {J2K}, evolve(GREY_16, bits_allocated=32, bits_stored=32), "", "j2k encodes 1"),
        (EXPLICIT, {JLS}, evolve(GREY_8, bits_stored=1), "", "holds 2 to 16 bits, not 1"),
        # Without pixels only the elements count
        (EXPLICIT, {BASELINE, EXPLICIT}, NO_IMAGE, EXPLICIT, NO_PIXELS),
        (IMPLICIT, {BASELINE, JLS, BIG}, NO_IMAGE, BIG, NO_PIXELS),
        (JLS, {BASELINE, JLS}, NO_IMAGE, JLS, NO_PIXELS),
        (EXPLICIT, {JLS}, NO_IMAGE, JLS, "but JPEG-LS Lossless"),
        (EXPLICIT, {BASELINE}, NO_IMAGE, BASELINE, "but JPEG Baseline"),
        (EXPLICIT, set(), NO_IMAGE, "", "no transfer syntax"),
        # What is recompressed, or goes out as it is, has the form already
        (JXL_JPEG, {BASELINE}, GREY_16, BASELINE, "without loss"),
        (BASELINE, {BASELINE}, GREY_16, BASELINE, "as it is stored"),
    ],
)
def test_what_an_image_is_decides_which_forms_can_hold_it(source, accepted, image, target, reason):
    policy = evolve(LOSSY, new_uid=True)
    plan = PLANNER.plan(source, accepted, Peer("P", "h", 1, transfer=policy), image)
    assert plan.target == target
    assert reason in plan.reason
    if image == NO_IMAGE:
        assert (plan.new_uid, plan.options) == (False, EncodeOptions())


SYNTAXES = st.sampled_from([syntax.uid for syntax in ALL_TRANSFER_SYNTAXES] + ["1.2.3.4"])
POLICIES = st.builds(
    TransferPolicy,
    accepted=st.lists(SYNTAXES, max_size=4).map(tuple),
    preferred=st.lists(SYNTAXES, max_size=4).map(tuple),
    lossy=st.booleans(),
    new_uid=st.booleans(),
)


@given(source=SYNTAXES, accepted=st.sets(SYNTAXES), policy=POLICIES)
def test_nothing_that_was_not_negotiated_and_nothing_lossy_by_accident(source, accepted, policy):
    plan = PLANNER.plan(source, accepted, Peer("P", "h", 1, transfer=policy))
    if plan.action is Action.REFUSE:
        assert plan.target == ""
        return
    assert plan.target in accepted
    assert not policy.accepted or plan.target in policy.accepted
    assert (plan.action is Action.PASS_THROUGH) == (plan.target == source)
    if plan.action is Action.TRANSCODE:
        assert not is_video(source)
        assert not is_video(plan.target)
        assert plan.recompress == ((source, plan.target) in PAIRS)
        lossless = plan.recompress or is_lossless(plan.target)
        assert lossless or (policy.lossy and plan.target in policy.preferred)
        assert bool(plan.decoder) == (encoding_of(source).encapsulated and not plan.recompress)
        assert bool(plan.encoder) == encoding_of(plan.target).encapsulated


@given(source=SYNTAXES, policy=POLICIES)
def test_each_proposal_can_be_planned(source, policy):
    someone = Peer("P", "h", 1, transfer=policy)
    proposals = PLANNER.proposals(source, someone)
    assert len(set(proposals)) == len(proposals)
    for uid in proposals:
        assert PLANNER.plan(source, {uid}, someone).target == uid
    if proposals:
        assert PLANNER.plan(source, proposals, someone).target == proposals[0]
