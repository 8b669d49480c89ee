// @ts-check
// The layer as a mixture of a few parts, each a colour over the greyed photograph; the legend names them, and whoever
// points at one there sees it alone.

const PARTS_OPACITY = 0.6; // of the strongest place, as `Concepts.overlay`

/** @param {View} view @returns {Panel & {opener: HTMLElement}} */
function createConceptsPanel(view) {
  const { model, signal, t } = view;
  const opener = makeButton(view, "stage.concepts.open", toggle, { "data-choice": "concepts" });
  const panel = makePanel("concepts", "img");
  const close = makeButton(view, "stage.concepts.close", toggle);
  const legend = view.label(make("div", { class: "cnnvis-tools cnnvis-parts", role: "group" }), { "aria-label": "stage.concepts.legend" });
  const caption = makeLine("caption");
  panel.head.append(close);
  panel.element.append(legend, caption);
  const [newMaps, newPaint] = createMemos(2);
  let open = false;
  let [pointed, kept] = [-1, -1]; // parts, -1: none
  /** @type {Float32Array} */
  let maps = new Float32Array(0);
  /** @type {HTMLElement[]} */
  let entries = [];

  function toggle() {
    open = !open;
    model.send({ type: "concepts", open });
    view.schedule();
  }

  /** One button a part: its colour, number and share. @param {any} about */
  function list(about) {
    entries = about.colours.map((/** @type {number[]} */ colour, /** @type {number} */ part) => {
      const swatch = make("span", { class: "cnnvis-swatch", "aria-hidden": "true" });
      swatch.style.background = `rgb(${colour.join(" ")})`;
      const words = make("span");
      setText(words, t("stage.concepts.part", { part: part + 1, share: `${Math.round(100 * about.share[part])}%` }));
      const entry = make("button", { type: "button", class: "cnnvis-button" }, swatch, words);
      const point = (/** @type {number} */ to) => () => { pointed = to; view.schedule(); };
      const [here, away] = [point(part), point(-1)];
      const keep = () => { kept = kept === part ? -1 : part; view.schedule(); };
      listen(entry, signal, { pointerenter: here, focus: here, pointerleave: away, blur: away, click: keep });
      return entry;
    });
    legend.replaceChildren(...entries);
  }

  /** @param {any} about @param {ImageBitmap} bitmap @param {number} only a part, or -1 for all */
  function paintMixture(about, bitmap, only) {
    const [tall, wide] = fitCanvas(panel.canvas, panel.view, bitmap.height, bitmap.width);
    if (!tall) return;
    const picture = drawPhoto(panel.canvas, bitmap);
    mixParts(picture.data, maps, about.shape, about.colours, only, tall, wide);
    pen(panel.canvas).putImageData(picture, 0, 0);
  }

  return {
    element: panel.element,
    opener,
    paint() {
      show(opener, !!view.data.maps && hasPanel(view, "photo"));
      disableAbsent(view, opener, "concepts");
      put(opener, { "aria-expanded": open });
      show(panel.element, open);
      if (!open) return;
      const about = model.get("concepts");
      const there = !!about?.shape;
      setText(panel.title, t("stage.concepts.title", { layer: about?.layer ?? view.path }));
      say(panel.note, there ? about.message : t("stage.concepts.soon"));
      show(panel.canvas, there);
      show(legend, there && !about.message);
      setText(caption, there && !about.message ? t("stage.concepts.caption", { explained: `${Math.round(100 * about.explained)}%` }) : "");
      const ready = view.photo.decode();
      if (!there) return;
      if (newMaps(model.get("concepts"), model.get("concept_maps"), model.get("texts"))) {
        maps = floatsOf(model.get("concept_maps"));
        [pointed, kept] = [-1, -1];
        list(about);
      }
      const only = pointed >= 0 ? pointed : kept;
      entries.forEach((entry, part) => put(entry, { "aria-pressed": kept === part }));
      put(panel.canvas, { "aria-label": t("stage.concepts.alt", { layer: about.layer, part: only < 0 ? "" : only + 1 }) });
      const bitmap = view.photo.bitmap();
      if (!ready || !bitmap) return;
      if (!newPaint(about, maps, bitmap, only, ...roomOf(panel.view))) return;
      paintMixture(about, bitmap, only);
      put(view.root, { "data-concepts": `${view.data.frame} ${only}` });
    },
  };
}

/**
 * Each pixel greyed, then coloured with the mixture of its parts, as strong as they are of the most anywhere.
 * @param {Uint8ClampedArray} pixels RGBA, changed @param {Float32Array} maps (n, h, w), >= 0 @param {number[]} shape of them
 * @param {number[][]} colours @param {number} only a part, or -1 for all @param {number} tall @param {number} wide
 */
function mixParts(pixels, maps, [n, h, w], colours, only, tall, wide) {
  const size = h * w;
  let most = 0;
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += maps[k * size + i];
    most = Math.max(most, sum);
  }
  const planes = colours.flatMap((colour, k) =>
    only >= 0 && only !== k ? [] : [{ colour, at: enlarge(maps.subarray(k * size, (k + 1) * size), h, w, tall, wide, 0, most || 1) }]);
  for (let i = 0, p = 0; i < tall * wide; i++, p += 4) {
    let [sum, red, green, blue] = [0, 0, 0, 0];
    for (const { colour, at } of planes) {
      sum += at[i];
      red += at[i] * colour[0];
      green += at[i] * colour[1];
      blue += at[i] * colour[2];
    }
    const grey = 0.299 * pixels[p] + 0.587 * pixels[p + 1] + 0.114 * pixels[p + 2];
    const share = PARTS_OPACITY * Math.min(1, sum / 255);
    const over = sum ? share / sum : 0;
    pixels[p] = grey * (1 - share) + red * over;
    pixels[p + 1] = grey * (1 - share) + green * over;
    pixels[p + 2] = grey * (1 - share) + blue * over;
  }
}
