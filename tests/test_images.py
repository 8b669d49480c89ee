"""Every kind of picture becomes RGB uint8, and every kind of non-picture one sentence."""

from __future__ import annotations

import http.server
import io
import os
import socket
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnvis_widgets import images
from cnnvis_widgets.errors import ImageError
from cnnvis_widgets.images import load_image, resize, sample_images

ORIENTATION = 0x0112  # the EXIF tag


def quadrants(height: int = 32, width: int = 48) -> np.ndarray:
    """Red, green / blue, gray: any rotation or flip shows."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = (128, 128, 128)
    return picture


def encoded(picture: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(file, kind, **options)
    return file.getvalue()


def refused(source: object, **options: str) -> str:
    """The sentence with which a source is refused; checked to be one line that ends like a sentence."""
    with pytest.raises(ImageError) as caught:
        load_image(source, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


class TestFiles:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
    def test_lossless_formats_keep_every_pixel(self, kind: str, tmp_path: Path):
        path = tmp_path / f"picture.{kind.lower()}"
        path.write_bytes(encoded(quadrants(), kind))
        for source in (
            path,
            str(path),
            path.read_bytes(),
            bytearray(path.read_bytes()),
            memoryview(path.read_bytes()),
        ):
            image = load_image(source)
            assert image.dtype == np.uint8
            assert image.flags.c_contiguous
            assert image.flags.writeable
            np.testing.assert_array_equal(image, quadrants())

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
    def test_lossy_formats_keep_the_picture(self, kind: str):
        if kind not in Image.SAVE and (Image.init(), kind not in Image.SAVE)[1]:
            pytest.skip(f"This Pillow cannot write {kind}.")
        image = load_image(encoded(quadrants(), kind, quality=95))
        middle = quadrants()[8::16, 12::24].astype(int)
        assert np.abs(image[8::16, 12::24].astype(int) - middle).max() < 12

    def test_the_extension_does_not_matter(self, tmp_path: Path):
        path = tmp_path / "picture.jpg"
        path.write_bytes(encoded(quadrants(), "PNG"))
        np.testing.assert_array_equal(load_image(path), quadrants())

    def test_a_home_folder_is_understood(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        (tmp_path / "picture.png").write_bytes(encoded(quadrants(), "PNG"))
        np.testing.assert_array_equal(load_image("~/picture.png"), quadrants())

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_rotation_is_applied(self, orientation: int):
        upright = quadrants()
        stored = {  # what a camera stores for each tag: the inverse of what the tag asks for
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, 1),
            7: np.rot90(upright, 2).transpose(1, 0, 2),
            8: np.rot90(upright, -1),
        }[orientation]
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        source = encoded(np.ascontiguousarray(stored), "JPEG", exif=exif, quality=95, subsampling=0)
        for image in (load_image(source), load_image(Image.open(io.BytesIO(source)))):
            assert image.shape == upright.shape
            assert np.abs(image[4::8, 4::8].astype(int) - upright[4::8, 4::8]).max() < 12

    def test_damaged_exif_does_not_spoil_the_picture(self):
        source = encoded(
            quadrants(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xfe" * 40, quality=95
        )
        assert load_image(source).shape == quadrants().shape

    def test_sixteen_bits_are_scaled_not_clipped(self):
        values = np.array([[0, 257, 32768, 65535]], np.uint16)
        for kind in ("PNG", "TIFF"):
            image = load_image(encoded(Image.fromarray(values), kind))
            np.testing.assert_array_equal(image[0, :, 0], [0, 1, 128, 255])
            np.testing.assert_array_equal(image[..., 0], image[..., 2])

    def test_gray_and_one_bit(self):
        gray = quadrants()[..., 0]
        np.testing.assert_array_equal(load_image(encoded(gray, "PNG")), np.repeat(gray[..., None], 3, axis=2))
        one_bit = Image.fromarray(gray).convert("1")
        np.testing.assert_array_equal(load_image(encoded(one_bit, "PNG"))[0, 0], [255, 255, 255])

    def test_transparency_lies_over_white(self):
        rgba = np.zeros((1, 3, 4), np.uint8)
        rgba[0, :, 3] = (0, 128, 255)  # black: invisible, half, full
        np.testing.assert_array_equal(load_image(encoded(rgba, "PNG"))[0, :, 0], [255, 127, 0])
        np.testing.assert_array_equal(load_image(rgba)[0, :, 0], [255, 127, 0])
        gray_alpha = Image.fromarray(rgba).convert("LA")
        np.testing.assert_array_equal(load_image(encoded(gray_alpha, "PNG"))[0, :, 0], [255, 127, 0])

    def test_palettes_with_and_without_transparency(self):
        palette = Image.fromarray(quadrants()).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
        np.testing.assert_array_equal(load_image(encoded(palette, "PNG")), quadrants())
        red = palette.getpixel((0, 0))
        image = load_image(encoded(palette, "PNG", transparency=red))
        np.testing.assert_array_equal(image[0, 0], [255, 255, 255])
        np.testing.assert_array_equal(image[0, -1], [0, 255, 0])

    def test_cmyk_has_its_colours_the_right_way_round(self):
        cmyk = Image.fromarray(quadrants()).convert("CMYK")
        for kind, options in (("JPEG", {"quality": 95}), ("TIFF", {})):
            image = load_image(encoded(cmyk, kind, **options))
            assert np.abs(image[8::16, 12::24].astype(int) - quadrants()[8::16, 12::24]).max() < 12

    def test_animations_show_their_first_frame(self):
        frames = [Image.fromarray(quadrants()), Image.fromarray(255 - quadrants())]
        animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(load_image(animation), quadrants())

    def test_the_smallest_and_the_longest(self):
        assert load_image(encoded(quadrants(1, 1), "PNG")).shape == (1, 1, 3)
        assert load_image(encoded(quadrants(1, 10000), "PNG")).shape == (1, 10000, 3)


class TestRefusedFiles:
    def test_missing(self, tmp_path: Path):
        assert "no picture at" in refused(tmp_path / "nothing.png")
        assert "no picture at" in refused("nothing\0.png")

    def test_folder(self, tmp_path: Path):
        assert "is a folder" in refused(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="This system has no named pipes.")
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path):
        os.mkfifo(tmp_path / "pipe.png")
        assert "not a regular file" in refused(tmp_path / "pipe.png")

    def test_empty(self, tmp_path: Path):
        (tmp_path / "empty.png").touch()
        assert "empty.png is empty" in refused(tmp_path / "empty.png")
        assert "is empty" in refused(b"")

    def test_text(self, tmp_path: Path):
        (tmp_path / "notes.jpg").write_text("This is no picture.")
        assert "notes.jpg is not a picture" in refused(tmp_path / "notes.jpg")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
    def test_truncated(self, kind: str):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        whole = encoded(noise, kind)
        for share in (0.02, 0.5, 0.9):
            assert "damaged" in refused(whole[: int(len(whole) * share)])

    def test_formats_that_start_programs_or_hold_vectors_are_not_opened(self):
        assert "not a picture" in refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
        assert "not a picture" in refused(b"<svg xmlns='http://www.w3.org/2000/svg'/>")

    def test_too_many_pixels_are_refused_before_they_are_decoded(self):
        # A PNG header alone, without pixels: only its declared size can be the reason.
        whole = encoded(quadrants(), "PNG")
        for width, height, warns in ((10001, 10000, True), (30000, 30000, False)):
            header = whole[12:16] + width.to_bytes(4, "big") + height.to_bytes(4, "big") + whole[24:29]
            huge = whole[:12] + header + _crc(header) + whole[33:]
            if warns:
                with pytest.warns(Image.DecompressionBombWarning):
                    sentence = refused(huge)
            else:
                sentence = refused(huge)
            assert "100 megapixels" in sentence

    def test_thirty_two_bit_integers_are_not_guessed(self):
        values = Image.fromarray(np.array([[0, 1_000_000]], np.int32))
        assert "32-bit" in refused(encoded(values, "TIFF"))

    @pytest.mark.parametrize(
        ("source", "kind"),
        [(None, "from None;"), (7, "type int;"), (["a.png"], "type list;"), ({"image": 1}, "type dict;")],
    )
    def test_other_things(self, source: object, kind: str):
        assert kind in refused(source)

    def test_the_name_of_an_upload_is_in_the_sentence(self):
        assert refused(b"no picture", name="cat.jpg").startswith("cat.jpg is not a picture")
        assert refused(b"", name="cat.jpg").startswith("cat.jpg is empty")
        floats = encoded(Image.fromarray(np.full((2, 2), 7, np.float32)), "TIFF")
        assert refused(floats, name="depth.tif").startswith("depth.tif lies in [7, 7]")

    def test_what_has_no_name_is_not_called_a_picture_that_is_no_picture(self):
        assert refused(b"no picture").startswith("This file is not a picture")

    def test_a_pil_image_from_a_file_goes_by_the_name_of_the_file(self, tmp_path: Path):
        whole = encoded(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "PNG")
        (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
        with Image.open(tmp_path / "half.png") as picture:
            assert refused(picture).startswith("half.png cannot be decoded")


def _crc(chunk: bytes) -> bytes:
    import zlib

    return zlib.crc32(chunk).to_bytes(4, "big")


class TestArrays:
    def test_a_copy_is_returned(self):
        array = quadrants()
        image = load_image(array)
        image[:] = 7
        np.testing.assert_array_equal(array, quadrants())

    @pytest.mark.parametrize(
        "array", [quadrants()[..., 0], quadrants() / 255, quadrants()[..., [0, 1, 2, 0]]]
    )
    def test_what_has_been_converted_may_be_changed_too(self, array: np.ndarray):
        before = array.copy()
        load_image(array)[:] = 7
        np.testing.assert_array_equal(array, before)

    def test_a_pil_image_is_copied(self):
        picture = Image.fromarray(quadrants())
        load_image(picture)[:] = 7
        np.testing.assert_array_equal(np.asarray(picture), quadrants())

    def test_views_become_contiguous(self):
        image = load_image(quadrants()[::2, ::-1])
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, quadrants()[::2, ::-1])

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
    def test_white_is_white_in_every_shape_and_type(self, shape: tuple[int, ...], dtype: type):
        white = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
        image = load_image(np.full(shape, white, dtype))
        assert image.shape == (5, 7, 3)
        assert image.min() == 255

    def test_floats_and_16_bits_round_to_the_nearest(self):
        np.testing.assert_array_equal(
            load_image(np.array([[0.0, 0.5, 0.999, 1.0]]))[0, :, 0], [0, 128, 255, 255]
        )
        np.testing.assert_array_equal(
            load_image(np.array([[0, 128, 129, 65535]], np.uint16))[0, :, 0], [0, 0, 1, 255]
        )

    def test_pillow_images_and_array_likes(self):
        np.testing.assert_array_equal(load_image(Image.fromarray(quadrants())), quadrants())

        class Tensor:
            def __array__(self, dtype=None, copy=None):
                return quadrants()

        np.testing.assert_array_equal(load_image(Tensor()), quadrants())

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.full((4, 4, 3), 200.0), "[0, 1]"),
            (np.full((4, 4, 3), 200.0), "array / 255"),
            (np.full((4, 4, 3), -0.5), "(array + 1) / 2"),
            (np.full((4, 4, 3), -40.0), "array.min()"),
            (np.full((4, 4, 3), np.nan), "NaN"),
            (np.full((4, 4, 3), np.inf), "infinity"),
            (np.zeros((3, 40, 50), np.uint8), "transpose(1, 2, 0)"),
            (np.zeros((2, 40, 50, 3), np.uint8), "array[0]"),
            (np.zeros((40, 50, 2), np.uint8), "(height, width, 3)"),
            (np.zeros((4, 4, 2), np.uint8), "1, 3 or 4 channels are needed"),
            (np.zeros(10, np.uint8), "(height, width, 3)"),
            (np.zeros((0, 50, 3), np.uint8), "empty"),
            (np.zeros((4, 4, 3), np.int64), 'astype("uint8")'),
            (np.zeros((4, 4, 3), bool), 'astype("uint8") * 255'),
            (np.array([["a", "b"]]), 'astype("uint8")'),
            (np.zeros((4, 4), complex), 'astype("uint8")'),
        ],
    )
    def test_what_could_mean_two_things_is_refused_with_the_remedy(self, array: np.ndarray, words: str):
        assert words in refused(array)


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = getattr(self, "page_" + self.path.strip("/").replace(".", "_"), None)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    def _send(self, body: bytes, length: int | None = None):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def page_cat_png(self):
        self._send(encoded(quadrants(), "PNG"))

    def page_web_page(self):
        self._send(b"<html>no picture</html>")

    def page_large(self):
        self._send(b"", length=10**9)

    def page_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 20))
        except OSError:  # the reader had enough
            return

    def page_slow(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(200):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            return

    def page_silent(self):
        time.sleep(5)

    def page_moved(self):
        self.send_response(302)
        self.send_header("Location", "/cat.png")
        self.end_headers()

    elsewhere = ""

    def page_moved_elsewhere(self):
        self.send_response(302)
        self.send_header("Location", self.elsewhere)
        self.end_headers()

    def page_moved_to_ftp(self):
        self.send_response(302)
        self.send_header("Location", "ftp://127.0.0.1/cat.png")
        self.end_headers()

    def page_moved_to_file(self):
        self.send_response(302)
        self.send_header("Location", "file:///etc/passwd")
        self.end_headers()

    def log_message(self, *args):
        pass


class _HomeServer(http.server.ThreadingHTTPServer):
    """A machine at home, which notes whatever is said to it."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, *args):
        self.heard: list[bytes] = []
        super().__init__(*args)

    def process_request(self, request, client_address):
        if said := request.recv(1):
            self.heard.append(said)
        self.shutdown_request(request)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a small web server on this machine."""
    monkeypatch.setenv("no_proxy", "*")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# Of a server that is only here: a key that is worth nothing, and its certificate for 127.0.0.1.
_CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmpQSvAZqGXc/BYO3
Fq6gCAVio7TzWU/CQ9IRjokdS7mhRANCAARb9Pytsu92cLfqJ3YzQQww/aRqR37M
GBd+7NimS5cC0XFSQUdCrPSy7bb8gt4Dz7PnTOczU+eToBkcrg/lYQHh
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUP92qhspz0tgUAuYusanihQPLrZcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMzE0MDAxMFoYDzIxMjYxMDMw
MTQwMDEwWjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARb9Pytsu92cLfqJ3YzQQww/aRqR37MGBd+7NimS5cC0XFSQUdCrPSy
7bb8gt4Dz7PnTOczU+eToBkcrg/lYQHho2QwYjAdBgNVHQ4EFgQUeCJ34bZOm2PJ
MpnunDfsWnTjo8IwHwYDVR0jBBgwFoAUeCJ34bZOm2PJMpnunDfsWnTjo8IwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
ICLZcVHLxyoRXNfMHMqeTyGGGLj5gSZlkjMZHJWHkoloAiBLq0Or8kLHD9LFgyJK
CJi2bmiX+p7PxPrdeu1SSqslZQ==
-----END CERTIFICATE-----
"""


@pytest.fixture
def encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of such a server over TLS, and a file with the certificate that it shows."""
    monkeypatch.setenv("no_proxy", "*")
    file = tmp_path / "certificate.pem"
    file.write_text(_CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", file
    server.shutdown()
    thread.join()
    server.server_close()


class TestAddresses:
    def test_an_encrypted_address_is_read_where_its_certificate_is_known(self, encrypted, monkeypatch):
        address, certificate = encrypted
        assert "CERTIFICATE_VERIFY_FAILED" in refused(f"{address}/cat.png")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        np.testing.assert_array_equal(load_image(f"{address}/cat.png"), quadrants())

    def test_an_encrypted_address_is_checked_before_a_word_is_said(self, encrypted, monkeypatch):
        monkeypatch.setattr("cnnvis_widgets.images._is_public", lambda address: not met.append(address))
        met: list[str] = []
        refused(f"{encrypted[0]}/cat.png")
        assert met == ["127.0.0.1"]

    @pytest.mark.parametrize(
        "address", ["http://", "http://[", "https://no such host/x.png", "http://\u0000"]
    )
    def test_what_is_no_address(self, address: str):
        assert "could not be downloaded" in refused(address)

    def test_a_picture_is_downloaded(self, site: str):
        np.testing.assert_array_equal(load_image(f"{site}/cat.png"), quadrants())
        np.testing.assert_array_equal(load_image(f"{site}/moved"), quadrants())

    def test_an_address_that_is_not_there_or_no_picture(self, site: str):
        assert "could not be downloaded" in refused(f"{site}/nothing.png")
        assert "is not a picture" in refused(f"{site}/web_page")

    def test_offline(self):
        sentence = refused("http://127.0.0.1:9/cat.png")
        assert "could not be downloaded" in sentence
        assert "urlopen" not in sentence and "Errno" not in sentence

    def test_size_is_bounded_whether_declared_or_not(self, site: str, monkeypatch: pytest.MonkeyPatch):
        assert "larger than 64 MB" in refused(f"{site}/large")
        monkeypatch.setattr(images, "MAX_DOWNLOAD_BYTES", 4 << 20)
        assert "larger than 4 MB" in refused(f"{site}/endless")

    @pytest.mark.parametrize(("page", "words"), [("slow", "longer than 0.5 s"), ("silent", "timed out")])
    def test_time_is_bounded_where_bytes_drip_and_where_none_come(
        self, page: str, words: str, site: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(images, "MAX_DOWNLOAD_SECONDS", 0.5)
        start = time.monotonic()
        assert words in refused(f"{site}/{page}")
        assert time.monotonic() - start < 3

    def test_redirects_to_other_schemes_are_not_followed(self, site: str):
        assert "neither http nor https" in refused(f"{site}/moved_to_ftp")
        assert "not allowed" in refused(f"{site}/moved_to_file")  # urllib itself refuses this one

    @pytest.mark.parametrize(
        "inside",
        ["http://127.0.0.1/", "http://localhost:8888/x", "http://[::1]/", "http://10.1.2.3/", "http://192.168.0.1/",
         "http://169.254.169.254/latest", "http://2130706433/", "http://0/"],
    )  # fmt: skip
    def test_a_page_outside_leads_nowhere_inside(self, inside: str):
        handler = images._CarefulWay()
        handler._meet("93.184.216.34")
        answer = (io.BytesIO(), 302, "Found", {})
        from_outside = urllib.request.Request("http://93.184.216.34/cat.png")
        with pytest.raises(ImageError, match="this machine or network"):
            handler.redirect_request(from_outside, *answer, inside)
        at_home = images._CarefulWay()
        at_home._meet("127.0.0.1")
        from_inside = urllib.request.Request("http://127.0.0.1/cat.png")
        assert at_home.redirect_request(from_inside, *answer, inside).full_url == inside
        assert (
            handler.redirect_request(from_outside, *answer, "http://8.8.8.8/").full_url == "http://8.8.8.8/"
        )

    @pytest.mark.parametrize("turn", ["second", "first"])
    def test_a_name_that_answers_differently_each_time_leads_nowhere_inside(
        self, turn: str, site: str, monkeypatch: pytest.MonkeyPatch
    ):
        """DNS rebinding: outside where it is looked at, inside where it is gone to. 127.0.0.1 stands for outside."""
        try:
            home = _HomeServer(("::1", 0), _Pages)
        except OSError:
            pytest.skip("this machine has no second address of its own")
        port, asked, real = urllib.parse.urlsplit(site).port, Counter(), socket.getaddrinfo
        threading.Thread(target=home.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setattr(images, "_is_public", lambda address: address == "127.0.0.1")

        def answer(name, to, *more, **options):
            asked[name] += 1
            if name in ("outside.test", "changing.test"):
                name = "127.0.0.1" if asked[name] == 1 else "::1"
            return real(name, to, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        goal = (
            f"http://changing.test:{home.server_port}/cat.png"
            if turn == "second"
            else f"http://[::1]:{home.server_port}/cat.png"
        )
        monkeypatch.setattr(_Pages, "elsewhere", goal)
        try:
            sentence = refused(f"http://outside.test:{port}/moved_elsewhere")
        finally:
            home.shutdown()
            home.server_close()
        assert "of this machine or network" in sentence
        assert home.heard == []
        assert asked["changing.test"] == (2 if turn == "second" else 0)

    @pytest.mark.parametrize(
        "address", ["file:///etc/passwd", "ftp://example.org/a.png", "FILE:///a", "s3://b/a.png"]
    )
    def test_other_schemes_are_refused(self, address: str):
        assert "neither an http nor an https" in refused(address)


class TestResize:
    def test_shrinking_averages_over_area(self):
        lines = np.zeros((8, 64), np.uint8)
        lines[:, ::4] = 255  # thin enough to fall between the samples of plain interpolation
        np.testing.assert_array_equal(resize(lines, (2, 16)), np.full((2, 16), 64))

    def test_enlarging_is_linear(self):
        np.testing.assert_allclose(resize(np.array([[0.0, 1.0]], np.float32), (1, 4)), [[0, 0.25, 0.75, 1]])

    def test_an_axis_that_shrinks_does_not_alias_where_the_other_grows(self):
        lines = np.zeros((8, 64), np.float32)
        lines[:, ::4] = 1
        np.testing.assert_allclose(resize(lines, (16, 16)), np.full((16, 16), 0.25))

    @pytest.mark.parametrize("shape", [(6, 9), (6, 9, 1), (6, 9, 3), (6, 9, 64)])
    @pytest.mark.parametrize("size", [(3, 3), (12, 20), (6, 9), (1, 50)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_shape_and_type_are_kept(self, shape: tuple[int, ...], size: tuple[int, int], dtype: type):
        image = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
        result = resize(image, size)
        assert result.shape == (*size, *shape[2:])
        assert result.dtype == dtype
        assert not np.shares_memory(result, image)

    def test_the_mean_is_kept(self):
        image = sample_images()["cat"]
        assert abs(resize(image, (64, 64)).mean() - image.mean()) < 1


def test_samples_are_real_photographs_with_the_cat_first():
    samples = sample_images()
    assert list(samples) == ["cat", "astronaut", "coffee", "rocket"]
    for image in samples.values():
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.std() > 30
    np.testing.assert_array_equal(samples["cat"][150, 200], _skimage_cat()[150, 200])
    samples["cat"][:] = 0
    assert sample_images()["cat"].any()  # nobody can spoil them for the next


def _skimage_cat() -> np.ndarray:
    import skimage.data

    return skimage.data.chelsea()
