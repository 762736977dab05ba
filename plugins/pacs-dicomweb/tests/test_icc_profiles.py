"""Colours of rendered images by their ICC profiles (PS3.18 §8.3.5.1.5, PS3.3 C.11.15)."""

from io import BytesIO

import numpy as np
import pytest
from PIL import ImageCms

from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, picture

ORANGE = (200, 120, 40)


def profile_with_red_and_blue_exchanged():
    """Return a profile of a device whose first channel is blue, and the last red."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * int.from_bytes(content[128:132], "big"), 12):
        name = bytes(content[at : at + 4])
        content[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(content)


SWAPPED = profile_with_red_and_blue_exchanged()
SRGB = "sRGB built-in"


def store(web, **more):
    pixels = np.full((8, 8, 3), ORANGE, "u1")
    made = SampleStudy().make(
        "CT",
        PhotometricInterpretation="RGB",
        SamplesPerPixel="3",
        PlanarConfiguration="0",
        Rows="8",
        Columns="8",
        BitsAllocated="8",
        BitsStored="8",
        HighBit="7",
        PixelRepresentation="0",
        PixelData=pixels.tobytes(),
        **more,
    )
    assert web.store(made).status_code == 200
    return path_of(made)


def description(image):
    profile = image.info.get("icc_profile")
    return (
        profile
        and ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile))).strip()
    )


@pytest.mark.parametrize("where", ["image", "optical path"])
@pytest.mark.parametrize("kind", ["image/png", "image/jpeg"])
def test_colours_are_those_that_are_asked_for(shared, where, kind):
    profile = {"ICCProfile": SWAPPED + b"\0" * (len(SWAPPED) % 2)}
    path = store(shared, **(profile if where == "image" else {"OpticalPathSequence": [profile]}))
    for query, colour, embedded in (
        ("", ORANGE, None),
        ("?iccprofile=no", ORANGE, None),
        ("?iccprofile=yes", ORANGE, SWAPPED),
        ("?iccprofile=sRGB", ORANGE[::-1], SRGB),
    ):
        for resource in ("rendered", "frames/1/rendered", "thumbnail"):
            found = picture(shared.get(f"{path}/{resource}{query}", kind))
            assert found.mode == "RGB"
            assert np.abs(np.subtract(found.getpixel((4, 4)), colour)).max() <= 4, query
            if isinstance(embedded, bytes):
                assert found.info["icc_profile"] == embedded
            else:
                assert description(found) == embedded


def test_an_image_without_a_profile_is_in_srgb(shared):
    path = store(shared)
    for query in ("yes", "srgb"):
        found = picture(shared.get(f"{path}/rendered?iccprofile={query}", "image/png"))
        assert found.getpixel((4, 4)) == ORANGE
        assert description(found) == SRGB


def test_what_has_no_colours_has_no_profile(shared):
    made = SampleStudy().make("CT")
    shared.store(made)
    found = picture(shared.get(f"{path_of(made)}/rendered?iccprofile=srgb", "image/png"))
    assert "icc_profile" not in found.info
    moving = shared.get(f"{store(shared)}/rendered?iccprofile=srgb", "image/gif")
    assert picture(moving).convert("RGB").getpixel((4, 4)) == ORANGE


@pytest.mark.parametrize(
    "content", [b"no profile at all", SWAPPED[:200], b"\0\0\0\x80" + bytes(124)]
)
def test_a_broken_profile_costs_only_who_asks_for_it(shared, content):
    path = store(shared, ICCProfile=content + b"\0" * (len(content) % 2))
    assert shared.get(f"{path}/rendered").status_code == 200
    for query in ("yes", "srgb"):
        assert shared.get(f"{path}/rendered?iccprofile={query}").status_code == 406
    assert shared.is_well()


@pytest.mark.parametrize("name", ["adobergb", "bogus"])
def test_colours_that_there_are_not(shared, name):
    assert shared.get(f"{store(shared)}/rendered?iccprofile={name}").status_code == 400
