// @ts-check
// The pieces of the step-by-step view: grids of numbers, the channels' bars, the lines from sum to value, a boxed map.

const CHANNELS_SHOWN = 12;

/** @param {number} packed RGBA @returns {string} */
function cssColour(packed) {
  return `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
}

/** Black or white, whichever is read better on a colour (WCAG relative luminance). @param {number} packed RGBA */
function inkOn(packed) {
  const linear = [0, 8, 16].map((shift) => (((packed >> shift) & 255) / 255) ** 2.2);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 ? "#000" : "#fff";
}

/** How large a number of a kernel is written: wide kernels need small ones. @param {number} columns */
function cellSize(columns) {
  return columns <= 3 ? "large" : columns <= 5 ? "medium" : "small";
}

/**
 * A small table of numbers on their colours. @param {string} name
 * @returns {{element: HTMLElement, paint: (label: string, values: Float32Array, rows: number, columns: number,
 *   table: Uint32Array, low: number, high: number, outside?: Uint8Array) => void}}
 */
function makeNumberGrid(name) {
  const label = makeLine("caption");
  const body = make("div", { class: "cnnvis-numbers", role: "img" });
  /** @type {HTMLElement[]} */
  let cells = [];
  return {
    element: make("div", { class: "cnnvis-grid-of-numbers", "data-grid": name }, label, body),
    paint(words, values, rows, columns, table, low, high, outside) {
      if (cells.length !== rows * columns || body.style.getPropertyValue("--columns") !== String(columns)) {
        cells = Array.from(values, () => make("span"));
        body.replaceChildren(...cells);
        body.style.setProperty("--columns", String(columns));
        body.dataset.size = cellSize(columns);
      }
      const read = (/** @type {number} */ i) => (columns > 7 ? "" : cellNumber(values[i], columns > 3));
      cells.forEach((cell, i) => {
        const index = colourIndex(values[i], low, high);
        const padded = !!outside?.[i];
        setText(cell, read(i));
        cell.classList.toggle("cnnvis-padding", padded);
        const [paper, ink] = index < 0 ? ["#f0f", "#000"] : [cssColour(table[index]), inkOn(table[index])];
        put(cell, { style: padded ? "" : `background: ${paper}; color: ${ink}` });
      });
      setText(label, words);
      put(body, { "aria-label": `${words}: ${Array.from(values, formatNumber).join(", ")}` });
    },
  };
}

/**
 * The strongest channels at a position, each a bar from zero; a click or the arrow keys choose one.
 * @param {View} view @param {(place: number) => void} choose
 */
function makeChannelList(view, choose) {
  const head = makeLine("caption");
  const list = make("div", { class: "cnnvis-channels", role: "listbox", tabindex: "0" });
  view.label(head, { text: "stage.steps.channels" });
  view.label(list, { "aria-label": "stage.steps.channels" });
  const rest = make("p", { class: "cnnvis-channel cnnvis-rest" }, make("span"), make("span", { class: "cnnvis-bar" }), make("span"));
  const share = makeLine("caption");
  const rows = Array.from({ length: CHANNELS_SHOWN }, (_, i) => make("div",
    { class: "cnnvis-channel", role: "option", id: `${view.root.id}-channel-${i}` }, make("span"), make("span", { class: "cnnvis-bar" }), make("span")));
  list.append(...rows);
  /** @type {number[]} */
  let places = [];
  let chosen = 0;
  rows.forEach((row, i) => listen(row, view.signal, { click: () => choose(places[i]) }));
  listenForKeys(list, view.signal, (key) => {
    const to = keyMove(key, places.indexOf(chosen), places.length, 1, 4);
    if (to !== null) choose(places[to]);
    return to !== null;
  });

  /** @param {HTMLElement} row @param {string} words @param {number} value @param {number} most @param {Uint32Array} table */
  function fill(row, words, value, most, table) {
    const [name, bar, number] = /** @type {HTMLElement[]} */ ([...row.children]);
    setText(name, words);
    setText(number, formatNumber(value));
    const size = most > 0 ? clamp(Math.abs(value) / most, 0, 1) * 50 : 0;
    put(bar, { style: `--from: ${value < 0 ? 50 - size : 50}%; --size: ${size}%; --colour: ${cssColour(table[value < 0 ? 40 : 215])}` });
  }

  return {
    element: makeBox("channel-list", head, list, rest, share),
    /** @param {Convolution} c @param {Float64Array} parts @param {number} place chosen @param {number} sum
     * @param {number} size all parts without signs @param {Uint32Array} table */
    paint(c, parts, place, sum, size, table) {
      chosen = place;
      places = strongestParts(parts, CHANNELS_SHOWN, place);
      const shown = places.reduce((total, k) => total + parts[k], 0);
      const others = c.count - places.length;
      const most = Math.max(...places.map((k) => Math.abs(parts[k])), others ? Math.abs(sum - shown) : 0);
      rows.forEach((row, i) => {
        show(row, i < places.length);
        if (i >= places.length) return;
        fill(row, view.t("stage.steps.channel", { channel: c.channels[places[i]] }), parts[places[i]], most, table);
        put(row, { "aria-selected": places[i] === place, "data-channel": c.channels[places[i]] });
      });
      put(list, { "aria-activedescendant": rows[places.indexOf(place)].id });
      show(rest, others > 0);
      if (others > 0) fill(rest, view.t("stage.steps.rest", { count: others }), sum - shown, most, table);
      const percent = size > 0 ? places.reduce((total, k) => total + Math.abs(parts[k]), 0) / size : 1;
      const words = [view.t("stage.steps.share", { shown: places.length, count: c.count, share: `${Math.round(100 * Math.min(percent, 1))} %` })];
      if (c.channels.length < c.count) words.push(view.t("stage.steps.share_sent", { sent: c.channels.length }));
      say(share, others > 0 ? words.join(" ") : "");
    },
  };
}

/** The lines from the sum to the value that is shown: a name and its number each. @param {View} view @param {Convolution} c
 * @param {number} at place in the maps @returns {[string, string][]} */
function formulaLines(view, c, at) {
  const { t } = view;
  const lines = [[
    c.count > 1 ? t("stage.steps.sum_channels", { count: c.count }) : t("stage.steps.sum"),
    t("stage.steps.sum_value", { value: formatNumber(c.sums[at]) }),
  ]];
  for (const step of c.lines) {
    const value = formatNumber(step.values[at]);
    if (step.kind === "bias") lines.push([t("stage.steps.bias"), t("stage.steps.bias_value", { bias: formatNumber(c.bias), value })]);
    else if (step.kind === "normalization") {
      const [scale, shift] = [step.scale, Math.abs(step.shift)].map(formatNumber);
      lines.push([t("stage.steps.normalization"), t("stage.steps.normalization_value", { scale, sign: step.shift < 0 ? "−" : "+", shift, value })]);
    } else lines.push([step.name, t("stage.steps.activation_value", { value })]);
  }
  return /** @type {[string, string][]} */ (lines);
}

/** @param {View} view @param {(line: number) => void} choose which line's map is shown */
function makeFormula(view, choose) {
  const list = view.label(make("ol", { class: "cnnvis-formula" }), { "aria-label": "stage.steps.formula", title: "stage.steps.formula" });
  /** @type {HTMLElement[]} */
  let buttons = [];
  listen(list, view.signal, {
    click(event) {
      const line = buttons.findIndex((button) => button.contains(/** @type {Node} */ (event.target)));
      if (line >= 0) choose(line);
    },
  });
  return {
    element: list,
    /** @param {[string, string][]} lines @param {number} chosen */
    paint(lines, chosen) {
      if (buttons.length !== lines.length) {
        buttons = lines.map(() => make("button", { type: "button", class: "cnnvis-line" }, make("span"), make("b")));
        list.replaceChildren(...buttons.map((button) => make("li", {}, button)));
      }
      buttons.forEach((button, i) => {
        put(button, { "aria-pressed": i === chosen });
        lines[i].forEach((words, part) => setText(/** @type {HTMLElement} */ (button.children[part]), words));
      });
    },
  };
}

/** A map filling a canvas but for a margin of padding, which is hatched grey. @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values @param {number} start @param {number} h @param {number} w @param {number[]} padding
 * @param {Uint32Array} table @param {number} low @param {number} high */
function paintPaddedMap(canvas, values, start, h, w, padding, table, low, high) {
  const { width: wide, height: tall } = canvas;
  const [top, bottom, left, right] = padding;
  const [across, down] = [wide / (w + left + right), tall / (h + top + bottom)];
  const [x0, y0] = [Math.round(left * across), Math.round(top * down)];
  const [x1, y1] = [Math.round((left + w) * across), Math.round((top + h) * down)];
  paintPixels(canvas, (pixels) => {
    for (let i = 0; i < pixels.length; i++) pixels[i] = (((i % wide) + Math.floor(i / wide)) >> 2) & 1 ? 0xffb0b0b0 : 0xff707070;
    paintMap(pixels, wide, x0, y0, x1 - x0, y1 - y0, values, start, h, w, table, low, high);
  });
}

/**
 * A map with boxes on it and a line of words above. @param {View} view @param {string} name
 * @param {HTMLCanvasElement} canvas @param {HTMLElement} place that holds the canvas
 */
function makeBoxedMap(view, name, canvas, place) {
  const words = makeLine("caption");
  const element = make("div", { class: `cnnvis-steps-${name}` }, words, place);
  const base = makeCanvas(); // the map without boxes
  const [newValues, newPicture] = createMemos(2);
  /** @type {[number, number]} */
  let ends = [0, 0];
  return {
    element,
    /** @param {Float32Array} values @param {number} start @param {number} h @param {number} w @param {number[]} padding
     * @param {number[][]} boxes each y, x, height, width in cells of the map @param {string} caption */
    paint(values, start, h, w, padding, boxes, caption) {
      setText(words, caption);
      if (newValues(values, start)) ends = endsOf(values, start, h * w);
      const { table, symmetric } = view.palette(ends[0] < 0 && ends[1] > 0);
      const [low, high] = valueRange(...ends, symmetric);
      const [rows, columns] = [h + padding[0] + padding[1], w + padding[2] + padding[3]];
      const [tall, wide] = fitCanvas(canvas, place, rows, columns, element);
      if (!tall) return { table, low, high };
      if (newPicture(values, start, table, tall, wide)) {
        [base.width, base.height] = [wide, tall];
        paintPaddedMap(base, values, start, h, w, padding, table, low, high);
      }
      const context = pen(canvas);
      context.drawImage(base, 0, 0);
      const line = Math.max(1, Math.round(Math.min(window.devicePixelRatio || 1, 3)));
      for (const [y, x, height, width] of boxes) {
        const [left, top] = [((x + padding[2]) * wide) / columns, ((y + padding[0]) * tall) / rows];
        const size = [(width * wide) / columns, (height * tall) / rows].map((side) => Math.max(2, Math.round(side)));
        outline(context, Math.round(left), Math.round(top), size[0], size[1], line);
      }
      return { table, low, high };
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
