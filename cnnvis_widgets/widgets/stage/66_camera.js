// @ts-check
// Live pictures, from a camera or a video file: one frame under way at a time, and each heatmap painted over the very
// frame it is of. Nothing is recorded; the camera is on only while the sign says so.

const LIVE_SIDE = 640; // of the picture that is shown
const FRAME_LEAST = 33; // ms between two frames: no camera is faster
const FIRST_FRAME = 1000; // ms that the first one is waited for
const ANSWER_PATIENCE = 10000; // ms until an answer is taken for lost, or given way to another view's frame
const RATE_FRAMES = 20; // over which pictures per second are counted

/** @typedef {{picture: HTMLCanvasElement, number: number, heat: ShownHeat,
 * classes: Prediction[], method: string, layer: string}} LiveFrame what was answered to a frame */

/** @param {View} view */
function createCamera(view) {
  const { model, signal, t } = view;
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.loop = true;
  const small = makeCanvas();
  const pictures = [0, 1].map(() => makeCanvas()); // one shown, one under way
  const underWay = () => pictures[Number(shown?.picture === pictures[0])];
  /** @type {MediaStream | null} */
  let stream = null;
  let [on, starting] = [false, false];
  let number = 0; // of the last frame sent, through all starts
  let waiting = 0; // the number of the frame under way, or 0
  let sentAt = 0;
  /** @type {LiveFrame | null} */
  let shown = null;
  /** @type {number[]} */
  let times = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function stop() {
    clearTimeout(timer);
    stream?.getTracks().forEach((track) => track.stop());
    if (video.src) URL.revokeObjectURL(video.src);
    video.srcObject = null;
    video.removeAttribute("src");
    [stream, on, starting, waiting, shown, times] = [null, false, false, 0, null, []];
    view.schedule();
  }
  signal.addEventListener("abort", stop);
  document.addEventListener("visibilitychange", () => document.hidden && stop(), { signal });

  async function startCamera() {
    if (starting) return;
    stop();
    starting = true;
    view.schedule();
    try {
      if (!navigator.mediaDevices?.getUserMedia) throw new Error("insecure");
      const got = await navigator.mediaDevices.getUserMedia({ audio: false, video: { width: { ideal: LIVE_SIDE } } });
      if (signal.aborted || !starting || document.hidden) return got.getTracks().forEach((track) => track.stop());
      stream = got;
      got.getTracks().forEach((track) => track.addEventListener("ended", stop, { signal }));
      video.srcObject = got;
      await begin();
    } catch (error) {
      stop();
      const refused = /** @type {Error} */ (error).name === "NotAllowedError";
      view.complain(t(refused ? "stage.camera.refused" : "stage.camera.none"));
    }
  }

  /** @param {File} file of a video */
  async function startFile(file) {
    stop();
    starting = true;
    video.src = URL.createObjectURL(file);
    try {
      await begin();
    } catch {
      stop();
      view.complain(t("stage.camera.broken", { name: file.name }));
    }
  }

  async function begin() {
    await video.play();
    await firstFrame(video);
    if (!starting || signal.aborted) return stop();
    [on, starting] = [true, false];
    view.schedule();
    pump();
  }

  /** The next frame, as soon as none is under way. */
  function pump() {
    clearTimeout(timer);
    if (!on || waiting) return;
    const soon = sentAt + FRAME_LEAST - performance.now();
    if (video.readyState < 2 || soon > 0) timer = setTimeout(pump, Math.max(soon, 5));
    else send();
  }

  async function send() {
    const mine = (waiting = ++number);
    sentAt = performance.now();
    timer = setTimeout(() => { waiting = 0; pump(); }, ANSWER_PATIENCE);
    const picture = underWay();
    drawSmaller(picture, video, LIVE_SIDE, video.videoWidth, video.videoHeight);
    drawSmaller(small, picture, model.get("camera_side") || 224, picture.width, picture.height);
    const content = await (await encoded(small, "image/jpeg", 0.85)).arrayBuffer();
    if (!on || waiting !== mine) return;
    const peeked = view.classes.peeked();
    const choice = peeked === null ? model.get("target_choice") : peeked + 1;
    model.send({ type: "camera", number: mine, choice, view: view.root.id }, undefined, [content]);
  }

  /** The answer to the frame under way, where it has come. */
  function receive() {
    const live = model.get("live") ?? {};
    if (!waiting || live.number !== waiting || live.view !== view.root.id) return;
    if (live.error) {
      stop();
      return view.complain(live.error);
    }
    const [h, w] = live.shape;
    const values = floatsOf(model.get("live_heat"));
    const message = live.message || "";
    const heat = { h, w, values, signed: false, target: live.target, most: 1, high: 1, caption: live.caption, message };
    shown = { ...live, picture: underWay(), heat };
    waiting = 0;
    times = [...times.slice(1 - RATE_FRAMES), performance.now()];
    pump();
  }

  return {
    startCamera, startFile, stop,
    isOn: () => on || starting,
    isFile: () => on && !stream,
    /** Pictures per second, once there are a few. */
    rate() {
      const seconds = (times[times.length - 1] - times[0]) / 1000;
      return times.length > 3 && seconds > 0 ? (times.length - 1) / seconds : NaN;
    },
    /** The last frame that was answered. @returns {LiveFrame | null} */
    frame() {
      if (on) receive();
      return shown;
    },
    /** Stop, and look at the frame shown as at any picture. */
    async keep() {
      if (!shown) return;
      const content = encoded(shown.picture, "image/jpeg");
      stop();
      sendPicture(view, new File([await content], `${t("stage.camera.picture")}.jpg`, { type: "image/jpeg" }));
    },
  };
}

/** Until a film has shown a picture: on a busy machine one that plays may still be black. @param {HTMLVideoElement} film */
function firstFrame(film) {
  const shown = new Promise((done) => film.requestVideoFrameCallback?.(done));
  return Promise.race([shown, new Promise((done) => setTimeout(done, FIRST_FRAME))]);
}
