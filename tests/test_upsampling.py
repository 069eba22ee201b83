"""Upsampling against torch.nn.functional.interpolate, as tensors and as files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convmat import GeometryError
from convmat.terminal.picture_files import Written, read_picture, upsample_file, write_picture
from convmat.upsampling import upsample, upsampling_kernel

KERNELS = ("nearest", "bilinear", "bicubic")


def interpolate(image, scale, kernel):
    aligned = {} if kernel == "nearest" else {"align_corners": False}
    return F.interpolate(image[None], scale_factor=float(scale), mode=kernel, **aligned)[0]


@given(st.sampled_from(KERNELS), st.integers(2, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_equals_interpolate(kernel, scale, height, width, channels):
    image = torch.rand(channels, height, width, dtype=torch.float64)
    ours, theirs = upsample(image, scale, kernel), interpolate(image, scale, kernel)
    assert ours.shape == theirs.shape
    border = 2 * scale if kernel == "bicubic" else 0  # where the two continue the picture differently
    inner = (..., slice(border, height * scale - border), slice(border, width * scale - border))
    torch.testing.assert_close(ours[inner], theirs[inner], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_constants_stay_constant_up_to_the_border(kernel):
    flat = torch.full((2, 5, 7), 0.3, dtype=torch.float64)
    torch.testing.assert_close(upsample(flat, 3, kernel), torch.full((2, 15, 21), 0.3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((torch.rand(3, 3), 1), GeometryError, "scale=1 must be at least 2"),
        ((torch.rand(3, 3), 2.5), TypeError, "scale=2.5 must be an integer"),
        ((torch.rand(3, 3), 2, "lanczos"), GeometryError, "'lanczos' is unknown.*'nearest', 'bilinear', 'bicubic'"),
        ((torch.rand(3), 2), GeometryError, r"shape \(3,\).*height, width"),
        ((torch.ones(3, 3, dtype=torch.uint8), 2), TypeError, "torch.uint8.*floating"),
    ],
)
def test_wrong_calls(arguments, error, says):
    with pytest.raises(error, match=says):
        upsample(*arguments)


def test_kernels_sum_to_the_scale():
    for kernel in KERNELS:
        for scale in (2, 3, 4, 5):
            taps, _ = upsampling_kernel(scale, kernel, torch.float64)
            assert taps.sum().item() == pytest.approx(scale)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_files_of_every_mode(mode, kernel, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (11, 13, len(mode)), dtype=np.uint8)
    Image.fromarray(pixels.squeeze(-1) if mode == "L" else pixels).save(tmp_path / "in.png")
    assert upsample_file(tmp_path / "in.png", tmp_path / "out.png", 3, kernel) == Written(width=39, height=33)
    with Image.open(tmp_path / "out.png") as written:
        assert written.mode == mode
        ours = np.atleast_3d(np.asarray(written)).astype(int)
    expected = interpolate(torch.from_numpy(pixels).movedim(-1, 0).double(), 3, kernel).clamp(0, 255).round()
    border = 6 if kernel == "bicubic" else 0
    inner = (slice(border, 33 - border), slice(border, 39 - border))
    assert np.abs(ours - expected.movedim(0, -1).numpy().astype(int))[inner].max() <= 1  # rounding of halves


@pytest.mark.parametrize(("mode", "channels"), [("P", 3), ("1", 1), ("CMYK", 3), ("I;16", 1)])
def test_unusual_modes_are_read(mode, channels, tmp_path):
    source = Image.fromarray(np.full((4, 5), 40000, dtype=np.uint16)) if mode == "I;16" else Image.new(mode, (5, 4), 0)
    source.save(tmp_path / ("in.tiff" if mode == "CMYK" else "in.png"))
    picture = read_picture(next(tmp_path.iterdir())).pixels
    assert picture.shape == (channels, 4, 5)
    if mode == "I;16":
        torch.testing.assert_close(picture, torch.full((1, 4, 5), 40000 / 65535))


def test_photographs_come_the_right_way_up(tmp_path):
    turned = Image.new("RGB", (5, 4))
    exif = turned.getexif()
    exif[0x0112] = 6  # "rotate by 90 degrees to show"
    turned.save(tmp_path / "in.jpg", exif=exif)
    assert read_picture(tmp_path / "in.jpg").pixels.shape == (3, 5, 4)


def test_written_values_are_cut_off_not_wrapped_around(tmp_path):
    write_picture(torch.tensor([[[-1.0, 0.5, 2.0]]]), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert np.asarray(written).tolist() == [[0, 128, 255]]


def test_the_input_is_never_overwritten(tmp_path):
    photo = tmp_path / "photo.png"
    Image.new("RGB", (4, 3)).save(photo)
    (tmp_path / "link.png").symlink_to(photo)
    before = photo.read_bytes()
    for out in (photo, tmp_path / "." / "photo.png", tmp_path / "link.png"):
        with pytest.raises(GeometryError, match="is the picture to read"):
            upsample_file(photo, out, 2)
    assert photo.read_bytes() == before
