// @ts-check
// One convolution step by step: the kernel walks over the map until a pointer or a key takes over. Weights and input maps
// come once, when the view is opened; every position is then answered here.

const STEP_EVERY = 250; // ms

/** @param {View} view @returns {Panel & {attach: (panels: HTMLElement) => void}} */
function createStepsPanel(view) {
  const { model, signal, t, root } = view;
  const panel = makePanel("steps", "");
  const { canvas } = panel;
  const button = (/** @type {string} */ name, /** @type {() => void} */ act) => makeButton(view, `stage.steps.${name}`, act, { "data-steps": name });
  const toggle = button("open", () => setOpen(!open));
  const play = button("play", () => walk.toggle());
  const next = button("step", () => { walk.pause(); walk.on(); });
  panel.head.append(play, next, button("close", () => setOpen(false)));
  const inputCanvas = makeCanvas({ class: "cnnvis-steps-map", role: "img" });
  const input = makeBoxedMap(view, "input", inputCanvas, makeBox("view", inputCanvas));
  const output = makeBoxedMap(view, "output", canvas, panel.view);
  const [patchGrid, kernelGrid, productGrid] = ["patch", "kernel", "products"].map(makeNumberGrid);
  const sign = (/** @type {string} */ text) => make("span", { class: "cnnvis-sign", "aria-hidden": "true" }, text);
  const sum = make("p", { class: "cnnvis-readout cnnvis-channel-sum" });
  const channels = makeChannelList(view, (place) => { walk.pause(); channel = place; view.schedule(); });
  const formula = makeFormula(view, (line) => { shownLine = line; view.schedule(); });
  const sums = makeBox("sums", patchGrid.element, sign("×"), kernelGrid.element, sign("="), productGrid.element);
  const middle = makeBox("steps-middle", sums, sum, formula.element, channels.element);
  const body = makeBox("steps-body", input.element, middle, output.element);
  const caption = makeLine("caption");
  const spoken = make("p", { class: "cnnvis-hidden", role: "status" });
  const note = makeLine("note");
  panel.element.append(body, note, caption, spoken);
  panel.element.id = `${root.id}-steps`;
  toggle.setAttribute("aria-controls", panel.element.id);
  panel.view.tabIndex = 0;
  panel.view.setAttribute("role", "application");
  view.label(panel.view, { "aria-label": "stage.steps.output_label" });

  const walk = createWalk(() => view.schedule(), signal);
  /** @type {Convolution | null} */
  let convolution = null;
  let open = false;
  let channel = 0; // place among the channels sent
  let shownLine = Infinity; // whose map is shown on the right: the last
  let kernelMost = 1;
  let opening = false; // the weights for which it was opened have not come yet
  const ask = askAtRest(view, "convolution");
  const [newContent, newSubject] = createMemos(2);

  /** @param {boolean} wanted */
  function setOpen(wanted) {
    if (open === wanted) return;
    open = opening = wanted;
    newSubject(null); // opened again, it walks again
    if (open) toggle.closest(".cnnvis-panels")?.after(panel.element);
    else {
      walk.pause();
      if (panel.element.contains(document.activeElement)) toggle.focus();
      panel.element.remove();
    }
    view.schedule();
  }

  /** @param {number} x @param {number} y of the output, in 0..1 */
  const takeOver = (x, y) => convolution && walk.takeOver(Math.floor(y * convolution.H), Math.floor(x * convolution.W));
  listen(canvas, signal, { pointermove: (event) => takeOver(...pointerShare(event)) });
  listen(root, signal, {
    pointermove({ target }) { // over the large map, which may be zoomed
      if (open && view.hover && /** @type {Element} */ (target).matches(".cnnvis-detail")) takeOver(view.hover.x, view.hover.y);
    },
  });
  listen(inputCanvas, signal, {
    pointermove(event) {
      if (!convolution) return;
      const c = convolution;
      const [x, y] = pointerShare(event);
      const [top, bottom, left, right] = c.padding;
      const centre = (/** @type {number} */ share, /** @type {number} */ size, /** @type {number} */ taps, /** @type {number} */ axis) =>
        Math.round((share * size - 0.5 - ((taps - 1) * c.dilation[axis]) / 2) / c.strides[axis]);
      walk.takeOver(centre(y, c.h + top + bottom, c.kh, 0), centre(x, c.w + left + right, c.kw, 1));
    },
  });
  listenForKeys(panel.element, signal, (key, { target }) => {
    if (key === "Escape") setOpen(false);
    else if (key === " " && target === panel.view) walk.toggle();
    else return walk.key(key);
    return true;
  });

  /** New weights: the position stays where there is such a one, else it is the strongest. @param {Convolution} c */
  function begin(c) {
    walk.within(c.H, c.W, largestAt(c.lines[c.lines.length - 1].values, 0, c.H * c.W, true));
    kernelMost = Math.max(...endsOf(c.kernels, 0, c.kernels.length).map(Math.abs)) || 1;
    channel = 0;
    shownLine = Infinity;
    if (!opening) return;
    opening = false;
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) walk.start();
    panel.element.scrollIntoView({ block: "nearest" });
  }

  /** The chosen channel with the patch boxed; what it says of its colours. @param {Convolution} c @param {number} y @param {number} x */
  function paintInput(c, y, x) {
    const [top, left] = patchCorner(c, y, x);
    const [tall, wide] = [(c.kh - 1) * c.dilation[0], (c.kw - 1) * c.dilation[1]];
    const boxes = [[top, left, tall + 1, wide + 1]];
    if (Math.max(...c.dilation) > 1) {
      for (let tap = 0; tap < c.kh * c.kw; tap++) {
        boxes.push([top + Math.floor(tap / c.kw) * c.dilation[0], left + (tap % c.kw) * c.dilation[1], 1, 1]);
      }
    }
    const source = c.source || t(c.source === "" ? "stage.steps.input_own" : "stage.steps.input_unknown");
    const values = { channel: c.channels[channel], source, top, left, bottom: top + tall, right: left + wide };
    put(inputCanvas, { "aria-label": t("stage.steps.input_alt", values) });
    return input.paint(c.inputs, channel * c.h * c.w, c.h, c.w, c.padding, boxes, t("stage.steps.input", values));
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
    put(panel.element, { "data-size": cellSize(c.kw) }); // the style sheet knows where three such grids fit side by side
    const words = [];
    if (Math.max(...c.strides) > 1) words.push(t("stage.steps.stride", { y: c.strides[0], x: c.strides[1] }));
    if (Math.max(...c.dilation) > 1) words.push(t("stage.steps.dilation", { y: c.dilation[0], x: c.dilation[1] }));
    if (Math.max(...c.padding) > 0) words.push(t("stage.steps.padding"));
    if (c.kind === "separable") words.push(t("stage.steps.folded"));
    setText(caption, words.map((each) => each.replace(/[.。]$/, "")).join(" · "));
  }

  function paintControls() {
    disableAbsent(view, toggle, "steps");
    put(toggle, { "aria-expanded": open, "aria-pressed": open });
    setText(play, t(walk.moving() ? "stage.steps.pause" : "stage.steps.play"));
    put(panel.element, { "data-moving": walk.moving() });
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
      const info = model.get("convolution_info") ?? {};
      const answered = info.layer === view.path && info.unit === view.unit;
      ask(!!view.data.maps && !answered);
      if (newContent(model.get("convolution"), model.get("convolution_info"))) convolution = readConvolution(model);
      const c = answered ? convolution : null;
      for (const part of [play, next, body, caption]) show(part, !!c);
      say(note, c ? "" : (answered && info.message) || t("stage.steps.soon"));
      if (!c) return setText(panel.title, t("stage.steps.title_empty"));
      if (newSubject(c)) {
        begin(c);
        paintControls();
      }
      const { y, x } = walk.at();
      const place = y * c.W + x;
      const lines = formulaLines(view, c, place);
      const line = Math.min(shownLine, lines.length - 1);
      const parts = channelParts(c, y, x);
      describe(c);
      paintNumbers(c, y, x, paintInput(c, y, x), parts[channel]);
      const shown = line ? c.lines[line - 1].values : c.sums;
      output.paint(shown, 0, c.H, c.W, [0, 0, 0, 0], [[y, x, 1, 1]], t("stage.steps.output", { stage: lines[line][0], y, x }));
      formula.paint(lines, line);
      show(channels.element, c.count > 1);
      if (c.count > 1) channels.paint(c, parts, channel, c.sums[place], c.sizes[place], view.palette(true).table);
      if (!walk.moving()) setText(spoken, t("stage.steps.words", { y, x, lines: lines.map((words) => words.join(" ")).join(", ") }));
      put(panel.element, { "data-y": y, "data-x": x, "data-channel": c.channels[channel] });
    },
  };
}

/**
 * The position in the output map: it walks on by itself until a person takes over.
 * @param {() => void} moved @param {AbortSignal} signal
 */
function createWalk(moved, signal) {
  let [H, W, place] = [1, 1, 0];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const go = (/** @type {number} */ to) => { place = to % (H * W); moved(); };
  const walk = {
    at: () => ({ y: Math.floor(place / W), x: place % W }),
    moving: () => timer !== undefined,
    on: () => go(place + 1),
    start() {
      walk.pause();
      timer = setInterval(walk.on, STEP_EVERY);
    },
    pause() {
      clearInterval(timer);
      timer = undefined;
      moved();
    },
    toggle: () => (walk.moving() ? walk.pause() : walk.start()),
    /** @param {number} y @param {number} x */
    takeOver(y, x) {
      walk.pause();
      go(clamp(y, 0, H - 1) * W + clamp(x, 0, W - 1));
    },
    /** @param {string} key @returns {boolean} whether it is one that moves the position */
    key(key) {
      const to = keyMove(key, place, H * W, W, Math.max(1, Math.round(H / 8)));
      if (to !== null) walk.takeOver(Math.floor(to / W), to % W);
      return to !== null;
    },
    /** A map of another size begins anew. @param {number} height @param {number} width @param {number} first */
    within(height, width, first) {
      if (height === H && width === W) return;
      [H, W] = [height, width];
      go(first);
    },
  };
  signal.addEventListener("abort", () => clearInterval(timer));
  return walk;
}
