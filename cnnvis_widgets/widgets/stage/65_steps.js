// @ts-check
// One convolution step by step: the kernel walks over the map until a pointer or a key takes over. Weights and input maps
// come once, when the view is opened; every position is then answered here.

const STEPS_KEY = "k"; // opens and closes the view
const STEP_EVERY = 250; // ms

/** @param {View} view @returns {Panel & {attach: (panels: HTMLElement) => void}} */
function createStepsPanel(view) {
  const { model, signal, t, root } = view;
  const panel = makePanel("steps", "");
  const { canvas } = panel;
  const button = (/** @type {string} */ name) => make("button", { type: "button", class: "cnnvis-button", "data-steps": name });
  const toggle = button("open");
  const [play, next, close] = [button("play"), button("step"), button("close")];
  panel.head.append(play, next, close);
  const figure = (/** @type {string} */ name, /** @type {HTMLElement} */ place) => {
    const words = make("p", { class: "cnnvis-caption" });
    return { words, element: make("div", { class: `cnnvis-steps-${name}` }, words, place) };
  };
  const inputCanvas = /** @type {HTMLCanvasElement} */ (make("canvas", { class: "cnnvis-steps-map", role: "img" }));
  const inputView = make("div", { class: "cnnvis-view" }, inputCanvas);
  const [input, output] = [figure("input", inputView), figure("output", panel.view)];
  const grids = ["patch", "kernel", "products"].map(makeNumberGrid);
  const [patchGrid, kernelGrid, productGrid] = grids;
  const sign = (/** @type {string} */ text) => make("span", { class: "cnnvis-sign", "aria-hidden": "true" }, text);
  const sum = make("p", { class: "cnnvis-readout cnnvis-channel-sum" });
  const channels = makeChannelList(view, (place) => { pause(); channel = place; view.schedule(); });
  const formula = makeFormula(view, (line) => { shownLine = line; view.schedule(); });
  const sums = make("div", { class: "cnnvis-sums" }, patchGrid.element, sign("×"), kernelGrid.element, sign("="), productGrid.element);
  const middle = make("div", { class: "cnnvis-steps-middle" }, sums, sum, formula.element, channels.element);
  const body = make("div", { class: "cnnvis-steps-body" }, input.element, middle, output.element);
  const caption = make("p", { class: "cnnvis-caption" });
  const spoken = make("p", { class: "cnnvis-hidden", role: "status" });
  const note = make("p", { class: "cnnvis-note" });
  panel.element.append(body, note, caption, spoken);
  panel.element.id = `${root.id}-steps`;
  panel.element.hidden = true;
  toggle.setAttribute("aria-controls", panel.element.id);
  panel.view.tabIndex = 0;
  panel.view.setAttribute("role", "application");

  /** @type {Convolution | null} */
  let convolution = null;
  let [open, moving, asked] = [false, false, ""];
  /** @type {{y: number, x: number} | null} in the output; null until there is one to show */
  let at = null;
  let channel = 0; // place among the channels sent
  let shownLine = Infinity; // whose map is shown on the right: the last
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let asking;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let walking;
  const [newContent, newSubject, newInput, newInputPicture, newOutput, newOutputPicture] = Array.from({ length: 6 }, createMemo);
  /** @type {[number, number]} the values at the ends of the maps' colours */
  let [inputEnds, outputEnds] = [/** @type {[number, number]} */ ([0, 0]), /** @type {[number, number]} */ ([0, 0])];
  let kernelMost = 1;
  let opening = false; // nobody has taken over since it was opened
  let lastSize = "";
  const [base, inputBase] = [document.createElement("canvas"), document.createElement("canvas")];
  signal.addEventListener("abort", () => { clearTimeout(asking); clearInterval(walking); });

  function pause() {
    clearInterval(walking);
    moving = false;
    view.schedule();
  }
  function start() {
    pause();
    moving = true;
    walking = setInterval(() => moveTo((at?.y ?? 0) * (convolution?.W ?? 1) + (at?.x ?? 0) + 1), STEP_EVERY);
  }
  /** @param {number} place in the output map, counted on past its end */
  function moveTo(place) {
    if (!convolution) return;
    const { H, W } = convolution;
    const within = ((place % (H * W)) + H * W) % (H * W);
    at = { y: Math.floor(within / W), x: within % W };
    view.schedule();
  }
  /** A person points or presses: the walk stops. @param {number} y @param {number} x */
  function takeOver(y, x) {
    if (!convolution) return;
    pause();
    opening = false;
    at = { y: clamp(y, 0, convolution.H - 1), x: clamp(x, 0, convolution.W - 1) };
  }
  /** @param {boolean} wanted */
  function setOpen(wanted) {
    if (open === wanted) return;
    open = wanted;
    if (!open) {
      const within = panel.element.contains(document.activeElement);
      pause();
      if (within) toggle.focus();
    }
    opening = open;
    newSubject(null); // opened again, it walks again
    show(panel.element, open);
    if (open) panel.element.scrollIntoView({ block: "nearest" });
    view.schedule();
  }

  toggle.addEventListener("click", () => setOpen(!open), { signal });
  close.addEventListener("click", () => setOpen(false), { signal });
  play.addEventListener("click", () => (moving ? pause() : start()), { signal });
  next.addEventListener("click", () => { pause(); moveTo((at?.y ?? 0) * (convolution?.W ?? 1) + (at?.x ?? 0) + 1); }, { signal });
  root.addEventListener("pointermove", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (!open || !convolution || !(target === canvas || target.matches("canvas.cnnvis-detail"))) return;
    const box = target.getBoundingClientRect();
    takeOver(Math.floor(((event.clientY - box.top) / box.height) * convolution.H), Math.floor(((event.clientX - box.left) / box.width) * convolution.W));
  }, { signal });
  inputCanvas.addEventListener("pointermove", (event) => {
    if (!convolution) return;
    const c = convolution;
    const [x, y] = pointerShare(event);
    const [top, bottom, left, right] = c.padding;
    const centre = (/** @type {number} */ share, /** @type {number} */ size, /** @type {number} */ taps, /** @type {number} */ axis) =>
      Math.round((share * size - 0.5 - ((taps - 1) * c.dilation[axis]) / 2) / c.strides[axis]);
    takeOver(centre(y, c.h + top + bottom, c.kh, 0), centre(x, c.w + left + right, c.kw, 1));
  }, { signal });
  root.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.ctrlKey || event.metaKey || target.matches("input, select, textarea")) return;
    if (event.key === STEPS_KEY && root.contains(toggle)) setOpen(!open);
    else if (!open || !panel.element.contains(target)) return;
    else if (event.key === "Escape") setOpen(false);
    else if (event.key === " " && target === panel.view) moving ? pause() : start();
    else if (!byKey(event.key)) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab has keys of its own
  }, { signal });

  /** @param {string} key @returns {boolean} whether it moves the position */
  function byKey(key) {
    if (!convolution || !at) return false;
    const { H, W } = convolution;
    const to = keyMove(key, at.y * W + at.x, H * W, W, Math.max(1, Math.round(H / 8)));
    if (to !== null) takeOver(Math.floor(to / W), to % W);
    return to !== null;
  }

  /** Weights are asked for once the selection rests. */
  function ask() {
    const { maps } = view.data;
    const info = model.get("convolution_info") ?? {};
    const answered = info.layer === model.get("layer")?.path && info.unit === view.unit;
    const wish = maps && open && !answered ? `${view.unit} of ${mapsNumber(maps)}` : "";
    if (wish !== asked) {
      asked = wish;
      clearTimeout(asking);
      const message = { type: "convolution", unit: view.unit, frame: view.data.frame };
      if (wish) asking = setTimeout(() => model.send(message), 60);
    }
    return answered ? info : null;
  }

  /** New weights: the position stays where there is such a one, else it is the strongest. @param {Convolution} c */
  function begin(c) {
    const size = `${c.H} ${c.W}`;
    if (!at || size !== lastSize) moveTo(largestAt(c.steps[c.steps.length - 1].values));
    lastSize = size;
    channel = 0;
    if (opening && !window.matchMedia("(prefers-reduced-motion: reduce)").matches) start();
    opening = false;
  }

  /** The map on the left with the patch boxed. @param {Convolution} c @param {number} y @param {number} x */
  function paintInput(c, y, x) {
    const [top, bottom, left, right] = c.padding;
    const size = c.h * c.w;
    if (newInput(c, channel)) inputEnds = endsOf(c.inputs, channel * size, size);
    const { table, symmetric } = view.palette(inputEnds[0] < 0 && inputEnds[1] > 0);
    const [low, high] = valueRange(...inputEnds, symmetric);
    const [rows, columns] = [c.h + top + bottom, c.w + left + right];
    input.element.style.setProperty("--cnnvis-aspect", String(columns / rows));
    const [tall, wide] = fitCanvas(inputCanvas, inputView, rows, columns);
    if (!tall) return { table, low, high };
    if (newInputPicture(c, channel, table, tall, wide)) {
      [inputBase.width, inputBase.height] = [wide, tall];
      paintPaddedMap(inputBase, c.inputs, channel * size, c.h, c.w, c.padding, table, low, high);
    }
    const context = pen(inputCanvas);
    context.drawImage(inputBase, 0, 0);
    const [cellTall, cellWide] = [tall / rows, wide / columns];
    const [y0, x0] = [y * c.strides[0], x * c.strides[1]]; // the canvas begins with the padding
    box(context, x0 * cellWide, y0 * cellTall, ((c.kw - 1) * c.dilation[1] + 1) * cellWide, ((c.kh - 1) * c.dilation[0] + 1) * cellTall);
    if (Math.max(...c.dilation) > 1) {
      for (let tap = 0; tap < c.kh * c.kw; tap++) {
        const row = y0 + Math.floor(tap / c.kw) * c.dilation[0];
        const column = x0 + (tap % c.kw) * c.dilation[1];
        box(context, column * cellWide, row * cellTall, cellWide, cellTall);
      }
    }
    const corner = patchCorner(c, y, x);
    const source = c.source || t(c.source === "" ? "stage.steps.input_own" : "stage.steps.input_unknown");
    setText(input.words, t("stage.steps.input", { channel: c.channels[channel], source }));
    inputCanvas.setAttribute("aria-label", t("stage.steps.input_alt", { source, channel: c.channels[channel], top: corner[0],
      bottom: corner[0] + (c.kh - 1) * c.dilation[0], left: corner[1], right: corner[1] + (c.kw - 1) * c.dilation[1] }));
    return { table, low, high };
  }

  /** The map on the right with its position boxed. @param {Convolution} c @param {number} y @param {number} x
   * @param {number} line @param {string} name */
  function paintOutput(c, y, x, line, name) {
    const values = line ? c.steps[line - 1].values : c.sums;
    if (newOutput(values)) outputEnds = endsOf(values, 0, values.length);
    const { table, symmetric } = view.palette(outputEnds[0] < 0 && outputEnds[1] > 0);
    const [low, high] = valueRange(...outputEnds, symmetric);
    output.element.style.setProperty("--cnnvis-aspect", String(c.W / c.H));
    const [tall, wide] = fitCanvas(canvas, panel.view, c.H, c.W);
    if (!tall) return;
    if (newOutputPicture(values, table, tall, wide)) {
      [base.width, base.height] = [wide, tall];
      paintPaddedMap(base, values, 0, c.H, c.W, [0, 0, 0, 0], table, low, high);
    }
    const context = pen(canvas);
    context.drawImage(base, 0, 0);
    box(context, (x * wide) / c.W, (y * tall) / c.H, wide / c.W, tall / c.H);
    setText(output.words, t("stage.steps.output", { stage: name, y, x }));
  }

  /** Patch, kernel and products of the chosen channel. @param {Convolution} c @param {number} y @param {number} x
   * @param {{table: Uint32Array, low: number, high: number}} colours of the input map @param {number} part */
  function paintNumbers(c, y, x, colours, part) {
    const taps = c.kh * c.kw;
    const [patch, outside] = [new Float32Array(taps), new Uint8Array(taps)];
    patchAt(c, channel, y, x, patch, outside);
    const kernel = c.kernels.subarray(channel * taps, (channel + 1) * taps);
    const products = patch.map((value, tap) => (outside[tap] ? 0 : value * kernel[tap]));
    const { table } = view.palette(true);
    const most = (/** @type {Float32Array} */ values) => Math.max(...endsOf(values, 0, values.length).map(Math.abs)) || 1;
    const [weight, product] = [kernelMost, most(products)];
    patchGrid.paint(t("stage.steps.patch"), patch, c.kh, c.kw, colours.table, colours.low, colours.high, outside);
    kernelGrid.paint(t("stage.steps.kernel"), kernel, c.kh, c.kw, table, -weight, weight);
    productGrid.paint(t("stage.steps.products"), products, c.kh, c.kw, table, -product, product);
    setText(sum, `${t("stage.steps.channel", { channel: c.channels[channel] })}, ${t("stage.steps.channel_sum", { value: formatNumber(part) })}`);
  }

  /** @param {Convolution} c */
  function describe(c) {
    const kind = t(`stage.steps.kind.${c.kind}`);
    setText(panel.title, t("stage.steps.title", { layer: c.path, unit: c.unit, kind, height: c.kh, width: c.kw }));
    const words = [];
    if (Math.max(...c.strides) > 1) words.push(t("stage.steps.stride", { y: c.strides[0], x: c.strides[1] }));
    if (Math.max(...c.dilation) > 1) words.push(t("stage.steps.dilation", { y: c.dilation[0], x: c.dilation[1] }));
    if (Math.max(...c.padding) > 0) words.push(t("stage.steps.padding"));
    if (c.kind === "separable") words.push(t("stage.steps.folded"));
    setText(caption, words.map((each) => each.replace(/\.$/, "")).join(" · "));
  }

  function paintControls() {
    setText(toggle, t("stage.steps.open"));
    toggle.title = t("stage.steps.open_hint");
    toggle.setAttribute("aria-expanded", String(open));
    toggle.setAttribute("aria-pressed", String(open));
    setText(play, t(moving ? "stage.steps.pause" : "stage.steps.play"));
    play.title = t("stage.steps.play_hint");
    setText(next, t("stage.steps.step"));
    next.title = t("stage.steps.step_hint");
    setText(close, t("stage.steps.close"));
    panel.view.setAttribute("aria-label", t("stage.steps.output_label"));
    Object.assign(panel.element.dataset, { moving: String(moving) });
  }

  return {
    element: panel.element,
    attach(panels) {
      panels.querySelector(".cnnvis-panel-detail .cnnvis-head")?.append(toggle);
      if (!panels.contains(toggle)) setOpen(false);
    },
    paint() {
      paintControls();
      if (!open) return;
      const info = ask();
      if (newContent(model.get("convolution"), model.get("convolution_info"))) convolution = readConvolution(model);
      const c = info ? convolution : null;
      const said = info?.message || t("stage.steps.soon");
      for (const part of [play, next, body, caption]) show(part, !!c);
      show(note, !c);
      setText(note, said);
      if (!c) {
        pause();
        opening ||= !info; // it may still begin to walk once the weights are there
        return setText(panel.title, t("stage.steps.title_empty"));
      }
      if (newSubject(c)) {
        kernelMost = Math.max(...endsOf(c.kernels, 0, c.kernels.length).map(Math.abs)) || 1;
        begin(c);
        paintControls();
      }
      const { y, x } = at ?? { y: 0, x: 0 };
      const place = y * c.W + x;
      const lines = formulaLines(view, c, place);
      const line = Math.min(shownLine, lines.length - 1);
      const parts = channelParts(c, y, x);
      describe(c);
      paintNumbers(c, y, x, paintInput(c, y, x), parts[channel]);
      paintOutput(c, y, x, line, lines[line][0]);
      formula.paint(lines, line);
      show(channels.element, c.count > 1);
      if (c.count > 1) channels.paint(c, parts, channel, c.sums[place], c.sizes[place], view.palette(true).table);
      if (!moving) setText(spoken, t("stage.steps.words", { y, x, lines: lines.map((words) => words.join(" ")).join(", ") }));
      Object.assign(panel.element.dataset, { y: String(y), x: String(x), channel: String(c.channels[channel]) });
    },
  };
}

/** The smallest and the largest finite value. @param {Float32Array} values @param {number} start @param {number} size
 * @returns {[number, number]} */
function endsOf(values, start, size) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = start; i < start + size; i++) {
    if (values[i] < low && values[i] > -Infinity) low = values[i];
    if (values[i] > high && values[i] < Infinity) high = values[i];
  }
  return low <= high ? [low, high] : [0, 0];
}

/** A box that is seen however small its cell is. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y
 * @param {number} width @param {number} height in pixels of the canvas */
function box(context, x, y, width, height) {
  const line = Math.max(1, Math.round(Math.min(window.devicePixelRatio || 1, 3)));
  outline(context, Math.round(x), Math.round(y), Math.max(2, Math.round(width)), Math.max(2, Math.round(height)), line);
}
