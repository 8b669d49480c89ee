// @ts-check
// Any class's heatmap without the kernel: the maps, summed with the channel weights of the class. Exact Grad-CAM up to
// the float16 that both came in; where that leaves the sign of the evidence in doubt, the kernel is waited for.

const HALF = 2 ** -11; // the most by which a number is off, as a share of itself, after it went through float16

/**
 * @typedef {{h: number, w: number, values: Float32Array, most: number, doubtful: boolean, finite: boolean}} ClassHeat
 *   values: divided by most, their maximum; doubtful: rounding may be all there is
 * @typedef {Heat & {caption: string, message: string, high: number}} ShownHeat high: the value of the last colour
 * @typedef {{index: number, name: string, probability: number, logit: number}} Prediction
 */

/** ReLU(sum_k w_k A_k), divided by its maximum. @param {Maps} maps @param {Float32Array} weights @returns {ClassHeat} */
function classHeat(maps, weights) {
  const { c, h, w, values: planes, stats, rough } = maps;
  const size = h * w;
  const sum = new Float64Array(size);
  for (let k = 0, at = 0; k < c; k++) {
    const weight = weights[k];
    for (let i = 0; i < size; i++) sum[i] += weight * planes[at++];
  }
  let [most, where, finite] = [0, 0, true];
  for (let i = 0; i < size; i++) {
    if (!Number.isFinite(sum[i])) finite = false;
    else if (sum[i] > most) [most, where] = [sum[i], i];
  }
  let error = 0;
  for (let k = 0; k < c; k++) {
    const most = rough && rough * Math.max(Math.abs(stats[3 * k]), Math.abs(stats[3 * k + 1]));
    error += Math.abs(weights[k]) * (Math.abs(planes[k * size + where]) * 2 * HALF + most);
  }
  const values = Float32Array.from(sum, (value) => (value < 0 ? 0 : most > 0 ? value / most : value));
  return { h, w, values, most, doubtful: finite && most > 0 && most < error, finite };
}

/**
 * Which class is shown, and its heatmap: the kernel's where it is of that class, else one made here, else the
 * kernel's last.
 * @param {View} view
 */
function createClasses(view) {
  const { model, t } = view;
  /** @type {number | null} */
  let peeked = null;
  /** @type {Map<number, ClassHeat | null>} */
  let made = new Map();
  const newMaps = createMemo();

  /** @type {Prediction[] | null} */
  let live = null; // a camera's
  const listed = () => /** @type {Prediction[]} */ (live ?? model.get("classes") ?? []);

  function chosen() {
    const choice = model.get("target_choice") ?? 0;
    return choice > 0 ? choice - 1 : model.get("classes")?.[0]?.index ?? view.data.heat?.target ?? -1; // of the photograph
  }

  /** The channel weights of a class for the maps shown. @param {number} target @returns {Float32Array | null} */
  function weightsOf(target) {
    const { maps, weights } = view.data;
    const row = maps && weights && target >= 0 ? weights.rowOf(target) : -1;
    if (row < 0 || !maps || !weights || (row + 1) * maps.c > weights.values.length) return null;
    return weights.values.subarray(row * maps.c, (row + 1) * maps.c);
  }

  /** What a class's heatmap can be drawn from here. @param {number} target @returns {Float32Array | null} */
  function drawable(target) {
    const { maps, heat } = view.data;
    return !maps || maps.reduced || !heat || heat.signed || !model.get("weights_from") ? null : weightsOf(target);
  }

  /** @param {number} target @returns {ClassHeat | null} */
  function heatOf(target) {
    const { maps, weights } = view.data;
    if (newMaps(maps, weights, model.get("weights_from"))) made = new Map();
    if (!made.has(target)) {
      const row = drawable(target);
      made.set(target, maps && row && classHeat(maps, row));
    }
    return made.get(target) ?? null;
  }

  /** The most evidence for any class of the list; 0 where not all of them can be drawn here. */
  function sharedMost() {
    let most = view.data.heat?.most ?? 0;
    for (const index of new Set([...listed().map((each) => each.index), shown()])) {
      const heat = index === view.data.heat?.target ? view.data.heat : heatOf(index);
      if (!heat) return 0;
      most = Math.max(most, heat.most);
    }
    return most;
  }

  /** The words that go with a heatmap made here. @param {number} target @param {ClassHeat} heat */
  function words(target, heat) {
    const logit = floatsOf(model.get("logits"))[target];
    const values = {
      method: model.get("method"),
      network: model.get("network"),
      layer: view.path,
      name: model.get("class_names")?.[target] ?? "",
      score: logit === undefined ? "?" : logit.toFixed(2),
    };
    const message = !heat.finite ? "stage.heat.not_finite" : heat.most > 0 ? "" : "stage.heat.nothing";
    return { caption: t("stage.heat.caption", values), message: message && t(message, values) };
  }

  function shown() {
    return peeked ?? chosen();
  }

  return {
    listed, chosen, shown, weightsOf,
    peeked: () => peeked,
    /** The classes of a camera's frame instead of the photograph's. @param {Prediction[] | null} classes */
    setLive(classes) {
      live = classes;
    },
    /** Whether the heatmap can be on one scale with other classes'. */
    canShare: () => listed().length > 0 && listed().every(({ index }) => !!drawable(index)),
    /** A look at another class, as long as the pointer is there. @param {number | null} target */
    peek(target) {
      if (peeked === target) return;
      peeked = target;
      view.schedule();
    },
    /** @param {number | null} target null: the top class, whichever it is */
    choose(target) {
      const choice = target === null ? 0 : target + 1;
      view.sync.set("target_choice", choice);
      model.send({ type: "choose", choice }); // the trait alone would not say that a person did it
      view.schedule();
    },
    /** @returns {ShownHeat | null} */
    heat() {
      const { heat } = view.data;
      if (!heat) return null;
      const target = shown();
      const own = target >= 0 && target !== heat.target ? heatOf(target) : null;
      const base = own && !own.doubtful ? { ...own, signed: false, target, ...words(target, own) } : {
        ...heat, caption: model.get("heat_caption") || "", message: model.get("heat_message") || "",
      };
      const shared = model.get("heat_scale") === "shared" && !base.signed ? sharedMost() : 0;
      return { ...base, high: shared > 0 && base.most > 0 ? shared / base.most : 1 };
    },
  };
}

/**
 * The top classes, most probable first, each with a bar: pointing at one shows its evidence, a click chooses it.
 * @param {View} view
 */
function makeClassList(view) {
  const { signal, t, classes } = view;
  const element = view.label(make("ol", { class: "cnnvis-classes" }), { "aria-label": "stage.classes" });
  const newList = createMemo();
  /** @type {HTMLElement[]} */
  const rows = []; // they stay while a camera's classes change: a click takes longer than a frame
  const target = (/** @type {Event} */ event) =>
    Number(/** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.("[data-class]"))?.dataset.class ?? NaN);
  let clicked = NaN; // the class just clicked: shown as chosen, not as pointed at, until the pointer has left it
  const peek = (/** @type {Event} */ event) => {
    const index = target(event);
    if (index === clicked) return;
    clicked = NaN;
    classes.peek(Number.isNaN(index) ? null : index);
  };
  const leave = () => {
    clicked = NaN;
    classes.peek(null);
  };
  listen(element, signal, {
    pointermove: peek, // not "over": a live list changes under a pointer at rest
    pointerleave: leave,
    focusin(event) {
      if (/** @type {Element} */ (event.target).matches(":focus-visible")) peek(event);
    },
    focusout: leave,
    click(event) {
      const index = target(event);
      if (Number.isNaN(index)) return;
      const again = index === classes.chosen() && view.model.get("target_choice") > 0;
      classes.peek(null);
      clicked = index;
      classes.choose(again ? null : index);
    },
  });

  return {
    element,
    paint() {
      const list = classes.listed();
      const fresh = newList(JSON.stringify(list));
      rows.splice(list.length).forEach((row) => row.parentElement?.remove());
      while (rows.length < list.length) {
        rows.push(make("button", { type: "button", class: "cnnvis-class" },
          make("span", { class: "cnnvis-class-bar", "aria-hidden": "true" }), make("span", { class: "cnnvis-class-name" }), make("span")));
        element.append(make("li", {}, rows[rows.length - 1]));
      }
      show(element, list.length > 0);
      rows.forEach((row, i) => {
        const { index, name, probability, logit } = list[i];
        const [bar, said, share] = /** @type {HTMLElement[]} */ ([...row.children]);
        if (fresh) bar.style.width = `${clamp(100 * probability, 0, 100)}%`;
        setText(said, name);
        setText(share, formatShare(probability));
        const words = t("stage.classes.row", { name, share: share.textContent, score: logit.toFixed(2) });
        put(row, { "data-class": index, "aria-label": words, title: `${words}. ${t("stage.classes_hint")}`, "aria-pressed": index === classes.chosen() });
        row.classList.toggle("cnnvis-class-shown", index === classes.shown());
      });
    },
  };
}

/** A probability as a person writes it. @param {number} share */
function formatShare(share) {
  if (share > 0.999) return "> 99.9%";
  return share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`;
}
