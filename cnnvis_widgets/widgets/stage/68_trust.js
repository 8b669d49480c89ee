// @ts-check
// Can this heatmap be trusted? Its deletion and insertion curves beside those of the controls, the heatmap with random
// weights, and the verdict. The kernel tests on request and sends what it knows so far.

const CONTROL_NAMES = ["random", "edges", "centre"];
const [PLOT_WIDE, PLOT_TALL, PLOT_LEFT, PLOT_TOP, PLOT_RIGHT, PLOT_BOTTOM] = [340, 170, 36, 8, 8, 20]; // of an SVG, in its own units

/** Where a curve runs in a plot. @param {number[]} fractions @param {number[]} values in 0..1 @returns {string} SVG points */
function curvePoints(fractions, values) {
  const x = (/** @type {number} */ share) => PLOT_LEFT + share * (PLOT_WIDE - PLOT_LEFT - PLOT_RIGHT);
  const y = (/** @type {number} */ value) => PLOT_TOP + (1 - clamp(value, 0, 1)) * (PLOT_TALL - PLOT_TOP - PLOT_BOTTOM);
  return values.map((value, i) => (Number.isFinite(value) ? `${x(fractions[i]).toFixed(1)},${y(value).toFixed(1)}` : "")).filter(Boolean).join(" ");
}

/** Two decimals, with a real minus. @param {number} value */
function signedNumber(value) {
  return value.toFixed(2).replace("-", "−");
}

/** The axes of a plot of probabilities. */
function plotFrame() {
  const [left, right, top, bottom] = [PLOT_LEFT, PLOT_WIDE - PLOT_RIGHT, PLOT_TOP, PLOT_TALL - PLOT_BOTTOM];
  const marks = [0, 0.5, 1].flatMap((share) => {
    const [x, y] = [left + share * (right - left), bottom - share * (bottom - top)];
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    return [
      makeSvg("line", { x1: left, x2: right, y1: y, y2: y }),
      makeSvg("text", { x: left - 4, y: y + 4, "text-anchor": "end" }, share === 0.5 ? "0.5" : String(share)),
      makeSvg("text", { x, y: bottom + 14, "text-anchor": anchor }, `${100 * share}%`),
    ];
  });
  return makeSvg("g", { class: "cnnvis-plot-frame" }, ...marks);
}

/** One plot with its heading, and below it what each line is. @param {View} view @param {"deletion" | "insertion"} kind */
function makeCurves(view, kind) {
  const { t } = view;
  const title = view.label(make("h4", { class: "cnnvis-trust-title" }), { text: `stage.trust.${kind}` });
  const words = makeLine("caption");
  const lines = makeSvg("g");
  const drawing = makeSvg("svg", { viewBox: `0 0 ${PLOT_WIDE} ${PLOT_TALL}`, class: "cnnvis-plot", role: "img" }, plotFrame(), lines);
  const key = make("ul", { class: "cnnvis-plot-key" });
  return {
    element: make("div", { class: "cnnvis-trust-curves", "data-curves": kind }, title, words, /** @type {any} */ (drawing), key),
    /** @param {any} about */
    paint(about) {
      const names = [about.method, ...CONTROL_NAMES].filter((name) => about[kind]?.[name]?.length);
      const said = (/** @type {string} */ name) => (name === about.method ? name : t(`stage.trust.control.${name}`));
      const look = (/** @type {string} */ name) => (name === about.method ? "method" : name);
      setText(words, t(`stage.trust.${kind}_words`, { name: about.name }));
      // The method's own line is drawn last, over the others.
      lines.replaceChildren(...[...names].reverse().map((name) =>
        makeSvg("polyline", { points: curvePoints(about.fractions, about[kind][name]), "data-line": look(name) })));
      const areas = names.map((name) => `${said(name)} ${(about.areas[kind][name] ?? NaN).toFixed(2)}`);
      put(drawing, { "aria-label": t("stage.trust.curves", { title: title.textContent, areas: areas.join(", ") }) });
      key.replaceChildren(...names.map((name) => make("li", {},
        /** @type {any} */ (makeSvg("svg", { viewBox: "0 0 30 8", class: "cnnvis-plot-sample", "aria-hidden": "true" },
          makeSvg("polyline", { points: "0,4 30,4", "data-line": look(name) }))),
        make("span", {}, said(name)),
        make("b", {}, t("stage.trust.area", { area: (about.areas[kind][name] ?? NaN).toFixed(2) })))));
    },
  };
}

/** The heatmap, trained and with ever more layers random. @param {View} view */
function makeStrip(view) {
  const { model, t } = view;
  const title = view.label(make("h4", { class: "cnnvis-trust-title" }), { text: "stage.trust.strip" });
  const words = view.label(makeLine("caption"), { text: "stage.trust.strip_words" });
  const list = make("ol", { class: "cnnvis-trust-strip" });
  /** @type {{canvas: HTMLCanvasElement, label: HTMLElement}[]} */
  let tiles = [];
  return {
    element: makeBox("trust-random", title, words, list),
    /** @param {any} about */
    paint(about) {
      const [h, w] = about.strip_shape ?? [0, 0];
      const values = floatsOf(model.get("trust_maps"));
      const count = h * w ? Math.min(1 + (about.strip ?? []).length, Math.floor(values.length / (h * w))) : 0;
      if (tiles.length !== count) {
        tiles = Array.from({ length: count }, () => ({
          canvas: makeCanvas({ class: "cnnvis-trust-map", role: "img" }), label: make("span"),
        }));
        list.replaceChildren(...tiles.map(({ canvas, label }) => make("li", {}, canvas, label)));
      }
      const { table, symmetric } = view.palette(!!about.signed);
      tiles.forEach(({ canvas, label }, i) => {
        const stage = i ? about.strip[i - 1] : null;
        const numbers = stage && { layers: stage.layers, layer: stage.layer, similarity: signedNumber(stage.spearman), ssim: signedNumber(stage.ssim), count: about.layers };
        setText(label, numbers ? t("stage.trust.stage", numbers) : t("stage.trust.real"));
        put(canvas, { "aria-label": numbers ? t("stage.trust.stage_alt", numbers) : t("stage.trust.real") });
        [canvas.width, canvas.height] = [w, h];
        paintPixels(canvas, (pixels) => paintMap(pixels, w, 0, 0, w, h, values, i * h * w, h, w, table, symmetric ? -1 : 0, 1));
      });
    },
  };
}

/** @param {View} view @returns {Panel & {opener: HTMLElement}} */
function createTrustPanel(view) {
  const { model, t, root } = view;
  const button = (/** @type {string} */ name, /** @type {() => void} */ act) => makeButton(view, `stage.trust.${name}`, act, { "data-trust": name });
  const start = () => { opened = true; model.send({ type: "trust" }); };
  const leave = () => {
    if (element.contains(document.activeElement)) opener.focus();
    model.send({ type: "trust-close" });
  };
  const opener = button("open", () => (element.hidden ? start() : leave()));
  const [again, close] = [button("again", start), button("close", leave)];
  const cancel = button("cancel", () => model.send({ type: "trust-cancel" }));
  const head = makeBox("head", makeTitle(view, "stage.trust.title"), makeBox("tools", again, cancel, close));
  const verdict = make("p", { class: "cnnvis-verdict", role: "status" });
  const bar = makeProgress(view, "trust");
  const [deletion, insertion, strip] = [makeCurves(view, "deletion"), makeCurves(view, "insertion"), makeStrip(view)];
  const body = make("div", { class: "cnnvis-view cnnvis-trust-body" }, deletion.element, insertion.element, strip.element);
  const caption = makeLine("caption");
  const element = make("section", { class: "cnnvis-panel cnnvis-panel-trust", id: `${root.id}-trust` }, head, verdict, ...bar.elements, body, caption);
  element.hidden = true;
  opener.setAttribute("aria-controls", element.id);
  const newBody = createMemo();
  let opened = false; // by this view's own button: then it is to be seen

  return {
    element,
    opener,
    paint() {
      const about = model.get("trust") ?? {};
      const there = about.running !== undefined;
      const fresh = there && element.hidden;
      show(opener, hasPanel(view, "photo") && !!view.data.heat);
      disableAbsent(view, opener, "trust");
      put(opener, { "aria-expanded": there });
      show(element, there);
      if (!there) return;
      show(cancel, !!about.running);
      show(again, !about.running && (about.stale || about.cancelled));
      bar.paint(!!about.running, about, about.cancelled ? t("stage.trust.cancelled") : "");
      element.classList.toggle("cnnvis-out-of-date", !!about.stale);
      put(element, { "data-verdict": about.verdict ?? "" });
      setText(verdict, about.stale ? t("stage.trust.stale", { caption: about.caption ?? "" }) : about.sentence ?? "");
      setText(caption, about.stale ? "" : about.caption ?? "");
      show(body, !!about.fractions);
      if (about.fractions && newBody(about, model.get("trust_maps"), model.get("texts"), model.get("colormap"))) {
        deletion.paint(about);
        insertion.paint(about);
        strip.paint(about);
      }
      if (fresh && opened) element.scrollIntoView({ block: "nearest" });
      if (fresh) opened = false;
    },
  };
}
