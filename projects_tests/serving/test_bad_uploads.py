"""Uploads that cannot be used are refused with a reason, and the server goes on."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from densepose_ext.serving.limits import Limits
from projects_tests.serving.stand_in import HERE, app, picture_file

LIMITS = Limits(megabytes=0.2, megapixels=1)
PNG, JPEG = picture_file(), picture_file(ending="jpeg", size=(64, 64))


@pytest.fixture(scope="module")
def service():
    with TestClient(app(LIMITS), base_url=HERE) as made:
        yield made


def noise_file(ending: str) -> bytes:
    """A picture whose data are most of its file."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, ending)
    return stream.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png_of_size(width: int, height: int, data: bytes = b"", depth: int = 8) -> bytes:
    """A PNG file that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def form(*fields: tuple[bytes, bytes], boundary: bytes = b"edge", end: bytes = b"--edge--") -> dict:
    """A form of fields, each with headers and content."""
    body = b"".join(b"--edge\r\n%b\r\n\r\n%b\r\n" % field for field in fields) + end
    kind = b"multipart/form-data; boundary=" + boundary
    return {"content": body, "headers": {"Content-Type": kind}}


def of_type(kind: str, content: bytes = PNG) -> dict:
    return {"content": content, "headers": {"Content-Type": kind}}


FILE = b'Content-Disposition: form-data; name="file"; filename="a.png"'
FIELD = b'Content-Disposition: form-data; name="format"'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\nshowpage\n"

#: Status of damaged files: Pillow may or may not know them for what they were.
DAMAGED = 400, 415

#: What is sent: the query, the request, the status, words of the reason.
BAD = {
    "nothing": ("", {}, 400, "is empty"),
    "an empty file": ("", of_type("image/png", b""), 400, "is empty"),
    "one byte": ("", {"content": b"\xff"}, 415, "not a picture in a known format"),
    "zeros": ("", {"content": bytes(5000)}, 415, "not a picture in a known format"),
    "a page": ("", {"content": b"<!doctype html><p>not found"}, 415, "JPEG, PNG"),
    "a page that says so": ("", of_type("text/html"), 415, "Content-Type is 'text/html'"),
    "JSON": ("", {"json": {"file": "a.png"}}, 415, "'application/json'"),
    "a form of words": ("", {"data": {"file": "a.png"}}, 415, "form-urlencoded"),
    "plain text": ("", of_type("text/plain"), 415, "expected image/*"),
    "a type without sense": ("", of_type("nonsense"), 415, "Content-Type is 'nonsense'"),
    "SVG": ("", of_type("image/svg+xml", SVG), 415, "not a picture in a known format"),
    "PDF": ("", {"content": PDF}, 415, "not a picture in a known format"),
    "EPS, which would start Ghostscript": ("", {"content": EPS}, 415, "not a picture in a known"),
    "a zip file": ("", {"content": b"PK\x03\x04" + bytes(99)}, 415, "not a picture in a known"),
    "a video": ("", {"content": bytes(4) + b"ftypisom" + bytes(99)}, 415, "not a picture in"),
    "base64": ("", {"content": b"iVBORw0KGgoAAAANSUhEUg=="}, 415, "not a picture in a known"),
    "a JPEG broken off in its data": (
        "", {"content": noise_file("jpeg")[:-900]}, DAMAGED, "damaged: image file is truncated",
    ),
    "a JPEG broken off in its head": ("", {"content": JPEG[:30]}, DAMAGED, "picture"),
    "a JPEG with no pixels": (
        "", {"content": JPEG.replace(b"\x00\x40\x00\x40", bytes(4), 1)}, DAMAGED, "picture",
    ),
    "a PNG broken off in its data": ("", {"content": noise_file("png")[:3000]}, DAMAGED, "picture"),
    "a PNG broken off in its head": ("", {"content": PNG[:20]}, DAMAGED, "picture"),
    "a PNG with a wrong checksum": (
        "", {"content": PNG.replace(b"IDATx", b"IDATy", 1)}, DAMAGED, "picture",
    ),
    "a PNG with too little data": ("", {"content": png_of_size(9, 9)}, DAMAGED, "picture"),
    "a PNG of no size": ("", {"content": png_of_size(0, 9)}, DAMAGED, "picture"),
    "a PNG of a depth that there is not": (
        "", {"content": png_of_size(9, 9, depth=7)}, DAMAGED, "picture",
    ),
    "a GIF broken off": ("", {"content": noise_file("gif")[:300]}, DAMAGED, "picture"),
    "a WebP broken off": ("", {"content": noise_file("webp")[:-3000]}, DAMAGED, "picture"),
    "a TIFF broken off": ("", {"content": noise_file("tiff")[:-2000]}, DAMAGED, "picture"),
    "a BMP broken off": ("", {"content": noise_file("bmp")[:-2000]}, DAMAGED, "picture"),
    "too many pixels": ("", {"content": picture_file(size=(1001, 1000))}, 413, "1001 x 1000"),
    "far too many pixels": ("", {"content": png_of_size(65535, 65535)}, 413, "too"),
    "a bomb": ("", {"content": png_of_size(30000, 30000, bytes(1 << 20))}, 413, "too"),
    "too many bytes": ("", {"content": bytes(200_001)}, 413, "more than 0.2 MB"),
    "far too many bytes": ("", {"content": bytes(1_000_000)}, 413, "more than 0.2 MB"),
    "too many bytes in a form": ("", {"files": {"file": bytes(200_001)}}, 413, "0.2 MB"),
    "a form without a boundary": ("", of_type("multipart/form-data"), 400, "no boundary"),
    "a form with another boundary": ("", form((FILE, PNG), boundary=b"brim"), 400, "no end"),
    "a form broken off": ("", form((FILE, PNG), end=b""), 400, "no end"),
    "a form without fields": ("", form(), 400, "0 files"),
    "a form with two files": ("", form((FILE, PNG), (FILE, PNG)), 400, "2 files"),
    "a form with an option": ("", form((FILE, PNG), (FIELD, b"iuv")), 400, "field 'format'"),
    "a form with an empty file": ("", form((FILE, b"")), 400, "is empty"),
    "a form with a page": ("", form((FILE, b"<html>")), 415, "not a picture in a known format"),
    "a form whose field has no name": ("", form((b"A: b", PNG)), 400, "no Content-Disposition"),
    "a form whose field has no head": (
        "", {**form(), "content": b"--edge\r\nx\r\n--edge--"}, 400, "no headers",
    ),
    "an unknown format": ("?format=exr", {"content": PNG}, 400, "no format 'exr'; there are: json"),
    "an empty format": ("?format=", {"content": PNG}, 400, "no format ''"),
    "an unknown model": ("?model=big", {"content": PNG}, 400, "no model 'big'; there are:"),
    "a model that is a path": ("?model=/etc/passwd", {"content": PNG}, 400, "no model"),
    "an empty model": ("?model=", {"content": PNG}, 400, "the option model is empty"),
    "a score above 1": ("?min_score=50", {"content": PNG}, 400, "expected a number from 0 to 1"),
    "a score below 0": ("?min_score=-1", {"content": PNG}, 400, "expected a number"),
    "a score that is no number": ("?min_score=high", {"content": PNG}, 400, "'high'"),
    "a score that is not finite": ("?min_score=nan", {"content": PNG}, 400, "'nan'"),
    "a score that is not looked for": ("?min_score=0.1", {"content": PNG}, 400, "0.2 to 1"),
    "an unknown option": ("?size=9", {"content": PNG}, 400, "no option 'size'; there are: format"),
    "an option given twice": ("?format=iuv&format=u", {"content": PNG}, 400, "given twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_uploads(service, name):
    query, request, status, reason = BAD[name]
    answer = service.post(f"/predict{query}", **request)
    assert answer.headers["content-type"] == "application/json"
    (key, said), *more = answer.json().items()
    assert (key, more) == ("error", [])
    assert answer.status_code in (status if status is DAMAGED else [status]), said
    assert reason in said
    assert "\n" not in said
    assert "0x" not in said  # no addresses of objects
    assert service.post("/predict", content=PNG).status_code == 200


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_odd_sizes_are_pictures_too(service, size):
    assert service.post("/predict", content=picture_file(size=size)).status_code == 200


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about tags of TIFF
def test_any_byte_of_a_picture_may_be_wrong(service):
    random = np.random.default_rng(0)
    for original in (noise_file("jpeg"), noise_file("webp"), noise_file("tiff"), PNG):
        for _ in range(20):
            content = np.frombuffer(original, np.uint8).copy()
            places = random.integers(0, min(len(content), 400), 3)
            content[places] = random.integers(0, 256, 3)
            answer = service.post("/predict", content=content.tobytes())
            assert answer.status_code in (200, 400, 413, 415), answer.text
