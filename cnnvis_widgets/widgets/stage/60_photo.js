// @ts-check
// The photograph with its heatmap: enlarged first, coloured afterwards, blended here. Pictures can be dropped here.

const PICTURE_SIDE = 1600; // larger pictures are made smaller before they travel
const PICTURE_BYTES = 8e6; // a message over 10 MiB makes the server drop the connection without a word

/** @param {View} view @returns {Panel} */
function createPhotoPanel(view) {
  const { model, signal, t } = view;
  const panel = makePanel("photo", "img");
  const { canvas, note } = panel;
  const browse = makeButton(view, "stage.photo.open", () => input.click());
  const input = /** @type {HTMLInputElement} */ (make("input", { type: "file", accept: "image/*,video/*", hidden: "" }));
  const camera = view.camera;
  const record = makeButton(view, "", () => (camera.isOn() ? camera.stop() : camera.startCamera()));
  const keep = makeButton(view, "stage.camera.keep", camera.keep);
  view.label(panel.title, { text: "stage.photo.title" });
  panel.head.append(record, browse, input);
  const sign = make("span", { class: "cnnvis-on", role: "status" });
  const rate = make("span", { class: "cnnvis-rate" });
  const strip = makeBox("live", sign, rate, keep);
  panel.head.after(strip);
  const readout = makeLine("readout");
  const ramp = makeCanvas({ class: "cnnvis-ramp", "aria-hidden": "true" });
  const [low, high] = [make("span"), make("span")];
  const legend = makeBox("legend", low, ramp, high);
  const caption = makeLine("caption");
  const sees = makeLine("sees");
  const scales = makeChoice(view, "heat_scale", ["own", "shared"], () => view.classes.canShare());
  const list = makeClassList(view);
  panel.element.append(readout, legend, scales.element, list.element, caption, sees); // the list must stay under the pointer

  const mark = makeMarks(panel, 2);
  const base = makeCanvas(); // the photograph alone, at the size shown
  /** @type {Uint8ClampedArray | null} */
  let photo = null;
  /** @type {Int16Array | null} */
  let indices = null;
  /** @type {[number, number] | null} */
  let pointer = null;
  const [newPhoto, newHeat, newBlend, newRamp] = createMemos(4);

  const point = (/** @type {[number, number] | null} */ at) => view.point("photo", (pointer = at));
  listenForPointer(canvas, signal, (event) => point(pointerShare(event)), () => point(null));
  listen(input, signal, { change() { sendPicture(view, input.files?.[0]); input.value = ""; } });

  /** The camera's sign, its button and how fast it goes. */
  function describeCamera() {
    const on = camera.isOn();
    const pace = camera.rate();
    setText(record, t(on ? "stage.camera.stop" : "stage.camera.start"));
    put(record, { title: t(on ? "stage.camera.stop_hint" : "stage.camera.start_hint") });
    record.classList.toggle("cnnvis-recording", on);
    show(record, disableAbsent(view, record, "camera") || on || model.get("uploads") !== false);
    setText(sign, on ? t(camera.isFile() ? "stage.camera.video" : "stage.camera.on") : "");
    setText(rate, Number.isFinite(pace) ? t("stage.camera.rate", { rate: pace.toFixed(1) }) : t("stage.camera.waiting"));
    show(strip, on);
  }

  /** @param {ShownHeat | null} heat @param {ImageBitmap | HTMLCanvasElement | null} shown
   * @param {Effect | null} effect shown instead of the heatmap @param {boolean} ready the photograph is decoded */
  function describe(heat, shown, effect, ready) {
    const live = shown !== view.photo.bitmap();
    const [rows, columns] = live && shown ? [shown.height, shown.width] : model.get("photo_size") ?? [0, 0];
    const name = live ? t("stage.camera.picture") : model.get("photo_name") || t("stage.photo.unnamed");
    show(browse, disableAbsent(view, browse, "picture") || model.get("uploads") !== false);
    setText(caption, heat?.caption || [model.get("network"), name].filter(Boolean).join(" · "));
    put(canvas, { "aria-label": t("stage.photo.alt", { name, caption: heat?.caption ?? "" }) });
    let words = rows ? t("stage.photo.size", { name, height: rows, width: columns }) : "";
    if (pointer && rows) {
      const [y, x] = [Math.floor(pointer[1] * rows), Math.floor(pointer[0] * columns)];
      words = t("stage.photo.position", { y, x });
      if (heat && !heat.message) {
        const value = formatNumber(sampleHeat(heat, pointer[1], pointer[0]) / heat.high);
        words = t(effect ? "stage.effect.value" : "stage.photo.value", { y, x, value });
      }
    }
    setText(readout, words);
    show(sees, view.links.known());
    const waiting = !live && view.links.effectWanted() && !effect;
    setText(sees, waiting ? t("stage.effect.soon") : view.linked.words || (effect?.silent ? t("stage.effect.silent", effect.of) : ""));
    const said = shown ? heat?.message : t(view.photo.isBroken() ? "stage.photo.broken" : "stage.photo.empty");
    setText(note, said || "");
    show(note, !!said && ready);
    note.classList.toggle("cnnvis-note-over", !!shown);
  }

  return {
    element: panel.element,
    paint() {
      const ready = view.photo.decode();
      const live = camera.frame();
      describeCamera();
      if (!ready && !live) return; // the last picture stays until photograph and heatmap can be shown together
      view.classes.setLive(live?.classes ?? null);
      const effect = live ? null : view.links.effect();
      const found = effect ? { ...effect, caption: t("stage.effect.caption", effect.of), message: "", high: 1 }
        : live ? live.heat : view.classes.heat();
      const shown = live?.picture ?? view.photo.bitmap();
      describe(found, shown, effect, ready);
      list.paint();
      scales.paint();
      const heat = found?.message ? null : found;
      legend.classList.toggle("cnnvis-unseen", !heat || !shown);
      show(canvas, !!shown);
      if (!shown) return;
      const [tall, wide] = fitCanvas(canvas, panel.view, shown.height, shown.width, panel.element);
      if (!tall) return;
      if (newPhoto(shown, live?.number, tall, wide)) {
        base.width = wide;
        base.height = tall;
        photo = drawPhoto(base, shown).data;
      }
      const { table, symmetric } = view.palette(!!heat?.signed);
      if (newHeat(heat?.values, heat?.high, symmetric, tall, wide)) {
        indices = heat && enlarge(heat.values, heat.h, heat.w, tall, wide, symmetric ? -heat.high : 0, heat.high);
      }
      const opacity = opacityOf(model);
      if (photo && newBlend(photo, indices, table, opacity)) {
        const [under, over] = [photo, indices];
        if (over) paintPixels(canvas, (_, picture) => blend(under, over, table, opacity, wide, picture.data));
        else pen(canvas).drawImage(base, 0, 0);
      }
      setText(low, symmetric ? "−1" : "0");
      const kind = symmetric ? "_signed" : heat && heat.high !== 1 ? "_shared" : "";
      setText(high, t(`stage.heat.most${kind}`));
      put(legend, { title: effect ? t("stage.effect.legend") : t(`stage.heat.legend${kind}`) });
      const { box } = view.linked;
      const [rows, columns] = view.data.graph?.input ?? [1, 1];
      mark(live ? null : box, rows, columns, box?.beyond);
      if (newRamp(table)) paintRamp(ramp, table);
      put(view.root, { "data-photo": view.data.frame, "data-live": live?.number ?? "" });
    },
  };
}

/** @param {Model} model */
function opacityOf(model) {
  return clamp(model.get("opacity") ?? 0.4, 0, 1);
}

/** The heatmap's value at a point of the photograph. @param {Heat} heat @param {number} y @param {number} x in 0..1 */
function sampleHeat({ h, w, values }, y, x) {
  return between(values, h, w, clamp(y * h - 0.5, 0, h - 1), clamp(x * w - 0.5, 0, w - 1));
}

/** A colour table as a strip. @param {HTMLCanvasElement} ramp @param {Uint32Array} table */
function paintRamp(ramp, table) {
  [ramp.width, ramp.height] = [256, 1];
  paintPixels(ramp, (pixels) => pixels.set(table));
}

/** The picture chosen last in each view: one that takes longer to read must not come after it. @type {WeakMap<View, File>} */
const chosenPicture = new WeakMap();

/**
 * A picture on its way to the kernel: small files as they are (their rotation mark with them), others made smaller.
 * @param {View} view @param {File | null | undefined} file
 */
async function sendPicture(view, file) {
  if (!file) return view.complain(view.t("stage.photo.no_file"));
  if (file.type.startsWith("video/")) return view.camera.startFile(file);
  chosenPicture.set(view, file);
  let blob = /** @type {Blob} */ (file);
  try {
    const bitmap = await createImageBitmap(file);
    const plain = /^image\/(png|jpeg)$/.test(file.type);
    if (!plain || file.size > PICTURE_BYTES / 4 || Math.max(bitmap.width, bitmap.height) > PICTURE_SIDE) {
      blob = await smallerPicture(bitmap, file.type);
    }
    bitmap.close();
  } catch {
    blob = file; // not a picture that the browser knows; the kernel may, or will say what is wrong with it
  }
  const content = blob.size > PICTURE_BYTES ? null : await blob.arrayBuffer();
  if (view.signal.aborted || chosenPicture.get(view) !== file) return;
  if (!content) {
    return view.complain(view.t("stage.photo.too_large", { name: file.name, megabytes: (file.size / 1e6).toFixed(1) }));
  }
  view.model.send({ type: "image", name: file.name }, undefined, [content]);
}

/** @param {ImageBitmap} bitmap @param {string} type @returns {Promise<Blob>} */
async function smallerPicture(bitmap, type) {
  const canvas = makeCanvas();
  const context = drawSmaller(canvas, bitmap, PICTURE_SIDE, bitmap.width, bitmap.height);
  if (type !== "image/jpeg") {
    const png = await encoded(canvas, "image/png");
    if (png.size < PICTURE_BYTES / 2) return png;
  }
  context.globalCompositeOperation = "destination-over"; // JPEG knows no transparency: white behind
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return encoded(canvas, "image/jpeg");
}

/** @param {HTMLCanvasElement} canvas @param {string} type @param {number} [quality] @returns {Promise<Blob>} */
function encoded(canvas, type, quality = 0.92) {
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(type))), type, quality));
}

/** A picture made no larger than a side. @param {HTMLCanvasElement} canvas @param {CanvasImageSource} source
 * @param {number} side @param {number} width @param {number} height of the source */
function drawSmaller(canvas, source, side, width, height) {
  const scale = Math.min(1, side / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = pen(canvas);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context;
}
