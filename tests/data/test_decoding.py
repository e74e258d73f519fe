"""What every kind of image file becomes: red, green and blue in 8 bits, or an error."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from lelkern.data import DataError, load

RAMP = np.array([[0, 1, 128, 129], [383, 384, 30000, 65535]], dtype=np.uint16)
# v / 257, so that 65535 becomes 255, to the nearest.
RAMP_IN_8_BITS = [[0, 0, 0, 1], [1, 1, 117, 255]]
GREY = np.array([[0, 100], [200, 255]], dtype=np.uint8)


@pytest.fixture
def decode(tmp_path):
    """Return what becomes of a file, given by its extension and a function that writes it."""

    def run(extension, write):
        for name in "ab":
            for i in (1, 2):
                path = tmp_path / name / f"{i}.{extension}"
                path.parent.mkdir(exist_ok=True)
                write(path)
        data = load(str(tmp_path))
        images = torch.cat([data.train_images, data.test_images])
        assert (images == images[0]).all()
        return images[0]

    return run


def saving(image, **options):
    return lambda path: image.save(path, **options)


def png(bits, colour_type, pixels):
    """Write pixels (H, W) or (H, W, channels) as a PNG; Pillow writes no colours of 16 bits."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def tiff(pixels, order="<", photometric=1):
    """Write pixels (H, W) or (H, W, 3) as a TIFF of any number type and byte order."""
    shape = (*pixels.shape, 1)[:3]
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits, kind = 8 * pixels.itemsize, {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    # Tags of one number each; of three samples the last two of 16 bits lie behind the directory.
    tags = {256: shape[1], 257: shape[0], 258: bits, 259: 1, 262: photometric}
    tags |= {273: 0, 277: shape[2], 278: shape[0], 279: len(content), 339: kind}
    behind = 8 + 2 + 12 * len(tags) + 4
    tags[273] = behind + 12
    directory, extra = struct.pack(f"{order}H", len(tags)), b""
    for tag, value in tags.items():
        if tag in (258, 339) and shape[2] == 3:
            directory += struct.pack(f"{order}HHII", tag, 3, 3, behind + len(extra))
            extra += struct.pack(f"{order}3H", value, value, value)
        else:
            directory += struct.pack(f"{order}HHII", tag, 4, 1, value)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    file = start + directory + struct.pack(f"{order}I", 0) + extra.ljust(12, b"\0") + content
    return lambda path: path.write_bytes(file)


def ppm(header, values):
    return lambda path: path.write_bytes(header + np.asarray(values).astype(">u2").tobytes())


@pytest.mark.parametrize(
    ("extension", "write"),
    [
        ("png", saving(Image.fromarray(RAMP))),
        ("tif", saving(Image.fromarray(RAMP))),
        ("tif", tiff(RAMP)),
        ("tif", tiff(RAMP, ">")),
        ("tif", saving(Image.fromarray(RAMP.astype(np.int32)))),
        ("tif", tiff(RAMP.astype(np.int32), ">")),
        ("tif", tiff(65535 - RAMP, photometric=0)),
        ("pgm", ppm(b"P5 4 2 65535\n", RAMP)),
    ],
    ids=["png", "tiff", "II", "MM", "int32", "int32 MM", "white is zero", "pgm"],
)
def test_16_bits_keep_their_levels(decode, extension, write):
    assert decode(extension, write).tolist() == [RAMP_IN_8_BITS] * 3


def test_an_image_of_16_bits_loses_no_level_of_8(decode):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    image = decode("png", saving(Image.fromarray(levels)))
    assert image[0].flatten().tolist() == list(range(256))


def test_a_smaller_maximum_is_white(decode):
    image = decode("pgm", ppm(b"P5 2 1 1000\n", [500, 1000]))
    assert image[0].tolist() == [[128, 255]]


COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)


@pytest.mark.parametrize(
    ("extension", "write", "expected"),
    [
        ("png", png(16, 2, COLOURS), COLOURS >> 8),
        ("tif", tiff(COLOURS, photometric=2), COLOURS >> 8),
        ("tif", tiff(COLOURS, ">", photometric=2), COLOURS >> 8),
        ("ppm", ppm(b"P6 4 2 65535\n", COLOURS), np.round(COLOURS / 257)),
    ],
    ids=["png", "tiff II", "tiff MM", "ppm"],
)
def test_colours_of_16_bits(decode, extension, write, expected):
    assert decode(extension, write).tolist() == expected.transpose(2, 0, 1).tolist()


@pytest.mark.parametrize(("order", "photometric"), [("<", 1), (">", 1), ("<", 0)])
def test_floating_point_numbers_from_0_to_1(decode, order, photometric):
    values = np.array([[0, 0.1, 0.25], [0.5, 0.999, 1]], dtype=np.float32)
    stored = values if photometric else 1 - values
    image = decode("tif", tiff(stored, order, photometric))
    assert image.tolist() == [[[0, 26, 64], [128, 255, 255]]] * 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.0, 1.5]], np.float32), r"floating-point values .* 1 \(white\), got 0 to 1.5"),
        (np.array([[0.0, 255]], np.float32), r"floating-point values .* got 0 to 255"),
        (np.array([[-0.5, 1]], np.float32), r"floating-point values .* got -0.5 to 1"),
        (np.array([[np.nan, 1]], np.float32), r"floating-point values .* got nan to nan"),
        (np.array([[0, np.inf]], np.float32), r"floating-point values .* got 0 to inf"),
        (np.array([[0, 65536]], np.int32), r"integer values .* 65535 \(white\), got 0 to 65536"),
        (np.array([[-1, 3]], np.int32), r"integer values .* got -1 to 3"),
        (np.array([[-1, 3]], np.int16), r"integer values .* got -1 to 3"),
    ],
    ids=str,
)
def test_numbers_without_a_white_are_an_error_that_names_the_file(decode, values, message):
    with pytest.raises(DataError, match=rf"[ab]/[12]\.tif: its {message}"):
        decode("tif", tiff(values))


def rgba(grey):
    """Grey with an alpha channel of which no two pixels agree."""
    alpha = np.array([[0, 1], [100, 255]], dtype=np.uint8)
    return Image.fromarray(np.dstack([grey, grey, grey, alpha]))


EIGHT_BITS = Image.fromarray(GREY)
BLACK_AND_WHITE = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).convert("1")


@pytest.mark.parametrize(
    ("extension", "write"),
    [
        ("png", saving(EIGHT_BITS)),
        ("webp", saving(EIGHT_BITS, lossless=True)),
        ("tif", tiff(255 - GREY, photometric=0)),
        ("png", saving(EIGHT_BITS.convert("P"))),
        ("png", saving(EIGHT_BITS.convert("P"), transparency=0)),
        ("png", saving(EIGHT_BITS.convert("P"), transparency=bytes(range(256)))),
        ("png", saving(EIGHT_BITS, transparency=100)),
        ("png", saving(EIGHT_BITS.convert("RGB"), transparency=(100, 100, 100))),
        ("png", saving(EIGHT_BITS.convert("LA"))),
        ("png", saving(rgba(GREY))),
        ("png", saving(rgba(GREY).convert("LA"))),
        ("tif", saving(rgba(GREY))),
        ("webp", saving(rgba(GREY), lossless=True, exact=True)),
        ("png", png(16, 6, np.asarray(rgba(GREY)).astype(np.uint16) * 257)),
        ("png", png(16, 4, np.asarray(rgba(GREY).convert("LA")).astype(np.uint16) * 257)),
        ("tif", saving(EIGHT_BITS.convert("CMYK"))),
        ("png", saving(EIGHT_BITS, save_all=True, append_images=[Image.new("L", (2, 2))])),
        ("tif", saving(EIGHT_BITS, save_all=True, append_images=[Image.new("L", (2, 2))])),
        ("webp", saving(EIGHT_BITS, save_all=True, append_images=[rgba(GREY)], lossless=True)),
    ],
)
@pytest.mark.filterwarnings("ignore:.* are training images as well")  # each is written thrice
@pytest.mark.filterwarnings("error")
def test_8_bits_stay_what_they_are(decode, extension, write):
    assert decode(extension, write).tolist() == [GREY.tolist()] * 3


@pytest.mark.parametrize("extension", ["png", "tif", "bmp"])
def test_1_bit_is_black_and_white(decode, extension):
    assert decode(extension, saving(BLACK_AND_WHITE)).tolist() == [[[0, 255], [255, 0]]] * 3


def test_inks_of_a_jpeg(decode):
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    image = decode("jpg", saving(cmyk, quality=100))
    red = torch.tensor([255, 0, 0]).view(3, 1, 1)
    assert (image.int() - red).abs().max() <= 2  # of JPEG's rounding


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "I", "F"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(3, [[117, 255, 0]]), (6, [[0], [255], [117]]), (8, [[117], [255], [0]])],
)
def test_every_mode_is_turned_upright(decode, mode, orientation, turned):
    stored = np.array([[0, 65535, 30000]], dtype=np.uint16)
    image = {
        "L": Image.fromarray((stored >> 8).astype(np.uint8)),
        "RGB": Image.fromarray(np.dstack([stored >> 8] * 3).astype(np.uint8)),
        "I;16": Image.fromarray(stored),
        "I": Image.fromarray(stored.astype(np.int32)),
        "F": Image.fromarray((stored / 65535).astype(np.float32)),
    }[mode]
    assert image.mode == mode
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert decode("tif", saving(image, exif=exif)).tolist() == [turned] * 3
