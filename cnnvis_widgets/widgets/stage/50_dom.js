// @ts-check
// The few DOM helpers that all panels share. Text from outside only ever becomes textContent.

/**
 * What a panel knows of the view it lives in.
 * @typedef {object} View
 * @property {Model} model
 * @property {HTMLElement} root
 * @property {AbortSignal} signal
 * @property {Data} data
 * @property {number} unit the selected unit, within bounds
 * @property {string} path of the layer
 * @property {(key: string, values?: Record<string, unknown>) => string} t
 * @property {<T extends Element>(element: T, words: Record<string, string>) => T} label words that only the language changes:
 *   sentences by attribute, "text" for the content; where there is no such sentence, nothing is written
 * @property {() => void} schedule paint in the next animation frame
 * @property {ReturnType<typeof createSync>} sync
 * @property {(unit: number) => void} select
 * @property {Hover | null} hover the point under the pointer, in whichever panel it is
 * @property {(panel: string, share: [number, number] | null, unit?: number) => void} point the pointer is at x, y of a panel's picture in 0..1
 * @property {ReturnType<typeof createLinks>} links
 * @property {Linked} linked what the panels show of one another in this frame
 * @property {ReturnType<typeof createClasses>} classes which class is shown, and its heatmap
 * @property {ReturnType<typeof createCamera>} camera
 * @property {(signed: boolean) => {table: Uint32Array, symmetric: boolean}} palette
 * @property {(sentence: string) => void} complain
 * @property {() => boolean} dismiss the error on display; whether there was one
 * @property {ReturnType<typeof createPicture>} photo the photograph, for all panels
 * @property {ReturnType<typeof createHelp>} help
 *
 * @typedef {{element: HTMLElement, paint: () => void}} Panel
 */

/**
 * @param {string} tag @param {Record<string, string>} attributes @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// What is there already is not written again: each write costs a pass over styles or layout, even of the same value.

/** @param {Element} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {Record<string, unknown>} attributes */
function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
  }
}

/** @param {HTMLElement} element @param {boolean} shown */
function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Words, whose element is only there where there are some. @param {HTMLElement} element @param {string} words */
function say(element, words) {
  setText(element, words);
  show(element, !!words);
}

/** Listeners that go when the signal says so. @param {EventTarget} target @param {AbortSignal} signal
 * @param {{[K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void}} handlers by event */
function listen(target, signal, handlers) {
  for (const [name, handler] of Object.entries(handlers)) {
    target.addEventListener(name, /** @type {EventListener} */ (handler), { signal });
  }
}

/** Where the pointer is. A finger points by touching, and to where it touched last: it leaves as soon as it is lifted.
 * @param {EventTarget} target @param {AbortSignal} signal
 * @param {(event: PointerEvent) => void} move @param {() => void} leave */
function listenForPointer(target, signal, move, leave) {
  listen(target, signal, {
    pointerdown: move,
    pointermove: move,
    pointerleave(event) { if (event.pointerType !== "touch") leave(); },
  });
}

/** Nobody else shall act on an event, the browser included. @param {Event} event */
function claim(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Keys without Alt, Ctrl or Cmd, while an element has the focus; one that was of use goes no further: JupyterLab would
 * move to the next cell, or run this one. @param {HTMLElement} element @param {AbortSignal} signal
 * @param {(key: string, event: KeyboardEvent) => boolean} used */
function listenForKeys(element, signal, used) {
  listen(element, signal, {
    keydown(event) {
      if (!event.altKey && !event.ctrlKey && !event.metaKey && used(event.key, event)) claim(event);
    },
  });
}

/** A button, named and explained by the sentences `key` and `key`_hint. @param {View} view @param {string} key
 * @param {() => void} act @param {Record<string, string>} attributes @returns {HTMLButtonElement} */
function makeButton(view, key, act, attributes = {}) {
  const button = make("button", { type: "button", class: "cnnvis-button", ...attributes });
  listen(button, view.signal, { click: act });
  return /** @type {HTMLButtonElement} */ (view.label(button, { text: key, title: `${key}_hint` }));
}

/** A button with nothing behind it, for there is no kernel: it stays where it is and says so.
 * @param {View} view @param {HTMLElement} button @param {string} name @returns {boolean} whether it is absent */
function disableAbsent(view, button, name) {
  const absent = (view.model.get("absent") ?? []).includes(name);
  button.toggleAttribute("disabled", absent);
  if (absent) put(button, { title: view.t("stage.absent") });
  return absent;
}

/** True once for each new set of values: a panel repaints only what depends on what has changed. */
function createMemo() {
  /** @type {unknown[]} */
  let last = [];
  return (/** @type {unknown[]} */ ...keys) => {
    const same = keys.length === last.length && keys.every((key, i) => Object.is(key, last[i]));
    last = keys;
    return !same;
  };
}

/** @param {number} count of memos */
const createMemos = (count) => Array.from({ length: count }, createMemo);

/** @param {string} name @param {...(Node | string)} children */
const makeBox = (name, ...children) => make("div", { class: `cnnvis-${name}` }, ...children);

/** @param {View} view @param {string} key of its sentence */
const makeTitle = (view, key) => view.label(make("h3", { class: "cnnvis-title" }), { text: key });

/** @param {View} view @param {string} panel */
function hasPanel(view, panel) {
  return (view.model.get("panels") ?? []).includes(panel);
}

/** A line of words. @param {string} name */
function makeLine(name) {
  return make("p", { class: `cnnvis-${name}` });
}

/** How far long work has come, as a bar and in words. @param {View} view @param {string} name of its sentences */
function makeProgress(view, name) {
  const { t } = view;
  const key = `stage.${name}`;
  const fill = makeBox("fill");
  const element = make("div", { class: "cnnvis-progress", role: "progressbar", "aria-valuemin": "0" }, fill);
  view.label(element, { "aria-label": `${key}.progress` });
  const readout = makeLine("readout");
  return {
    elements: [element, readout],
    /** @param {boolean} running @param {{step?: number, steps?: number, seconds_left?: number | null}} progress
     * @param {string} more to be said */
    paint(running, { step = 0, steps = 0, seconds_left: left }, more) {
      const words = running && steps ? [t(`${key}.step`, { step, steps })] : [];
      if (words.length && Number.isFinite(left)) words.push(t(`${key}.left`, { seconds: Number(left) < 10 ? left?.toFixed(1) : Math.round(Number(left)) }));
      if (more) words.push(more);
      setText(readout, words.join(" · "));
      element.classList.toggle("cnnvis-idle", !running);
      fill.style.width = steps ? `${clamp((100 * step) / steps, 0, 100)}%` : "0";
      put(element, { "aria-valuemax": steps, "aria-valuenow": step, "aria-valuetext": words.join(", ") });
    },
  };
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  put(element, attributes);
  element.append(...children);
  return element;
}

/** @param {Record<string, string>} [attributes] @returns {HTMLCanvasElement} */
function makeCanvas(attributes = {}) {
  return /** @type {HTMLCanvasElement} */ (make("canvas", attributes));
}

/** A panel: heading, place for a canvas, lines below. @param {string} name @param {string} role of the canvas */
function makePanel(name, role) {
  const title = make("h3", { class: "cnnvis-title" });
  const head = makeBox("head", title);
  const canvas = makeCanvas({ class: `cnnvis-${name}`, ...(role && { role }) });
  const note = makeLine("note");
  const view = makeBox("view", canvas, note);
  const element = make("section", { class: `cnnvis-panel cnnvis-panel-${name}` }, head, view);
  note.hidden = true;
  return { element, head, title, view, canvas, note };
}

// Sizes as last seen. To ask for one after a write makes the browser lay out the whole page then and there.
/** @type {WeakMap<Element, [number, number]>} */
const rooms = new WeakMap();
const roomWatch = new ResizeObserver((entries) => entries.forEach(({ target }) => rooms.delete(target)));

/** The width and height within an element, in CSS pixels. @param {Element} place @returns {[number, number]} */
function roomOf(place) {
  const room = rooms.get(place) ?? [place.clientWidth, place.clientHeight];
  if (!rooms.has(place)) roomWatch.observe(place);
  rooms.set(place, room);
  return room;
}

/**
 * The canvas fitted into its place, with as many pixels as the screen has there.
 * @param {HTMLCanvasElement} canvas @param {HTMLElement} place @param {number} h @param {number} w shape to keep
 * @param {HTMLElement} [owner] element that is told the shape, and takes it
 * @returns {[number, number]} height and width in pixels; 0 where nothing can be seen
 */
function fitCanvas(canvas, place, h, w, owner) {
  const aspect = String(w / h);
  if (owner && owner.style.getPropertyValue("--cnnvis-aspect") !== aspect) {
    owner.style.setProperty("--cnnvis-aspect", aspect);
    rooms.delete(place);
  }
  const [wide, tall] = roomOf(place);
  return wide && tall ? sizeCanvas(canvas, ...contain(wide, tall, w, h)) : [0, 0];
}

/** A photograph on white, as large as a canvas. @param {HTMLCanvasElement} canvas @param {CanvasImageSource} photo
 * @returns {ImageData} */
function drawPhoto(canvas, photo) {
  const { width, height } = canvas;
  const context = pen(canvas, true);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(photo, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** @param {HTMLCanvasElement} canvas @param {number} width @param {number} height in CSS pixels @returns {[number, number]} */
function sizeCanvas(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const wide = Math.max(1, Math.round(width * ratio));
  const tall = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  return [tall, wide];
}

/** @param {HTMLCanvasElement} canvas @param {boolean} [read] pixels will be read back */
function pen(canvas, read = false) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: read }));
  context.imageSmoothingQuality = "high";
  return context;
}

/** A canvas's pixels, all of them anew. @param {HTMLCanvasElement} canvas
 * @param {(pixels: Uint32Array, picture: ImageData) => void} draw packed RGBA, at first transparent */
function paintPixels(canvas, draw) {
  const picture = new ImageData(canvas.width, canvas.height);
  draw(new Uint32Array(picture.data.buffer), picture);
  pen(canvas).putImageData(picture, 0, 0);
}

/** Asks the kernel about the selected unit once the selection rests, once for each. @param {View} view @param {string} type
 * of the message @returns {(lacking: boolean) => void} what to call at each paint */
function askAtRest(view, type) {
  const fresh = createMemo();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  view.signal.addEventListener("abort", () => clearTimeout(timer));
  return (lacking) => {
    const { maps, frame } = view.data;
    if (!fresh(lacking && maps, lacking && view.unit)) return;
    clearTimeout(timer);
    const message = { type, unit: view.unit, frame };
    if (lacking) timer = setTimeout(() => view.model.send(message), 60);
  };
}

/** Scroll until a tile is seen. @param {HTMLElement} place @param {GridLayout} layout @param {number} tile @param {number} top
 * where it is scrolled to @returns {boolean} whether it had to be */
function scrollIntoSight(place, layout, tile, top) {
  const y = tileCorner(layout, tile)[1];
  const [, tall] = roomOf(place);
  const to = y < top ? y - layout.gap : y + layout.height > top + tall ? y + layout.height + layout.gap - tall : top;
  if (to !== top) place.scrollTop = to;
  return to !== top;
}

/** A panel's picture becomes a grid of tiles that scrolls under its canvas; to those who hear it, it is cells of which one
 * at a time is the active one. @param {ReturnType<typeof makePanel>} panel @param {HTMLElement[]} cells
 * @returns {HTMLElement} what is as high as all tiles */
function makeGrid({ view, canvas }, cells) {
  const spacer = makeBox("spacer", canvas);
  view.classList.add("cnnvis-scroll");
  view.prepend(spacer);
  view.append(make("div", { role: "row", class: "cnnvis-hidden" }, ...cells));
  put(view, { role: "grid", tabindex: 0, "aria-activedescendant": cells[0].id });
  return spacer;
}

/** Where a key leads in a grid that scrolls; null: it is none of the grid's. @param {HTMLElement} place @param {GridLayout} layout
 * @param {string} key @param {number} tile @param {number} count of tiles @returns {number | null} */
function moveInGrid(place, layout, key, tile, count) {
  const page = Math.max(1, Math.floor(place.clientHeight / (layout.height + layout.gap)));
  return count ? keyMove(key, tile, count, layout.columns, page) : null;
}

/** The pointer as a share of an element's width and height. @param {MouseEvent} event @returns {[number, number]} x, y in 0..1 */
function pointerShare(event) {
  const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
  const share = (/** @type {number} */ at, /** @type {number} */ size) => clamp(at / size, 0, 1 - 1e-9);
  return [share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)];
}

/** A grey line around a tile: a dark map must not vanish into a dark page. @param {CanvasRenderingContext2D} context
 * @param {[number, number, number, number]} rect @param {number} line @param {boolean} [dashed] */
function frameTile(context, [x, y, width, height], line, dashed = false) {
  context.lineWidth = line;
  context.strokeStyle = "#808080";
  context.setLineDash(dashed ? [3 * line, 4 * line] : []);
  context.strokeRect(x - line / 2, y - line / 2, width + line, height + line);
  context.setLineDash([]);
}

/** A rectangle that is seen on any picture and in any theme: white within black. */
function outline(/** @type {CanvasRenderingContext2D} */ context, /** @type {number} */ x, /** @type {number} */ y,
  /** @type {number} */ width, /** @type {number} */ height, /** @type {number} */ line) {
  context.lineWidth = line;
  context.strokeStyle = "#000";
  context.strokeRect(x - line * 1.5, y - line * 1.5, width + line * 3, height + line * 3);
  context.strokeStyle = "#fff";
  context.strokeRect(x - line / 2, y - line / 2, width + line, height + line);
}

/**
 * A rectangle around something, white within black, wholly on its canvas; dashed at the sides where what it stands for
 * goes on beyond the border.
 * @param {CanvasRenderingContext2D} context @param {[number, number, number, number]} rect x, y, width, height
 * @param {number} line @param {Partial<Record<string, boolean>>} [beyond]
 */
function enclose(context, [x, y, width, height], line, beyond = {}) {
  const { width: wide, height: tall } = context.canvas;
  const edge = (/** @type {number} */ at, /** @type {number} */ end, /** @type {number} */ out) =>
    clamp(Math.round(at) + 3 * line * out, 0, end) - 1.5 * line * out; // the middle of a line outside of what it encloses
  const [left, top, right, bottom] = [edge(x, wide, -1), edge(y, tall, -1), edge(x + width, wide, 1), edge(y + height, tall, 1)];
  context.lineCap = "butt";
  context.lineWidth = 3 * line;
  context.strokeStyle = "#000";
  context.strokeRect(left, top, right - left, bottom - top);
  context.lineWidth = line;
  context.strokeStyle = "#fff";
  if (!Object.values(beyond).some(Boolean)) return context.strokeRect(left, top, right - left, bottom - top);
  for (const [side, ...ends] of /** @type {[string, number, number, number, number][]} */ ([
    ["top", left, top, right, top], ["bottom", left, bottom, right, bottom],
    ["left", left, top, left, bottom], ["right", right, top, right, bottom],
  ])) {
    context.setLineDash(beyond[side] ? [3 * line, 4 * line] : []);
    context.beginPath();
    context.moveTo(ends[0], ends[1]);
    context.lineTo(ends[2], ends[3]);
    context.stroke();
  }
  context.setLineDash([]);
}

/** A canvas over a panel's picture, for a mark that moves without the picture being painted anew.
 * @param {{canvas: HTMLCanvasElement}} panel @param {number} [weight] of its lines in CSS pixels */
function makeMarks({ canvas }, weight = 1) {
  const marks = makeCanvas({ class: "cnnvis-marks", "aria-hidden": "true" });
  canvas.after(marks);
  const fresh = createMemo();
  /** @param {Span | null} span @param {number} rows @param {number} columns that the picture shows
   * @param {Partial<Record<string, boolean>>} [beyond] */
  return (span, rows, columns, beyond) => {
    const { width, height } = canvas;
    if (!fresh(span?.top, span?.bottom, span?.left, span?.right, rows, columns, beyond && JSON.stringify(beyond), width, height)) return;
    const shown = parseFloat(canvas.style.width) || width;
    sizeCanvas(marks, shown, parseFloat(canvas.style.height) || height);
    pen(marks).clearRect(0, 0, width, height);
    const line = Math.max(1, Math.round((weight * width) / shown));
    if (span) enclose(pen(marks), spanRect(span, rows, columns, width, height), line, beyond);
  };
}

/**
 * A sign drawn on a tile, so that colour is not all that tells: a struck circle (the same value everywhere) or a
 * cross (no number). White on black strokes.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y centre @param {number} size
 * @param {number} state
 */
function drawSign(context, x, y, size, state) {
  const r = size / 2;
  const path = new Path2D();
  if (state === CONSTANT) {
    path.arc(x, y, r, 0, 2 * Math.PI);
    path.moveTo(x - r * 0.7, y + r * 0.7);
    path.lineTo(x + r * 0.7, y - r * 0.7);
  } else {
    path.moveTo(x - r, y - r);
    path.lineTo(x + r, y + r);
    path.moveTo(x - r, y + r);
    path.lineTo(x + r, y - r);
  }
  context.lineCap = "round";
  for (const [colour, width] of /** @type {[string, number][]} */ ([["#000", 0.5], ["#fff", 0.2]])) {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(2, r * width);
    context.stroke(path);
  }
}

/** A photograph's trait as a bitmap, decoded once. @param {{model: Model, signal: AbortSignal, schedule: () => void}} view
 * @param {string} trait */
function createPicture({ model, signal, schedule }, trait) {
  /** @type {ImageBitmap | null} */
  let bitmap = null;
  /** @type {unknown} */
  let asked = null;
  let [decoding, broken] = [false, false];
  signal.addEventListener("abort", () => bitmap?.close());
  return {
    /** The last one decoded. */
    bitmap: () => bitmap,
    isBroken: () => broken,
    /** Starts decoding where that is needed. @returns {boolean} whether the bitmap is that of the trait */
    decode() {
      const bytes = model.get(trait);
      if (bytes === asked) return !decoding;
      asked = bytes;
      broken = false;
      const content = bytesOf(bytes);
      decoding = content.length > 0;
      if (!decoding) bitmap = null;
      else createImageBitmap(new Blob([/** @type {BlobPart} */ (content)])).catch(() => null).then((made) => {
        if (asked !== bytes) return; // a newer photograph has come meanwhile
        bitmap = made;
        [decoding, broken] = [false, !made];
        if (!signal.aborted) schedule();
      });
      return !decoding;
    },
  };
}
