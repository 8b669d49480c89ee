// @ts-check
// All units' maps as tiles in one canvas. Only the rows in sight are painted, so that 2048 cost what 100 do.

/** @param {View} view @returns {Panel} */
function createMapsPanel(view) {
  const { model, signal, t } = view;
  const panel = makePanel("maps", "presentation");
  const { canvas, note } = panel;
  const cells = [0, 1].map((i) => make("span", { role: "gridcell", id: `${view.root.id}-cell-${i}` }));
  const spacer = makeGrid(panel, cells);

  const sorts = makeChoice(view, "sort", ["index", "strength", "class"], () => !!view.classes.weightsOf(view.classes.chosen()));
  const scales = makeChoice(view, "scale", ["map", "layer"]);
  const readout = makeLine("readout");
  const caption = makeLine("caption");
  let zoom = 1;
  const zoomed = (/** @type {number} */ by) => {
    zoom = clamp(zoom * by, 0.1, 16);
    if (Math.abs(zoom - 1) < 0.01) zoom = 1;
    view.schedule();
  };
  const zooms = makeZoomButtons(view, "maps", zoomed);
  onZoomWheel(panel.view, signal, zoomed);
  panel.head.after(makeBox("tools", sorts.element, scales.element));
  panel.head.append(zooms);
  panel.element.append(readout, caption);

  const base = makeCanvas(); // the tiles without the selection
  let letters = 0; // height of the names of columns and rows
  const newNamed = createMemo();
  /** @type {GridLayout} */
  let layout = gridLayout(0, 1, 1, 1);
  /** @type {Int32Array} unit at each place */
  let order = new Int32Array(0);
  /** @type {Int32Array} place of each unit */
  let places = new Int32Array(0);
  /** @type {{values: Float32Array, h: number, w: number}} */
  let tiles = { values: new Float32Array(0), h: 1, w: 1 };
  /** @type {{place: number, x: number, y: number} | null} */
  let hover = null;
  let spoken = 0;
  let scrolled = 0; // asking the element lays out the page
  let inSight = 0; // the view's height at the last painting
  const [newOrder, newTiles, newBase, newFace, newPlace, newWords] = createMemos(6);
  view.label(panel.title, { text: "stage.maps.title" });

  const locate = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return tileAt(layout, order.length, event.clientX - box.left, event.clientY - box.top + scrolled);
  };
  const point = (/** @type {typeof hover} */ at) => {
    hover = at;
    view.point("maps", hover && [hover.x, hover.y], hover ? order[hover.place] : undefined);
  };
  listenForPointer(canvas, signal, (event) => point(locate(event)), () => point(null));
  listen(canvas, signal, {
    click(event) {
      const hit = locate(event);
      if (hit) view.select(order[hit.place]);
    },
  });
  listen(panel.view, signal, { scroll() { scrolled = panel.view.scrollTop; view.schedule(); } });
  listenForKeys(panel.view, signal, (key) => {
    if (order.length && "+=-".includes(key)) zoomed(key === "-" ? 1 / ZOOM_STEP : ZOOM_STEP);
    else {
      const place = moveInGrid(panel.view, layout, key, places[view.unit], order.length);
      if (place === null) return false;
      view.select(order[place]);
    }
    return true;
  });

  /** @param {number} place */
  function scrollTo(place) {
    if (scrollIntoSight(panel.view, layout, place, scrolled)) scrolled = panel.view.scrollTop;
  }

  /** @param {Maps} maps @param {number} ratio device pixels to a CSS pixel */
  function paintBase(maps, ratio) {
    const { table, symmetric } = view.palette(maps.signed);
    const top = scrolled;
    const { width: wide, height: tall } = canvas;
    if (!newBase(tiles, order, layout, table, symmetric, model.get("scale"), top, wide, tall)) return false;
    [base.width, base.height] = [wide, tall];
    const [first, end] = tilesInSight(layout, order.length, top, tall / ratio);
    paintPixels(base, (pixels) => {
      for (let place = first; place < end; place++) {
        const unit = order[place];
        const [low, high] = unitRange(maps, unit, model.get("scale"), symmetric);
        paintMap(pixels, wide, ...tileRect(layout, place, top, ratio), tiles.values, unit * tiles.h * tiles.w, tiles.h, tiles.w, table, low, high);
      }
    });
    const context = pen(base);
    const line = Math.max(1, Math.round(ratio));
    for (let place = first; place < end; place++) {
      const rect = tileRect(layout, place, top, ratio);
      const [x, y, width, height] = rect;
      frameTile(context, rect, line);
      const state = maps.state[order[place]];
      if (state) drawSign(context, x + width / 2, y + height / 2, Math.min(28 * ratio, width * 0.5, height * 0.5), state);
    }
    return true;
  }

  /** The positions that other panels point at, in every tile in sight. @param {Maps} maps @param {number} ratio */
  function paintCells(maps, ratio) {
    const { cells } = view.linked;
    if (!cells || (cells.bottom - cells.top === maps.fullH - 1 && cells.right - cells.left === maps.fullW - 1)) return;
    const [first, end] = tilesInSight(layout, order.length, scrolled, roomOf(panel.view)[1]);
    for (let place = first; place < end; place++) {
      const [left, top, wide, tall] = tileRect(layout, place, scrolled, ratio);
      const [x, y, ...size] = spanRect(cells, maps.fullH, maps.fullW, wide, tall);
      enclose(pen(canvas), [left + x, top + y, ...size], Math.max(1, Math.floor(ratio)));
    }
  }

  /** What is said of a unit, with the name of its tile where tiles have names. @param {number} unit @param {string} words */
  const named = (unit, words) => (letters ? `${tileName(layout, places[unit])} · ${words}` : words);

  /** @param {Maps} maps */
  function describe(maps) {
    const unit = hover ? order[hover.place] : view.unit;
    let words = t("stage.maps.unit", { unit, range: unitWords(view, maps, unit) });
    if (hover) {
      const y = Math.floor(hover.y * maps.h);
      const x = Math.floor(hover.x * maps.w);
      const value = maps.values[(unit * maps.h + y) * maps.w + x];
      words = t("stage.maps.value", {
        unit,
        y: Math.floor(hover.y * maps.fullH),
        x: Math.floor(hover.x * maps.fullW),
        value: (maps.reduced || maps.rough ? "≈ " : "") + formatNumber(value),
      });
    }
    setText(readout, named(unit, words));
    const [h, w] = [maps.fullH, maps.fullW];
    const { path = "" } = model.get("layer") ?? {};
    const lines = [t("stage.maps.caption", { network: model.get("network"), layer: path, count: maps.c, height: h, width: w })];
    const { symmetric } = view.palette(maps.signed);
    const [low, high] = valueRange(maps.min, maps.max, symmetric).map(formatNumber);
    const zero = symmetric ? "signed" : maps.min < 0 ? "negative" : "positive";
    lines.push(model.get("scale") === "layer" ? t("stage.maps.scale_layer", { low, high }) : t(`stage.maps.scale_map_${zero}`));
    const count = (/** @type {number} */ state) => maps.state.reduce((sum, each) => sum + Number(each === state), 0);
    const [dead, broken] = [count(CONSTANT), count(NOT_FINITE)];
    if (dead) lines.push(t("stage.maps.constant", { count: dead }));
    if (broken) lines.push(t("stage.maps.not_finite", { count: broken }));
    setText(caption, lines.join(" "));
  }

  /** What a screen reader says of the selected tile. @param {Maps} maps */
  function speak(maps) {
    if (!newWords(maps, view.unit, layout, order, model.get("texts"))) return;
    spoken = 1 - spoken; // a cell whose label changes stays unsaid, another cell is announced
    const place = places[view.unit];
    const cell = cells[spoken];
    setText(cell, t("stage.maps.unit", { unit: view.unit, range: unitWords(view, maps, view.unit) }));
    put(cell, { "aria-selected": true, "aria-colindex": (place % layout.columns) + 1 });
    cells[1 - spoken].removeAttribute("aria-selected");
    setText(cells[1 - spoken], "");
    put(/** @type {Element} */ (cell.parentElement), { "aria-rowindex": Math.floor(place / layout.columns) + 1 });
    put(panel.view, { "aria-rowcount": layout.rows, "aria-colcount": layout.columns, "aria-activedescendant": cell.id });
  }

  return {
    element: panel.element,
    paint() {
      const { maps } = view.data;
      sorts.paint();
      scales.paint();
      put(panel.view, { "aria-label": t("stage.maps.label", { layer: view.path }) });
      say(note, maps ? "" : t("stage.maps.empty"));
      show(spacer, !!maps);
      if (!maps) {
        setText(readout, "");
        return setText(caption, "");
      }
      const [width, height] = roomOf(panel.view);
      if (!width || !height) return;
      const sort = model.get("sort");
      const target = sort === "class" ? view.classes.chosen() : -1;
      if (newOrder(maps, sort, target, sort === "class" && view.data.weights)) {
        order = unitOrder(maps, sort, view.classes.weightsOf(target));
        places = new Int32Array(order.length);
        order.forEach((unit, place) => (places[unit] = place));
        hover = null; // another tile lies under the pointer
        view.point("maps", null);
      }
      letters = coordinateSize(view);
      const next = namedLayout(maps.c, width, height, maps.fullH / maps.fullW, zoom, letters);
      if (JSON.stringify(next) !== JSON.stringify(layout)) layout = next;
      spacer.style.height = `${Math.max(layout.total, height)}px`;
      sizeCanvas(canvas, width, height);
      const ratio = canvas.width / width;
      if (newTiles(maps, layout, ratio)) {
        const tall = Math.max(1, Math.round(layout.height * ratio));
        const wide = Math.max(1, Math.round(layout.width * ratio));
        tiles = maps.h > tall && maps.w > wide
          ? { values: shrink(maps.values, maps.c, maps.h, maps.w, tall, wide), h: tall, w: wide }
          : maps;
      }
      // Words that come below the grid take some of its height: the chosen tile stays in sight where it was.
      const bottom = tileCorner(layout, places[view.unit])[1] + layout.height;
      const hidden = bottom > scrolled + height && bottom <= scrolled + inSight;
      inSight = height;
      if (newPlace(view.unit, order, layout) || hidden) scrollTo(places[view.unit]);
      const fresh = paintBase(maps, ratio);
      describe(maps);
      speak(maps);
      const ink = letters && getComputedStyle(canvas).color;
      if (!newFace(view.unit, hover?.place, JSON.stringify(view.linked.cells), order, layout, ink) && !fresh) return;
      const context = pen(canvas);
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(base, 0, 0);
      paintCells(maps, ratio);
      paintCoordinates(canvas, layout, scrolled, letters, ratio);
      if (letters && newNamed(view.unit, order, layout)) clearOfLetters(panel.view, layout, places[view.unit]);
      const mark = (/** @type {number} */ place, /** @type {number} */ line) =>
        outline(context, ...tileRect(layout, place, scrolled, ratio), line);
      if (hover) mark(hover.place, Math.max(1, ratio / 2));
      mark(places[view.unit], Math.max(1, Math.round(1.5 * ratio)));
    },
  };
}

/** The values at the ends of the colours of one unit's map. @param {Maps} maps @param {number} unit @param {string} scale
 * @param {boolean} symmetric @returns {[number, number]} */
function unitRange(maps, unit, scale, symmetric) {
  if (scale === "layer") return valueRange(maps.min, maps.max, symmetric);
  return valueRange(maps.stats[3 * unit], maps.stats[3 * unit + 1], symmetric);
}

/** @param {View} view @param {Maps} maps @param {number} unit */
function unitWords(view, maps, unit) {
  const [min, max] = [maps.stats[3 * unit], maps.stats[3 * unit + 1]].map(formatNumber);
  if (maps.state[unit] === NOT_FINITE) return view.t("stage.unit.not_finite");
  return maps.state[unit] === CONSTANT ? view.t("stage.unit.constant", { value: max }) : view.t("stage.unit.range", { min, max });
}

/** Two or three buttons of which one is pressed: a trait's choices. @param {View} view @param {string} trait
 * @param {string[]} choices @param {() => boolean} [lastUsable] whether there is what the last choice needs */
function makeChoice(view, trait, choices, lastUsable = () => true) {
  const key = `stage.${trait}`;
  const buttons = choices.map((choice) =>
    makeButton(view, `${key}.${choice}`, () => view.sync.set(trait, choice), { "data-choice": choice }));
  const element = make("div", { class: "cnnvis-choice", role: "group", "data-trait": trait }, view.label(make("span"), { text: key }), ...buttons);
  view.label(element, { "aria-label": key });
  return {
    element,
    paint() {
      const usable = lastUsable();
      buttons.forEach((button, i) => {
        const missing = i === choices.length - 1 && !usable;
        button.toggleAttribute("disabled", missing);
        put(button, { title: view.t(`${key}.${choices[i]}_${missing ? "unavailable" : "hint"}`), "aria-pressed": view.model.get(trait) === choices[i] });
      });
    },
  };
}
