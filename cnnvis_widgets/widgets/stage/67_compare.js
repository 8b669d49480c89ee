// @ts-check
// What was pinned (A) beside what is shown (B): heatmaps on their photographs, and the two maps; or B minus A.

/** @typedef {{h: number, w: number, values: Float32Array, signed: boolean, low: number, high: number}} Plane */

/** @param {View} view @returns {Panel} */
function createComparePanel(view) {
  const { model, t } = view;
  const difference = makeButton(view, "stage.compare.difference",
    () => view.sync.set("difference", !model.get("difference")), { "data-choice": "difference" });
  const unpin = makeButton(view, "stage.compare.unpin", () => model.send({ type: "unpin" }), { "data-choice": "unpin" });
  const head = makeBox("head", makeTitle(view, "stage.compare.title"), makeBox("tools", difference, unpin));
  const slots = ["A", "B"].flatMap((side) => ["heat", "map"].map((kind) => makeSlot(side, kind)));
  const view_ = make("div", { class: "cnnvis-view cnnvis-pair" }, ...slots.map((slot) => slot.element));
  const caption = makeLine("caption");
  const element = make("section", { class: "cnnvis-panel cnnvis-panel-compare" }, head, view_, caption);
  slots.forEach((slot) => view.label(slot.note, { text: "stage.compare.none" }));

  const photos = { A: createPicture(view, "pinned_photo"), B: view.photo };
  const [newPinned, newPaint] = createMemos(2);
  /** @type {{map: Plane | null, heat: Plane | null}} */
  let pinned = { map: null, heat: null };

  function readPinned() {
    const about = model.get("pinned");
    const [low, high] = about.map_range ?? [0, 0];
    const [map, heat] = ["map", "heat"].map((kind) => planeOf(model.get(`pinned_${kind}`), about[`${kind}_shape`]));
    return {
      map: map && { ...map, signed: about.map_signed, low, high },
      heat: heat && { ...heat, signed: about.heat_signed, low: about.heat_signed ? -1 : 0, high: 1 },
    };
  }

  /** What is shown now, as planes; of the class that is chosen here, of which the kernel may not have heard yet.
   * @returns {{map: Plane | null, heat: Plane | null, words: string}} */
  function current() {
    const { maps, detail } = view.data;
    const heat = view.classes.heat();
    const map = maps && fullMap(maps, detail, view.unit);
    return {
      map: map && { ...map, signed: maps.signed, low: maps.stats[3 * view.unit], high: maps.stats[3 * view.unit + 1] },
      heat: heat && { ...heat, low: heat.signed ? -1 : 0, high: 1 },
      words: heat?.message || heat?.caption || "",
    };
  }

  /** @param {ReturnType<typeof makeSlot>} slot @param {Plane | null} plane @param {string} words
   * @param {ImageBitmap | null} photo */
  function paintSlot(slot, plane, words, photo) {
    setText(slot.label, words);
    put(slot.canvas, { "aria-label": words });
    show(slot.canvas, !!plane);
    show(slot.note, !plane);
    if (!plane) return;
    const shape = photo ? [photo.height, photo.width] : [plane.h, plane.w];
    const [tall, wide] = fitCanvas(slot.canvas, slot.place, shape[0], shape[1], slot.element);
    if (!tall) return;
    const { values, h, w } = plane;
    const { table, symmetric } = view.palette(plane.signed);
    const [low, high] = valueRange(plane.low, plane.high, symmetric);
    const under = photo && drawPhoto(slot.canvas, photo).data;
    paintPixels(slot.canvas, (pixels, picture) => {
      if (!under) return paintMap(pixels, wide, 0, 0, wide, tall, values, 0, h, w, table, low, high);
      blend(under, enlarge(values, h, w, tall, wide, low, high), table, opacityOf(model), wide, picture.data);
    });
  }

  /** @param {"heat" | "map"} kind @param {Plane | null} a @param {Plane | null} b @param {string} wordsB of b */
  function paintPair(kind, a, b, wordsB) {
    const about = model.get("pinned");
    const [slotA, slotB] = slots.filter((slot) => slot.kind === kind);
    const [photoA, photoB] = kind === "heat" ? [photos.A.bitmap(), photos.B.bitmap()] : [null, null];
    const wordsA = kind === "heat" ? about.heat_message || about.heat_caption : t("stage.compare.map", about);
    const alike = kind === "heat" || (about.network === model.get("network") && about.layer === view.path);
    let subtracted = null;
    if (alike && a && b) { // values of one layer are on one scale, so they share their colours; those of two layers are not
      if (model.get("difference")) subtracted = minus(b, a);
      const shared = { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high), signed: a.signed || b.signed };
      [a, b] = [{ ...a, ...shared }, { ...b, ...shared }];
    }
    paintSlot(slotA, a, `A: ${wordsA}`, photoA);
    paintSlot(slotB, subtracted ?? b, subtracted ? t("stage.compare.minus", { most: formatNumber(subtracted.high) }) : `B: ${wordsB}`, photoB);
    return { alike, low: a?.low ?? 0, high: a?.high ?? 1 };
  }

  return {
    element,
    paint() {
      const there = !!model.get("pinned")?.network;
      show(element, there);
      if (!there) return;
      if (newPinned(model.get("pinned"), model.get("pinned_map"), model.get("pinned_heat"))) pinned = readPinned();
      const ready = [photos.A.decode(), photos.B.decode()];
      put(difference, { "aria-pressed": !!model.get("difference") });
      if (ready.includes(false)) return; // one of the photographs is being decoded: the last picture stays
      const { heat, map, words: heatWords } = current();
      const withHeat = !!(pinned.heat || heat);
      slots.filter((slot) => slot.kind === "heat").forEach((slot) => show(slot.element, withHeat));
      put(element, { "data-pairs": withHeat ? 2 : 1 });
      const keys = [pinned, view.data.maps, heat?.values, heatWords, view.data.detail, view.unit, model.get("difference"), model.get("opacity"),
        model.get("colormap"), model.get("texts"), ...roomOf(view_), model.get("photo")];
      if (!newPaint(...keys)) return;
      const words = [];
      if (withHeat) {
        const scale = paintPair("heat", pinned.heat, heat, heatWords);
        words.push(t("stage.compare.heat_words", { low: formatNumber(scale.low), high: formatNumber(scale.high) }));
      }
      const mapWords = t("stage.compare.map", { network: model.get("network"), layer: view.path, unit: view.unit });
      const { alike, low, high } = paintPair("map", pinned.map, map, mapWords);
      words.push(alike ? t("stage.compare.map_shared", { low: formatNumber(Math.min(low, 0)), high: formatNumber(Math.max(high, 0)) }) : t("stage.compare.map_apart"));
      setText(caption, words.join(" "));
      put(view.root, { "data-compared": view.data.frame });
    },
  };
}

/** @param {View} view @param {string} [method] to show beside what is pinned */
function pinView(view, method) {
  view.model.send({ type: "pin", unit: view.unit, choice: view.model.get("target_choice") ?? 0, ...(method ? { method } : {}) });
}

/** A button that pins the view, and a list of methods to show beside it. @param {View} view */
function makePinButton(view) {
  const { model, signal, t } = view;
  const button = makeButton(view, "stage.compare.pin", () => pinView(view), { "data-choice": "pin" });
  const select = /** @type {HTMLSelectElement} */ (make("select", { class: "cnnvis-button cnnvis-method", "data-choice": "other-method" }));
  view.label(select, { "aria-label": "stage.compare.method_hint", title: "stage.compare.method_hint" });
  listen(select, signal, {
    change() {
      if (select.value) pinView(view, select.value);
      select.value = "";
    },
  });
  const fresh = createMemo();
  return {
    element: make("span", { class: "cnnvis-tools" }, select, button),
    paint() {
      const methods = model.get("methods") ?? [];
      show(select, methods.length > 0 && !!view.data.heat);
      if (fresh(methods, model.get("method"), model.get("texts"))) {
        const others = methods.filter((/** @type {string} */ name) => name !== model.get("method"));
        select.replaceChildren(...["", ...others].map((name) => make("option", { value: name }, name || t("stage.compare.method"))));
        select.value = "";
      }
    },
  };
}

/** @param {string} side @param {string} kind */
function makeSlot(side, kind) {
  const canvas = makeCanvas({ role: "img", class: `cnnvis-compare-${kind}-${side}` });
  const note = makeLine("note");
  const place = makeBox("slot-view", canvas, note);
  const label = makeLine("readout");
  return { side, kind, canvas, note, place, label, element: make("div", { class: `cnnvis-slot cnnvis-slot-${kind}` }, place, label) };
}

/** b - a on the finer of their two grids, its colours symmetric. @param {Plane} b @param {Plane} a @returns {Plane} */
function minus(b, a) {
  const [h, w] = [Math.max(a.h, b.h), Math.max(a.w, b.w)];
  const values = new Float32Array(h * w);
  const at = (/** @type {Plane} */ plane, /** @type {number} */ y, /** @type {number} */ x) =>
    between(plane.values, plane.h, plane.w, clamp(((y + 0.5) * plane.h) / h - 0.5, 0, plane.h - 1), clamp(((x + 0.5) * plane.w) / w - 0.5, 0, plane.w - 1));
  let most = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const value = at(b, y, x) - at(a, y, x);
      values[y * w + x] = value;
      if (Math.abs(value) > most) most = Math.abs(value);
    }
  }
  return { h, w, values, signed: true, low: -most, high: most };
}
