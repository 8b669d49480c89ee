"""The camera in real Chromium, with its made-up device: one frame under way, its heatmap over that very frame."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from browser import ARGS
from playwright.sync_api import Browser, Page, expect
from setup_browser import find_browser
from widgets.stage_page import page_of, pixels, receive, settle

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.live import live_heatmap
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.render import colormaps

FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PHOTO = ".cnnvis-photo"
WATCH = """() => {
  const media = navigator.mediaDevices, ask = media.getUserMedia.bind(media);
  window.streams = [];
  media.getUserMedia = async (wish) => { const stream = await ask(wish); streams.push(stream); return stream; };
}"""
TRACKS = "() => streams.flatMap((stream) => stream.getTracks().map((track) => track.readyState))"
SENT = "() => cnnvis.model.sent.filter((each) => each.content.type === 'camera')"


@pytest.fixture(scope="module")
def explorer() -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer(opacity=0.0)
    explorer._settle()
    yield explorer
    explorer.close()


@pytest.fixture(scope="module")
def filming(browser: Browser) -> Iterator[Browser]:
    """A Chromium that has a camera and lets pages use it."""
    filming = browser.browser_type.launch(executable_path=find_browser(), args=[*ARGS, *FAKE])
    yield filming
    filming.close()


@pytest.fixture
def page(filming: Browser, explorer) -> Iterator[Page]:
    page = filming.new_page(viewport={"width": 916, "height": 800})
    mistakes: list[str] = []
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    visit(page, explorer)
    page.evaluate(WATCH)
    yield page
    page.close()
    assert mistakes == []


def visit(page: Page, explorer: cnnvis.Explorer) -> None:
    """The stage at an address from which the browser lets a page use a camera."""
    page.route(
        "http://localhost/",
        lambda route: route.fulfill(body=page_of(explorer.stage), content_type="text/html"),
    )
    page.goto("http://localhost/")
    page.wait_for_selector(".cnnvis-stage[data-photo]")


def start(page: Page) -> None:
    page.get_by_role("button", name="Camera", exact=True).click()
    page.wait_for_function(f"({SENT})().length === 1")


def frame(page: Page, place: int) -> tuple[dict, bytes]:
    content, text = page.evaluate(
        f"""(place) => {{ const {{ content, buffers }} = ({SENT})()[place];
          let text = ""; for (const byte of new Uint8Array(buffers[0])) text += String.fromCharCode(byte);
          return [content, btoa(text)]; }}""",
        place,
    )
    return content, base64.b64decode(text)


def answer(page: Page, explorer: cnnvis.Explorer, place: int) -> np.ndarray:
    """Have the real part answer one frame, and hand that to the page; returns the frame as it was sent."""
    content, jpeg = frame(page, place)
    explorer.stage._receive(None, content, [memoryview(jpeg)])
    worker().call(lambda: None)  # after the answer
    receive(
        page, frame=1000 + place, **{name: getattr(explorer.stage, name) for name in ("live", "live_heat")}
    )
    page.wait_for_function(
        "(n) => document.querySelector('.cnnvis-stage').dataset.live === String(n)", arg=content["number"]
    )
    settle(page)
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_one_frame_is_under_way_and_its_heatmap_is_painted_over_it(page, explorer):
    start(page)
    page.wait_for_timeout(400)
    assert len(page.evaluate(SENT)) == 1  # however long the answer takes
    receive(page, frame=900, live={"number": 1, "view": "another view of the same Explorer"})
    assert page.locator(".cnnvis-stage").get_attribute("data-live") == ""
    sent = answer(page, explorer, 0)
    assert max(sent.shape) == 128  # twice what the network takes
    page.wait_for_function(f"({SENT})().length === 2")
    painted = pixels(page, PHOTO)[..., :3]
    small = cv2.resize(painted, sent.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - sent).mean() < 5  # the very frame: its clock goes on meanwhile
    first = explorer.stage.live
    page.wait_for_timeout(400)
    later = answer(page, explorer, 1)
    assert np.abs(later.astype(int) - sent).max() > 50
    painted = pixels(page, PHOTO)[..., :3]
    small = cv2.resize(painted, sent.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - later).mean() < 5
    assert explorer.stage.live["number"] == first["number"] + 1


def test_the_heatmap_and_the_classes_are_those_of_the_frame(page, explorer):
    start(page)
    sent = answer(page, explorer, 0)
    receive(page, opacity=1.0)
    painted = pixels(page, PHOTO)
    receive(page, opacity=0.0)
    network = explorer.network
    heatmap = cnnvis.explain(network, np.ascontiguousarray(sent))
    fine = cv2.resize(heatmap.values, painted.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    table = colormaps.table("cividis").astype(int)
    expected = table[np.clip(fine * 256, 0, 255).astype(int)]
    assert np.abs(painted[..., :3] - expected).mean() < 3
    best = network.predict(np.ascontiguousarray(sent), top=1)[0]
    expect(page.locator(".cnnvis-class").first).to_contain_text(best.name)
    expect(page.locator(".cnnvis-panel-photo .cnnvis-caption")).to_contain_text(f"{best.name} (logit")
    says = page.locator(".cnnvis-status").inner_text()
    of_frame, of_photograph = says.split(" On cat, as before: ")
    share = f"{100 * best.probability:.1f}%"
    assert of_frame.startswith(
        f"On the camera's picture: {network.name} says {best.name} ({share}). grad-cam"
    )
    assert of_photograph.startswith("Layer ") and "peaks at" in of_photograph
    page.get_by_role("button", name="Stop").click()
    settle(page)
    assert "camera" not in page.locator(".cnnvis-status").inner_text()


def test_a_chosen_class_travels_with_the_frame(page, explorer):
    start(page)
    answer(page, explorer, 0)
    page.wait_for_function(f"({SENT})().length === 2")
    page.locator(".cnnvis-class").nth(3).click()
    index = int(page.locator(".cnnvis-class").nth(3).get_attribute("data-class"))
    answer(page, explorer, 1)
    page.wait_for_function(f"({SENT})().length === 3")
    assert frame(page, 2)[0]["choice"] == index + 1
    answer(page, explorer, 2)
    assert explorer.stage.live["target"] == index


def test_a_class_is_chosen_by_a_click_that_takes_longer_than_a_frame(page, explorer):
    start(page)
    answer(page, explorer, 0)
    page.wait_for_function(f"({SENT})().length === 2")
    page.locator(".cnnvis-class").nth(2).hover()
    page.mouse.down()
    answer(page, explorer, 1)  # the clock of the made-up picture has gone on: other probabilities
    page.mouse.up()
    index = int(page.locator(".cnnvis-class").nth(2).get_attribute("data-class"))
    assert page.evaluate("() => cnnvis.model.get('target_choice')") == index + 1


def test_a_frame_whose_answer_is_lost_is_not_waited_for_for_ever(page, explorer):
    page.clock.install()
    visit(page, explorer)
    start(page)
    page.clock.run_for(5000)
    assert len(page.evaluate(SENT)) == 1
    page.clock.run_for(6000)
    page.wait_for_function(f"({SENT})().length === 2")
    assert answer(page, explorer, 1).size


def test_it_says_that_the_camera_is_on_and_how_fast(page, explorer):
    expect(page.get_by_text("Camera is on")).to_have_count(0)
    start(page)
    expect(page.get_by_text("Camera is on")).to_be_visible()
    for place in range(5):
        page.wait_for_function(f"({SENT})().length === {place + 1}")
        answer(page, explorer, place)
    expect(page.locator(".cnnvis-rate")).to_have_text(re.compile(r"[\d.]+ pictures per second"))


STOPS = {
    "the button": "() => [...document.querySelectorAll('button')].find((b) => b.textContent === 'Stop').click()",
    "the view goes away": "() => cnnvis.first.abort()",
    "the page is hidden": """() => { Object.defineProperty(document, "hidden", { get: () => true });
                            document.dispatchEvent(new Event("visibilitychange")); }""",
}


@pytest.mark.parametrize("way", STOPS)
def test_the_camera_is_turned_off_when(page, explorer, way):
    start(page)
    assert page.evaluate(TRACKS) == ["live"]
    page.evaluate(STOPS[way])
    settle(page)
    assert page.evaluate(TRACKS) == ["ended"]
    if way != "the view goes away":
        expect(page.get_by_text("Camera is on")).to_have_count(0)
        assert page.locator(".cnnvis-stage").get_attribute("data-live") == ""  # the photograph is back
    count = len(page.evaluate(SENT))
    page.wait_for_timeout(200)
    assert len(page.evaluate(SENT)) == count


def test_a_view_that_goes_away_while_the_camera_starts_leaves_it_off(page, explorer):
    page.evaluate(
        """() => { [...document.querySelectorAll("button")].find((b) => b.textContent === "Camera").click();
                   cnnvis.first.abort(); }"""
    )
    page.wait_for_function("() => streams.length === 1")
    page.wait_for_timeout(100)
    assert page.evaluate(TRACKS) == ["ended"]


def test_an_error_of_the_kernel_stops_the_camera_and_is_said(page, explorer):
    start(page)
    content, _ = frame(page, 0)
    explorer.stage._receive(None, content, [memoryview(b"no picture")])
    worker().call(lambda: None)  # after the answer
    receive(page, frame=2000, live=explorer.stage.live)
    expect(page.get_by_role("alert")).to_contain_text("picture")
    assert page.evaluate(TRACKS) == ["ended"]


def test_a_frame_can_be_kept_as_a_picture(page, explorer):
    start(page)
    answer(page, explorer, 0)
    page.get_by_role("button", name="Keep this picture").click()
    page.wait_for_function("() => cnnvis.model.sent.some((each) => each.content.type === 'image')")
    assert page.evaluate(TRACKS) == ["ended"]


def test_without_permission_words_say_what_to_do(browser: Browser, explorer):
    page = browser.new_page()
    visit(page, explorer)
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("a picture or a video file instead")
    expect(page.get_by_text("Camera is on")).to_have_count(0)
    page.close()


def test_a_video_file_takes_the_cameras_place(page, explorer, tmp_path):
    """Chromium records one itself: no encoder is needed here."""
    text = page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
          const pen = canvas.getContext("2d");
          pen.fillStyle = "#00f"; pen.fillRect(0, 0, 64, 48);  // or the film may begin in black
          const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
          const parts = [];
          recorder.ondataavailable = (event) => parts.push(event.data);
          recorder.start();
          for (let i = 0; i < 12; i++) {
            pen.fillStyle = i % 2 ? "#00f" : "#008"; pen.fillRect(0, 0, 64, 48);
            await new Promise((done) => setTimeout(done, 50));
          }
          recorder.stop();
          await new Promise((done) => { recorder.onstop = done; });
          const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
          return btoa(String.fromCharCode(...bytes)); }"""
    )
    file = tmp_path / "blue.webm"
    file.write_bytes(base64.b64decode(text))
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_function(f"({SENT})().length === 1")
    expect(page.get_by_text("Video is running")).to_be_visible()
    sent = answer(page, explorer, 0)
    assert sent.shape[:2] == (48, 64)
    assert (sent[..., 2].mean() > 90) and sent[..., :2].mean() < 60
    assert page.evaluate("() => streams.length") == 0


def test_live_heatmaps_are_explains_and_leave_nothing_in_memory(explorer):
    network, layer = explorer.network, explorer.network.layer("block3_conv2_relu")
    image = cnnvis.sample_images()["astronaut"]
    network.memory.clear()
    for target in (None, 5):
        heatmap, best = live_heatmap(network, image, layer, target)
        assert len(network.memory) == 0
        expected = cnnvis.explain(network, image, layer=layer, target=target)
        np.testing.assert_allclose(heatmap.values, expected.values, atol=1e-5)
        assert (heatmap.target, heatmap.score) == (expected.target, pytest.approx(expected.score, rel=1e-5))
        assert [p.index for p in best] == [p.index for p in network.predict(image)]
        network.memory.clear()


def test_of_many_frames_the_latest_wins(explorer):
    jpeg = cv2.imencode(".jpg", cnnvis.sample_images()["cat"])[1].tobytes()
    answered: list[int] = []
    explorer.stage.observe(lambda change: answered.append(change.new["number"]), "live")
    for number in range(30):
        explorer.stage._receive(
            None, {"type": "camera", "number": 100 + number, "view": "v"}, [memoryview(jpeg)]
        )
    worker().call(lambda: None)  # after the answer
    assert answered[-1] == 129 and len(answered) < 30 and answered == sorted(answered)
