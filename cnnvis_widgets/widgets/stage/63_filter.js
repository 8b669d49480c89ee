// @ts-check
// The picture that excites one filter most, as it grows, and patches of photographs that do so in the world.

const PATCH_GAP = 3; // CSS pixels between patches
const PATCH_SIDE = 56; // they are drawn no larger

/**
 * Bytes of RGB as a canvas of that size. @param {HTMLCanvasElement} canvas @param {Uint8Array} rgb
 * @param {number} from where they begin @param {number} h @param {number} w
 */
function putRgb(canvas, rgb, from, h, w) {
  canvas.width = w;
  canvas.height = h;
  const image = new ImageData(w, h);
  for (let i = 0, to = 0; i < h * w; i++, to += 4) {
    image.data[to] = rgb[from++];
    image.data[to + 1] = rgb[from++];
    image.data[to + 2] = rgb[from++];
    image.data[to + 3] = 255;
  }
  pen(canvas).putImageData(image, 0, 0);
}

/** @param {View} view @returns {Panel} */
function createFilterPanel(view) {
  const { model, t } = view;
  const panel = makePanel("filter", "img");
  const { canvas, note } = panel;
  const bar = makeProgress(view, "filter");
  view.label(panel.title, { text: "stage.filter.title" });
  const caption = makeLine("caption");
  const patchesTitle = makeLine("caption");
  const strip = makeCanvas({ class: "cnnvis-patches", role: "img" });
  panel.element.append(...bar.elements, caption, patchesTitle, strip);
  const picture = makeCanvas(); // at its own size
  const [newPicture, newSize, newPatches] = createMemos(3);

  /** @param {boolean} wanted whether a picture is there that the patches belong to */
  function patches(wanted) {
    const bytes = model.get("patches");
    const rgb = bytesOf(bytes);
    const [n, h, w] = model.get("patches_shape") ?? [0, 0, 0];
    /** @type {string[]} */
    const said = model.get("patches_said") ?? [];
    const there = wanted && n * h * w > 0 && rgb.length >= 3 * n * h * w;
    say(patchesTitle, there ? t("stage.filter.patches") : (wanted && said[0]) || "");
    show(strip, there);
    if (!there) return;
    const [room] = roomOf(panel.view); // within the padding
    const side = Math.min(PATCH_SIDE, (room - PATCH_GAP * (n - 1)) / n);
    if (side <= 0) return;
    const title = said.join(", ");
    put(strip, { title, "aria-label": t("stage.filter.patches_alt", { patches: title }) });
    const [tall, wide] = sizeCanvas(strip, n * (side + PATCH_GAP) - PATCH_GAP, side * (h / w));
    if (!newPatches(bytes, tall, wide)) return;
    const context = pen(strip);
    const one = makeCanvas();
    const pitch = (wide * (side + PATCH_GAP)) / (n * (side + PATCH_GAP) - PATCH_GAP);
    context.clearRect(0, 0, wide, tall);
    for (let i = 0; i < n; i++) {
      putRgb(one, rgb, 3 * i * h * w, h, w);
      context.drawImage(one, i * pitch, 0, (pitch * side) / (side + PATCH_GAP), tall);
    }
  }

  return {
    element: panel.element,
    paint() {
      const [h, w] = model.get("picture_shape") ?? [0, 0];
      const bytes = model.get("picture");
      const rgb = bytesOf(bytes);
      const there = h * w > 0 && rgb.length >= 3 * h * w;
      const progress = model.get("picture_progress") ?? {};
      const running = progress.steps > 0;
      bar.paint(running, progress, progress.message);
      const words = there ? [model.get("picture_caption") || ""] : [];
      const other = there && view.data.maps && model.get("picture_unit") >= 0 && model.get("picture_unit") !== view.unit;
      if (other) words.push(t("stage.filter.other", { shown: model.get("picture_unit"), unit: view.unit }));
      setText(caption, words.filter(Boolean).join(" "));
      put(canvas, { "aria-label": t("stage.filter.alt", { caption: model.get("picture_caption") || "" }) });
      say(note, there ? "" : t(running ? "stage.filter.soon" : "stage.filter.empty"));
      show(canvas, there);
      patches(there);
      if (!there) return;
      const fresh = newPicture(bytes, h, w);
      if (fresh) putRgb(picture, rgb, 0, h, w);
      const [tall, wide] = fitCanvas(canvas, panel.view, h, w, panel.element);
      if (tall && (newSize(tall, wide) || fresh)) {
        pen(canvas).drawImage(picture, 0, 0, wide, tall);
      }
    },
  };
}
