// @ts-check
// The selected unit's map, large, with its numbers. The histogram below is the legend of its colours.

const BINS = 64;

/** @param {View} view @returns {Panel} */
function createDetailPanel(view) {
  const { model, signal, t } = view;
  const panel = makePanel("detail", "img");
  const { canvas, note } = panel;
  const readout = makeLine("readout");
  const bars = makeCanvas({ class: "cnnvis-histogram", role: "img" });
  const place = makeBox("bars", bars);
  const ends = [make("span"), make("span"), make("span")];
  const axis = makeBox("axis", ...ends);
  const caption = makeLine("caption");
  panel.element.append(readout, place, axis, caption);
  const mark = makeMarks(panel);
  const boxButton = makeButton(view, "stage.box.button", () => view.links.toggleBox(), { "data-field": "box" });
  const effectButton = makeButton(view, "stage.effect.button", () => view.links.toggleEffect(), { "data-field": "effect" });
  panel.head.append(boxButton, effectButton, makeZoomButtons(view, "detail", (by) => zoomed(by)));
  /** @type {[number, number] | null} */
  let pointer = null;
  const ask = askAtRest(view, "detail");
  const [newMap, newBars] = createMemos(2);
  /** @type {Float32Array} */
  let counts = new Float32Array(BINS);
  let zoom = WHOLE;
  /** @type {[number, number] | null} */
  let held = null; // where the hand that moves the map was last
  const zoomed = (/** @type {number} */ by, /** @type {number} */ x = 0.5, /** @type {number} */ y = 0.5) => {
    zoom = zoomAt(zoom, by, x, y);
    view.schedule();
  };
  onZoomWheel(canvas, signal, (by, event) => zoomed(by, ...pointerShare(event)));
  const release = () => { held = null; };
  listen(canvas, signal, {
    pointerdown(event) {
      if (zoom.factor === 1) return;
      held = pointerShare(event);
      canvas.setPointerCapture(event.pointerId);
    },
    pointerup: release,
    pointercancel: release,
    dblclick() { zoom = WHOLE; view.schedule(); },
  });
  const point = (/** @type {[number, number] | null} */ at) => view.point("detail", (pointer = at));
  const move = (/** @type {PointerEvent} */ event) => {
    const at = pointerShare(event);
    if (held) [zoom, held] = [panned(zoom, at[0] - held[0], at[1] - held[1]), at];
    point(intoPicture(zoom, at));
  };
  listenForPointer(canvas, signal, move, () => point(null));

  function paintButtons() {
    const pressed = [view.links.boxWanted(), !!view.links.effectWanted()];
    [boxButton, effectButton].forEach((button, i) => {
      show(button, view.links.known());
      put(button, { "aria-pressed": pressed[i] });
    });
    disableAbsent(view, effectButton, "effect");
  }

  return {
    element: panel.element,
    paint() {
      const { maps } = view.data;
      paintButtons();
      setText(panel.title, maps ? t("stage.detail.title", { unit: view.unit }) : t("stage.detail.title_empty"));
      for (const part of [canvas, place, axis]) show(part, !!maps);
      if (!maps) {
        say(note, t("stage.detail.empty"));
        setText(readout, "");
        return setText(caption, "");
      }
      const { h, w, values, exact } = fullMap(maps, view.data.detail, view.unit);
      ask(!exact);
      const { table, symmetric } = view.palette(maps.signed);
      const [low, high] = unitRange(maps, view.unit, model.get("scale"), symmetric);
      const [tall, wide] = fitCanvas(canvas, panel.view, maps.fullH, maps.fullW, panel.element);
      canvas.classList.toggle("cnnvis-movable", zoom.factor > 1);
      if (tall && newMap(maps, exact, view.unit, table, low, high, tall, wide, zoom)) {
        const [fullTall, fullWide] = [Math.round(tall * zoom.factor), Math.round(wide * zoom.factor)];
        const [x0, y0] = [-Math.round(zoom.left * fullWide), -Math.round(zoom.top * fullTall)];
        paintPixels(canvas, (pixels) => paintMap(pixels, wide, x0, y0, fullWide, fullTall, values, 0, h, w, table, low, high));
      }
      if (tall) mark(seenThrough(zoom, view.linked.cells, maps), maps.fullH / zoom.factor, maps.fullW / zoom.factor);
      let value = NaN;
      if (pointer) {
        const [y, x] = [Math.floor(pointer[1] * h), Math.floor(pointer[0] * w)];
        value = values[y * w + x];
        const at = { y: Math.floor(pointer[1] * maps.fullH), x: Math.floor(pointer[0] * maps.fullW) };
        setText(readout, t("stage.detail.value", { ...at, value: (exact && !maps.rough ? "" : "≈ ") + formatNumber(value) }));
      } else {
        const [min, max, mean] = [0, 1, 2].map((i) => formatNumber(maps.stats[3 * view.unit + i]));
        setText(readout, t("stage.detail.stats", { min, mean, max }));
      }
      const state = maps.state[view.unit];
      const said = state === NOT_FINITE ? "stage.detail.not_finite" : "stage.detail.constant";
      say(note, state ? t(said, { value: formatNumber(maps.stats[3 * view.unit + 1]) }) : "");
      note.classList.toggle("cnnvis-note-over", true);  // where it is there already, `add` would write it again
      say(caption, exact ? "" : t("stage.detail.reduced"));
      put(canvas, { "aria-label": t("stage.detail.alt", { unit: view.unit, layer: view.path,
        range: unitWords(view, maps, view.unit) }) });
      const title = `${t("stage.detail.histogram")} ${t(`stage.scale.${model.get("scale")}_words`)}`;
      put(bars, { title, "aria-label": title });
      const room = roomOf(place);
      const [barsTall, barsWide] = room[0] ? sizeCanvas(bars, ...room) : [0, 0];
      if (barsTall && newBars(maps, exact, view.unit, table, low, high, barsTall, barsWide, value)) {
        counts = histogram(values, low, high);
        paintHistogram(bars, counts, table, (value - low) / (high - low));
      }
      [low, symmetric ? 0 : NaN, high].forEach((end, i) => setText(ends[i], Number.isNaN(end) ? "" : formatNumber(end)));
    },
  };
}

/** Cells as they lie in the window that is seen. @param {Zoom} zoom @param {Span | null} cells @param {Maps} maps
 * @returns {Span | null} */
function seenThrough(zoom, cells, maps) {
  const [down, right] = [zoom.top * maps.fullH, zoom.left * maps.fullW];
  return cells && { ...cells, top: cells.top - down, bottom: cells.bottom - down, left: cells.left - right, right: cells.right - right };
}

/** How many values lie in each of the equal steps from low to high. @param {Float32Array} values
 * @param {number} low @param {number} high */
function histogram(values, low, high) {
  const counts = new Float32Array(BINS);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * BINS);
    if (bin === bin) counts[clamp(bin, 0, BINS - 1)]++;
  }
  return counts;
}

/** Bars in their own colours (heights logarithmic: zeros outnumber all else), the whole table as a strip below.
 * @param {HTMLCanvasElement} canvas @param {Float32Array} counts @param {Uint32Array} table @param {number} mark 0..1 or NaN */
function paintHistogram(canvas, counts, table, mark) {
  const context = pen(canvas);
  const { width, height } = canvas;
  const strip = Math.round(height * 0.22);
  const most = Math.log1p(Math.max(...counts, 1));
  const css = (/** @type {number} */ c) => `rgb(${c & 255} ${(c >> 8) & 255} ${(c >> 16) & 255})`;
  context.clearRect(0, 0, width, height);
  for (let bin = 0; bin < BINS; bin++) {
    const x = Math.round((bin * width) / BINS);
    const wide = Math.round(((bin + 1) * width) / BINS) - x;
    const tall = Math.round((Math.log1p(counts[bin]) / most) * (height - strip - 3));
    context.fillStyle = css(table[Math.round(((bin + 0.5) / BINS) * 255)]);
    context.fillRect(x, height - strip, wide, strip);
    context.fillRect(x, height - strip - 1 - tall, wide, tall);
    context.fillStyle = "#808080";
    if (tall) context.fillRect(x, height - strip - 2 - tall, wide, Math.max(1, Math.round(height / 50)));
  }
  if (!Number.isFinite(mark)) return;
  const x = Math.round(clamp(mark, 0, 1) * (width - 1));
  context.fillStyle = "#000";
  context.fillRect(x - 2, 0, 5, height);
  context.fillStyle = "#fff";
  context.fillRect(x - 1, 0, 3, height);
}
