// @ts-check
// All pictures of a layer that an atlas holds, as tiles that come as one scrolls; more appear while the atlas fills.

const ATLAS_TILE = 72; // CSS pixels
const ATLAS_ASKED = 64; // tiles asked for at once
const ATLAS_SHEETS = 24; // answers kept; a tile whose sheet has gone is asked for again
const ATLAS_PATIENCE = 10000; // ms until an answer is taken for lost
const ATLAS_AGAIN = 2000; // ms until a store that still fills is looked at again

/**
 * The units to ask for: those in sight first, then a page beyond, only what is there and not yet here.
 * @param {number} first @param {number} end places in sight @param {number} count
 * @param {(unit: number) => boolean} lacking @returns {number[]}
 */
function unitsToAsk(first, end, count, lacking) {
  const asked = [];
  for (let unit = first; unit < Math.min(count, end + (end - first)) && asked.length < ATLAS_ASKED; unit++) {
    if (lacking(unit)) asked.push(unit);
  }
  return asked;
}

/** @param {View} view @returns {Panel} */
function createAtlasPanel(view) {
  const { model, signal, t } = view;
  const panel = makePanel("atlas", "presentation");
  const { canvas } = panel;
  const cell = make("span", { role: "gridcell", id: `${view.root.id}-atlas-cell`, "aria-selected": "true" });
  const caption = makeLine("caption");
  const readout = makeLine("readout");
  const spacer = makeGrid(panel, [cell]);
  panel.element.append(readout, caption);
  panel.element.hidden = true;
  view.label(panel.title, { text: "stage.atlas.title" });

  /** @typedef {{picture: ImageBitmap | null, units: number[]}} Sheet pictures of units, one below the other */
  /** @type {Sheet[]} */
  let sheets = [];
  /** @type {Map<number, [Sheet, number]>} by unit */
  const tiles = new Map();
  let layer = "";
  let number = 0; // of the last question
  let waiting = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {number | null} */
  let hover = null;
  let layout = gridLayout(0, 1, 1, 1);
  const [newSheet, newPlace] = createMemos(2);
  signal.addEventListener("abort", forget);

  function forget() {
    sheets.forEach((sheet) => sheet.picture?.close());
    sheets = [];
    tiles.clear();
    rest();
  }

  const locate = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const y = event.clientY - box.top + panel.view.scrollTop;
    return tileAt(layout, model.get("atlas").count, event.clientX - box.left, y)?.place ?? null;
  };
  const choose = (/** @type {number | null} */ unit) => {
    if (unit !== null) view.select(unit);
    return unit !== null;
  };
  listen(canvas, signal, {
    pointermove(event) { hover = locate(event); view.schedule(); },
    pointerleave() { hover = null; view.schedule(); },
    click(event) { choose(locate(event)); },
  });
  listen(panel.view, signal, { scroll: view.schedule });
  listenForKeys(panel.view, signal, (key) => choose(moveInGrid(panel.view, layout, key, view.unit, model.get("atlas").count)));

  /** The answer to a question of this or another view. @param {any} about */
  function receive(about) {
    if (waiting && about.view === view.root.id && about.number === number) rest();
    const content = model.get("atlas_tiles");
    if (!newSheet(content, about.number, about.view) || about.tiles_of !== layer) return;
    /** @type {Sheet} */
    const sheet = { picture: null, units: model.get("atlas_units") ?? [] };
    if (!bytesOf(content).length || !sheet.units.length) return;
    sheet.units.forEach((unit, i) => tiles.set(unit, [sheet, i]));
    sheets.push(sheet);
    createImageBitmap(new Blob([/** @type {BlobPart} */ (bytesOf(content))], { type: "image/jpeg" })).then((picture) => {
      if (!sheets.includes(sheet)) return picture.close();
      sheet.picture = picture;
      view.schedule();
    }).catch((error) => view.complain(String(error)));
    if (sheets.length > ATLAS_SHEETS) {
      const old = /** @type {Sheet} */ (sheets.shift());
      for (const unit of old.units) if (tiles.get(unit)?.[0] === old) tiles.delete(unit);
      old.picture?.close();
    }
  }

  function rest() {
    clearTimeout(timer);
    timer = undefined;
    waiting = false;
  }

  /** @param {() => void} work @param {number} delay in ms */
  function later(work, delay) {
    timer ??= setTimeout(() => { timer = undefined; work(); }, delay);
  }

  /** @param {number[]} units none: only what is there by now */
  function ask(units) {
    rest();
    waiting = true;
    later(() => { waiting = false; view.schedule(); }, ATLAS_PATIENCE); // the answer may be lost, or give way to another view's
    model.send({ type: "atlas", layer, units, number: ++number, view: view.root.id });
  }

  /** @param {Uint8Array} flags @param {number} first @param {number} end units in sight */
  function paintTiles(flags, first, end) {
    const context = pen(canvas);
    const ratio = canvas.width / roomOf(panel.view)[0];
    const top = panel.view.scrollTop;
    const line = Math.max(1, Math.round(ratio));
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (let unit = first; unit < end; unit++) {
      const rect = tileRect(layout, unit, top, ratio);
      const [sheet, row] = tiles.get(unit) ?? [null, 0];
      if (sheet?.picture) {
        const height = sheet.picture.height / sheet.units.length;
        context.drawImage(sheet.picture, 0, row * height, sheet.picture.width, height, ...rect);
      }
      frameTile(context, rect, line, !flags[unit]); // dashed: not there yet
      if (unit === view.unit) outline(context, ...rect, Math.max(1, Math.round(1.5 * ratio)));
      else if (unit === hover) outline(context, ...rect, Math.max(1, ratio / 2));
    }
  }

  return {
    element: panel.element,
    paint() {
      const about = model.get("atlas") ?? {};
      show(panel.element, hasPanel(view, "filter") && !!about.layer && about.layer === model.get("layer")?.path);
      if (panel.element.hidden) return;
      if (about.layer !== layer) {
        forget();
        layer = about.layer;
        panel.view.scrollTop = 0;
      }
      receive(about);
      const flags = bytesOf(model.get("atlas_flags"));
      const { count = 0, done = 0 } = about;
      setText(caption, t("stage.atlas.caption", { network: about.network, layer, recipe: about.recipe, done, count }));
      const pointed = hover ?? view.unit;
      const words = t(flags[pointed] ? "stage.atlas.unit" : "stage.atlas.missing", { unit: pointed });
      setText(readout, about.note || words);
      setText(cell, words);
      put(panel.view, { "aria-label": t("stage.atlas.label", { layer }) });
      const [width, height] = roomOf(panel.view);
      if (!width || !height) return;
      layout = tileLayout(count, Math.max(1, width - 2 * TILE_GAP), about.aspect || 1, ATLAS_TILE);
      spacer.style.height = `${Math.max(layout.total, height)}px`;
      sizeCanvas(canvas, width, height);
      if (newPlace(view.unit, layer, layout.columns)) scrollIntoSight(panel.view, layout, view.unit, panel.view.scrollTop);
      const [first, end] = tilesInSight(layout, count, panel.view.scrollTop, height);
      paintTiles(flags, first, end);
      if (waiting || document.visibilityState === "hidden") return;
      const wanted = unitsToAsk(first, end, count, (unit) => !!flags[unit] && !tiles.has(unit));
      if (wanted.length) ask(wanted);
      else if (done < count && !about.other) later(() => { if (!panel.element.hidden) ask([]); }, ATLAS_AGAIN);
    },
  };
}

