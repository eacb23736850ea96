"""Pictures of every common kind, read upright as 8-bit BGR."""

import io
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, features

from densepose_ext.data.picture_files import check_pictures
from densepose_ext.files.picture_reader import as_bgr, read_picture
from densepose_ext.prediction.inputs import find_pictures
from densepose_ext.prediction.pictures import to_bgr

#: What brings a picture into the state that an EXIF orientation describes.
INTO = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"} | {
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}


def scene() -> np.ndarray:
    """RGB, four plain quarters: survives JPEG and CMYK well enough to be told apart."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24, :32] = (200, 40, 40)
    rgb[:24, 32:] = (40, 200, 40)
    rgb[24:, :32] = (40, 40, 200)
    rgb[24:, 32:] = (200, 200, 40)
    return rgb


def is_scene(bgr: np.ndarray, tolerance: int = 12) -> bool:
    assert bgr.dtype == np.uint8
    assert bgr.flags.c_contiguous
    if bgr.shape != (48, 64, 3):
        return False
    difference = np.abs(bgr[..., ::-1].astype(int) - scene())
    return np.median(difference) <= tolerance and (difference > 40).mean() < 0.1


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tif", "a.ppm", "a.gif", "a.apng"]
)
def test_formats(tmp_path, name):
    Image.fromarray(scene()).save(tmp_path / name)
    assert is_scene(read_picture(tmp_path / name))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    image = Image.fromarray(scene())
    if orientation > 1:
        image = image.transpose(Image.Transpose[INTO[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert is_scene(read_picture(tmp_path / "a.jpg"))


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_damaged_exif_data_is_no_damage_of_the_picture(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(scene()).save(path, exif=b"Exif\0\0not at all TIFF")
    assert is_scene(read_picture(path))
    height, width = scene().shape[:2]
    check_pictures([{"file_name": str(path), "width": width, "height": height}], "dataset")


def test_cmyk(tmp_path):
    Image.fromarray(scene()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert is_scene(read_picture(tmp_path / "a.jpg"))


def test_palette(tmp_path):
    Image.fromarray(scene()).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    assert is_scene(read_picture(tmp_path / "a.png"))


def test_transparency_lies_on_white(tmp_path):
    rgba = np.dstack([scene(), np.full((48, 64), 255, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert is_scene(read_picture(tmp_path / "a.png"), tolerance=0)
    rgba[..., 3] = 0
    Image.fromarray(rgba).save(tmp_path / "b.png")
    assert (read_picture(tmp_path / "b.png") == 255).all()


def test_grey(tmp_path):
    grey = np.arange(0, 240, 2, dtype=np.uint8).reshape(8, 15)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.repeat(grey[..., None], 3, 2))
    Image.fromarray(grey > 100).save(tmp_path / "b.png")
    assert set(np.unique(read_picture(tmp_path / "b.png"))) == {0, 255}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits(tmp_path, name, channels):
    eight = scene()[..., ::-1] if channels == 3 else scene()[..., 0]
    cv2.imwrite(str(tmp_path / name), eight.astype(np.uint16) * 257)
    found = read_picture(tmp_path / name)
    expected = eight if channels == 3 else np.repeat(eight[..., None], 3, axis=2)
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path, name):
    frames = [Image.fromarray(scene()), Image.fromarray(255 - scene())]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=50)
    assert is_scene(read_picture(tmp_path / name))


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").tolist() == [[[30, 20, 10]]]


@pytest.mark.parametrize(
    "name", ["with spaces .png", "人物 – ñandú.png", "Ελένη's.png", "%d*[1].png"]
)
def test_names(tmp_path, name):
    Image.fromarray(scene()).save(tmp_path / name)
    assert is_scene(read_picture(tmp_path / name))
    assert is_scene(read_picture(str(tmp_path / name)))


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "head": lambda content: content[:20],
    "text": lambda content: b"text " * 9,
}


DAMAGED = ["a.png", "a.jpg", "a.gif", "a.webp", "a.tif", "a.bmp", "a.avif", "a.jp2"]


def writable(name: str) -> bool:
    """Some builds of Pillow lack some formats."""
    return features.check({"a.avif": "avif", "a.jp2": "jpg_2000"}.get(name, "jpg"))


@pytest.mark.parametrize("name", filter(writable, DAMAGED))
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_say_so(tmp_path, name, damage):
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: ."):
        read_picture(path)


def test_photographs_of_telephones_say_how_to_convert_them(tmp_path):
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(bytes([0, 0, 0, 24]) + b"ftypheic" + bytes(100))
    assert len(find_pictures([str(tmp_path)])) == 1
    with pytest.raises(ValueError, match=r"it is HEIC, .* save it as JPEG"):
        read_picture(path)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(scene()).save(path)
    content = path.read_bytes()
    header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + content[24:29]
    checksum = zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(content[:12] + header + checksum + content[33:])
    with pytest.raises(ValueError, match="exceeds limit"):
        read_picture(path)


@pytest.mark.parametrize("name", filter(writable, DAMAGED))
def test_random_damage_is_a_picture_or_a_message(tmp_path, name):
    random = np.random.default_rng(0)
    path = tmp_path / name
    Image.fromarray(scene()).save(path)
    content = path.read_bytes()
    messages = []
    for _ in range(30):
        damaged = bytearray(content)
        for place in [*random.integers(0, len(content), 4), *random.integers(0, 60, 2)]:
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_picture(path).dtype == np.uint8
        except ValueError as error:
            messages.append(str(error))
    assert messages
    assert all(str(path) in message for message in messages)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        read_picture(tmp_path)


def test_floating_point_is_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="float32; expected 8 or 16 bits"):
        read_picture(tmp_path / "a.tif")


MODES = ["RGB", "RGBA", "RGBa", "RGBX", "L", "LA", "La", "P", "PA", "1", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", [*MODES, "I;16", "I"])
def test_pillow_images_of_every_mode(mode):
    """Each is what a file of it would be: its mode says the order of the colours."""
    image = Image.fromarray(scene())
    if mode in ("I;16", "I"):
        deep = scene()[..., 0].astype(np.uint16 if mode == "I;16" else np.int32) * 257
        image = Image.fromarray(deep)
        assert image.mode == mode
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    elif mode in ("La", "RGBa"):
        image = image.convert(mode.upper()).convert(mode)
    else:
        image = image.convert(mode)
    found = to_bgr(image)
    if mode in ("L", "LA", "La", "1", "I;16", "I"):
        opaque = image.convert("LA") if mode == "La" else image
        grey = scene()[..., 0] if mode.startswith("I") else np.asarray(opaque.convert("L"))
        assert np.array_equal(found, np.repeat(grey[..., None], 3, axis=2))
    else:
        assert is_scene(found)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_a_pillow_image(orientation):
    stream = io.BytesIO()
    image = Image.fromarray(scene())
    if orientation > 1:
        image = image.transpose(Image.Transpose[INTO[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(stream, "jpeg", exif=exif, quality=95)
    assert is_scene(to_bgr(Image.open(stream)))


def test_transparent_pillow_images_lie_on_white():
    clear = Image.new("RGBA", (4, 4), (9, 9, 9, 0))
    for mode in ("RGBA", "LA", "RGBa", "La"):
        image = clear.convert("LA") if mode == "La" else clear
        assert (to_bgr(image.convert(mode)) == 255).all()
    keyed = Image.new("P", (4, 4), 3)
    keyed.info["transparency"] = 3
    assert (to_bgr(keyed) == 255).all()


def test_pillow_images_that_cannot_be_used():
    with pytest.raises(ValueError, match="mode F cannot be used: its pixels are of float32"):
        to_bgr(Image.new("F", (4, 4)))
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "png")
    cut = Image.open(io.BytesIO(stream.getvalue()[:2000]))
    with pytest.raises(ValueError, match=r"mode RGB cannot be used: .*truncated"):
        to_bgr(cut)


CODE = r"\(picture \* 255\)\.round\(\)\.astype\('uint8'\) converts values from 0 to 1"
ARRAY = np.random.default_rng(0).random((9, 8, 3))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (ARRAY, f"float64; expected uint8 .*: {CODE}"),
        (ARRAY.astype(np.float32) * 255, r"picture\.round\(\)\.astype\('uint8'\) converts"),
        (ARRAY * 2 - 1, "its values, from -0.* have to be brought to 0 to 255"),
        (ARRAY * np.nan, "not finite"),
        ((ARRAY * 255).astype(np.int64), r"int64; .*astype\('uint8'\) converts values from 0 to"),
        (ARRAY > 0.5, r"bool; .*picture\.astype\('uint8'\) \* 255"),
        (ARRAY.astype(str), "not numbers"),
        (scene()[None], r"\(1, 48, 64, 3\); expected \(H, W, 3\); several pictures go to"),
        (scene().transpose(2, 0, 1), r"\(3, 48, 64\); .*: picture\.transpose\(1, 2, 0\)"),
        (scene()[..., :2], r"\(48, 64, 2\); expected"),
        (scene()[:0], r"\(0, 64, 3\)"),
        (torch.zeros(3, 4, 5), r"tensor \(3, 4, 5\) of torch\.float32; .*\.mul\(255\).*permute"),
        (torch.zeros(4, 5, 3, dtype=torch.uint8), r"BGR: picture\.cpu\(\)\.numpy\(\) makes it so"),
        ([scene()], "a list; several pictures go to the"),
        (b"\xff\xd8\xff", r"a bytes; .*PIL\.Image\.open\(io\.BytesIO\(picture\)\)"),
        (io.BytesIO(), r"a BytesIO; .*PIL\.Image\.open\(picture\)"),
        (None, "None, which cv2.imread returns"),
        (3, "a int; expected an array"),
    ],
)
def test_what_is_no_picture_says_how_to_convert_it(picture, message):
    with pytest.raises(ValueError, match=message) as error:
        to_bgr(picture)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "picture", [ARRAY, torch.rand(3, 9, 8), ARRAY.astype(np.float32) * 255, ARRAY > 0.5]
)
def test_the_code_in_the_message_works(picture):
    with pytest.raises(ValueError, match=r".") as error:
        to_bgr(picture)
    code = str(error.value).split(": ")[-1].split(" converts")[0].split(" makes")[0]
    assert as_bgr(eval(code, {"picture": picture})).shape == (9, 8, 3)
