"""Pictures from anywhere to RGB uint8 (H, W, 3), and their resizing.

The idea: a picture is either decoded by Pillow or is an array that plainly says what its values mean. Nothing
is guessed: what could mean two things is refused with the way to say which.
"""

from __future__ import annotations

import functools
import http.client
import importlib.util
import io
import ipaddress
import re
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from cnnvis_widgets.errors import ImageError

MAX_PIXELS = 100_000_000  # a picture declares its size before it is decoded: larger ones are refused then
_LIMIT = f"at most {MAX_PIXELS // 10**6} megapixels can be read, make it smaller"
MAX_DOWNLOAD_BYTES = 64 * 2**20
MAX_DOWNLOAD_SECONDS = 20

# Only these decoders see foreign bytes: Pillow has forty more, and one of them (EPS) starts another program.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
_READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP and AVIF pictures can be read"

# scikit-image's wheel carries these; its other photographs would be downloaded.
_SAMPLES = {
    "cat": "chelsea.png",
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
}


def load_image(source: Any, *, name: str | None = None) -> np.ndarray:
    """A picture as RGB uint8 (H, W, 3), C-contiguous, and always a copy: who changes it changes nothing else.

    source: a path; an http or https address (at most 64 MB and about 20 s; never led on into this network); the
        bytes of a picture file; a PIL image; or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8;
        uint16, which is divided by 257; or float in [0, 1], which is multiplied by 255.
    name: what error sentences call bytes, a PIL image or an array, as in ``load_image(upload, name="cat.jpg")``;
        paths and addresses have a name of their own.

    EXIF rotation is applied, transparency lies over white, of an animation the first frame is taken, colour
    profiles are ignored. Pictures of more than 100 megapixels are refused before they are decoded.
    Raises `ImageError`.
    """
    if isinstance(source, str) and (scheme := re.match(r"([a-z][a-z0-9+.-]*)://", source, re.IGNORECASE)):
        return _decode(io.BytesIO(_download(source, scheme[1].lower())), source)
    if isinstance(source, (str, Path)):
        return _from_path(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(io.BytesIO(source), name or "This file")
    if isinstance(source, Image.Image):
        return _from_pillow(
            source, name or Path(str(getattr(source, "filename", ""))).name or "This PIL image"
        )
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        return _from_array(np.asarray(source), name or "This array")
    kind = "None" if source is None else f"an object of type {type(source).__name__}"
    raise ImageError(
        f"A picture cannot be made from {kind}; "
        "give a path, an address, the bytes of a file, a PIL image or an array."
    )


def is_several(source: Any) -> bool:
    """Whether what was given is several pictures: a list or tuple of them, or an array (n, H, W, C)."""
    return isinstance(source, list | tuple) or getattr(source, "ndim", 0) == 4


def sample_images() -> dict[str, np.ndarray]:
    """Real photographs that need no download, "cat" first: name -> RGB uint8 (H, W, 3)."""
    package = importlib.util.find_spec("skimage")  # found, not imported: only its files are wanted
    if package is None or not package.submodule_search_locations:
        raise ImageError("The sample photographs come with scikit-image, which is missing; install it.")
    folder = Path(package.submodule_search_locations[0]) / "data"
    return {name: load_image(folder / file) for name, file in _SAMPLES.items()}


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture or map (H, W) or (H, W, C), uint8 or float, at ``size`` = (height, width), same dtype.

    An axis that shrinks is averaged over area, so that fine patterns do not alias; one that grows is linear.
    """
    import cv2

    height, width = size
    shrunk = (min(height, image.shape[0]), min(width, image.shape[1]))
    result = np.ascontiguousarray(image)
    # OpenCV's area method only averages when both axes shrink; so first what shrinks, then what grows.
    if shrunk != image.shape[:2]:
        result = cv2.resize(result, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != (height, width):
        result = cv2.resize(result, (width, height), interpolation=cv2.INTER_LINEAR)
    result = result.reshape(height, width, *image.shape[2:])  # OpenCV drops an axis of one channel
    return result.copy() if np.shares_memory(result, image) else result


def _from_path(source: str | Path) -> np.ndarray:
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            raise ImageError(f"{source} is a folder; give one picture file in it.")
        if not path.exists():
            raise ImageError(f"There is no picture at {source}; check the path (it starts at {Path.cwd()}).")
        if not path.is_file():
            raise ImageError(f"{source} is not a regular file; give a picture file.")
        with path.open("rb") as file:
            return _decode(file, path.name)
    except (OSError, ValueError, RuntimeError) as error:  # no right to read, a NUL in the name, no such ~user
        raise ImageError(f"{source!s} cannot be read ({_reason(error)}).") from error


class _Checked(http.client.HTTPConnection):
    """Tells ``met`` whom it has reached before it says a word; what that raises ends the connection."""

    met: Callable[[str], object]

    def connect(self) -> None:
        super().connect()
        try:
            self.met(self.sock.getpeername()[0])
        except BaseException:
            self.close()
            raise


class _CheckedTLS(http.client.HTTPSConnection, _Checked):
    """The same; the check comes before the encryption is agreed upon."""


class _CarefulWay(
    urllib.request.HTTPRedirectHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler
):
    """The way to one picture: redirects lead to http and https only (urllib itself would go on to ftp), and from
    outside never into this network, whose machines may trust whoever comes from here.

    Names are asked for twice, by us and where the connection is made, and may answer differently ("DNS rebinding"); so
    the address that was really reached is what counts. A proxy asks for names itself: behind one only names are known.
    """

    def __init__(self) -> None:
        super().__init__()
        self._from_outside: bool | None = None  # unknown before the first connection

    def http_open(self, req):
        return self.do_open(functools.partial(self._connection, _Checked), req)  # type: ignore[arg-type]

    def https_open(self, req):
        return self.do_open(functools.partial(self._connection, _CheckedTLS), req)  # type: ignore[arg-type]

    def _connection(self, kind: type[_Checked], *args: Any, **options: Any) -> _Checked:
        connection = kind(*args, **options)
        connection.met = self._meet
        return connection

    def _meet(self, address: str) -> None:
        inside = not _is_public(address)
        if self._from_outside is None:
            self._from_outside = not inside
        elif self._from_outside and inside:
            raise ImageError(
                f"This picture's address leads on to {address}, an address of this machine or network; "
                "give that address itself if you mean it."
            )

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.lower().startswith(("http://", "https://")):
            fp.close()
            raise ImageError(f"{req.full_url} leads on to {newurl}, which is neither http nor https.")
        proxied = req.host != urllib.parse.urlsplit(req.full_url).netloc
        outside = not _is_private(req.full_url) if proxied else self._from_outside
        if outside and _is_private(newurl):
            fp.close()
            raise ImageError(
                f"{req.full_url} leads on to {newurl}, an address of this machine or network; "
                "give that address itself if you mean it."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _is_private(url: str) -> bool:
    """Whether any machine that goes by an address's name is not on the public internet."""
    try:
        found = socket.getaddrinfo(urllib.parse.urlsplit(url).hostname, None)
        return not all(_is_public(str(one[4][0])) for one in found)
    except (OSError, ValueError):  # unknown names lead nowhere
        return False


def _is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def _download(url: str, scheme: str) -> bytes:
    """The bytes at an address, within `MAX_DOWNLOAD_BYTES` and about `MAX_DOWNLOAD_SECONDS`."""
    if scheme not in ("http", "https"):
        raise ImageError(f"{url} is neither an http nor an https address; give a path or such an address.")
    deadline = time.monotonic() + MAX_DOWNLOAD_SECONDS
    chunks, size = [], 0
    try:
        # Some sites refuse urllib's own name.
        request = urllib.request.Request(url, headers={"User-Agent": "cnnvis-widgets"})
        with urllib.request.build_opener(_CarefulWay).open(request, timeout=MAX_DOWNLOAD_SECONDS) as response:
            size = int(response.headers.get("Content-Length") or 0)
            received = 0
            while size <= MAX_DOWNLOAD_BYTES and (chunk := response.read1(1 << 16)):
                chunks.append(chunk)
                received += len(chunk)
                size = max(size, received)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it took longer than {MAX_DOWNLOAD_SECONDS} s")
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise ImageError(
            f"{url} could not be downloaded ({_reason(error)}); "
            "check the address and the connection, or give a file."
        ) from error
    if size > MAX_DOWNLOAD_BYTES:
        raise ImageError(
            f"{url} is larger than {MAX_DOWNLOAD_BYTES >> 20} MB; give the path of a smaller copy."
        )
    return b"".join(chunks)


def _decode(file, name: str) -> np.ndarray:
    """The picture in an open binary file."""
    Image.init()
    try:
        picture = Image.open(file, formats=[kind for kind in _FORMATS if kind in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name} is too large; {_LIMIT}.") from error
    except Exception as error:  # each decoder has errors of its own for damaged headers
        raise _unreadable(file, name) from error
    return _from_pillow(picture, name)


def _unreadable(file, name: str) -> ImageError:
    file.seek(0)
    if not file.read(1):
        return ImageError(f"{name} is empty; copy or download it again.")
    return ImageError(f"{name} is not a picture, or is damaged; {_READABLE}.")


def _from_pillow(picture: Image.Image, name: str) -> np.ndarray:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} has {width}x{height} pixels; {_LIMIT}.")
    if width * height == 0:
        raise ImageError(f"{name} has no pixels ({width}x{height}).")
    try:
        picture.load()
        return _to_rgb(_upright(picture), name)
    except ImageError:
        raise
    except Exception as error:  # a damaged body: OSError, SyntaxError, ValueError, struct.error, ...
        raise ImageError(
            f"{name} cannot be decoded ({_reason(error)}); it is damaged, cut short or of a rare kind: "
            "copy or download it again, or save it as PNG."
        ) from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        if picture.getexif().get(ExifTags.Base.Orientation, 1) == 1:  # exif_transpose would copy it
            return picture
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block says nothing about the rotation; the pixels are still good
        return picture


def _to_rgb(picture: Image.Image, name: str) -> np.ndarray:
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _from_array(_wide_values(picture, name), name)
    if picture.has_transparency_data:
        picture = _over_white(picture.convert("RGBA"))
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"), order="C")


def _wide_values(picture: Image.Image, name: str) -> np.ndarray:
    """Gray of more than 8 bits as uint16 or float: Pillow's own conversion would clip it at 255."""
    values = np.asarray(picture)
    if picture.mode == "F":
        return values
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{name} has 32-bit values, whose white is unknown; scale it to 8 or 16 bits.")
    return values.astype(np.uint16)


def _from_array(array: np.ndarray, name: str) -> np.ndarray:
    _check_shape(array.shape, name)
    pixels = np.atleast_3d(_to_uint8(array, name))
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    elif pixels.shape[2] == 4:
        pixels = np.array(_over_white(Image.fromarray(np.ascontiguousarray(pixels))))
    if np.may_share_memory(pixels, array):
        return np.array(pixels, order="C")
    return np.ascontiguousarray(pixels)


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if 0 in shape:
        raise ImageError(f"{name} is empty: its shape is {shape}.")
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        return
    if len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4:
        remedy = "the channels come first, put them last with array.transpose(1, 2, 0)"
    elif len(shape) == 3:
        remedy = f"1, 3 or 4 channels are needed, as in (height, width, 3), and here are {shape[2]}"
    elif len(shape) == 4:
        remedy = "it holds several pictures, give one of them: array[0]"
    else:
        remedy = "make it (height, width, 3)"
    raise ImageError(f"{name} of shape {shape} is no picture; {remedy}.")


def _to_uint8(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 257 = 255
    # Not np.issubdtype alone: bfloat16 and the like are floats that NumPy does not know.
    if not (np.issubdtype(array.dtype, np.floating) or "float" in array.dtype.name):
        times = " * 255" if array.dtype == bool else ""
        raise ImageError(
            f"{name} of {array.dtype.name} says not which value is white; "
            f'make it uint8 in 0..255, for example with array.astype("uint8"){times}.'
        )
    # Large doubles are infinite in single precision: their range is found before.
    values = array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError(
            f"{name} holds NaN or infinity; replace those values first, for example with np.nan_to_num."
        )
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise ImageError(
            f"{name} lies in [{low:.4g}, {high:.4g}], and floats must lie in [0, 1]; {_rescaling(low, high)}."
        )
    return np.rint(values.astype(np.float32, copy=False) * 255).astype(np.uint8)


def _rescaling(low: float, high: float) -> str:
    """How floats in [low, high] come to [0, 1], for the end of a sentence."""
    if low >= -1 and high <= 1:
        return "if -1 is black and 1 is white, give (array + 1) / 2"
    if low >= 0 and high <= 255:
        return 'if 0 is black and 255 is white, give array / 255, or array.astype("uint8")'
    return "to see the lowest value black and the highest white, give (array - array.min()) / np.ptp(array)"


def _over_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _reason(error: BaseException) -> str:
    """What an exception says, on one line, for the middle of a sentence."""
    cause = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else None
    if isinstance(cause, BaseException):  # URLError itself says "<urlopen error ...>"
        return _reason(cause)
    text = (not isinstance(error, urllib.error.HTTPError) and cause) or getattr(error, "strerror", None)
    return " ".join(str(text or str(error) or type(error).__name__).split()).rstrip(".")[:160]
