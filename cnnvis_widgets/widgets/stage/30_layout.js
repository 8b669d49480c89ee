// @ts-check
// Where things go. Pure functions of sizes in CSS pixels.

/** @typedef {{columns: number, rows: number, width: number, height: number, gap: number, left: number, top: number, total: number}} GridLayout */

const TILE_GAP = 4;
const TILE_LEAST = 36; // below this a map cannot be told from its neighbour on a projector
const TILE_MOST = 132;
const TILE_ZOOMED_LEAST = 12;

/**
 * The largest tiles with which all are seen at once; where even the smallest do not fit, tiles that fill the width
 * and a grid that scrolls.
 * @param {number} count @param {number} width @param {number} height @param {number} aspect height of a map / width
 * @param {number} [zoom] of what fits; 1: what fits
 * @returns {GridLayout}
 */
function gridLayout(count, width, height, aspect, zoom = 1) {
  const layout = fittingLayout(count, width, height, aspect);
  if (zoom === 1) return layout;
  const within = Math.max(1, width - 2 * TILE_GAP);
  const tile = clamp(Math.round(layout.width * zoom), Math.min(TILE_ZOOMED_LEAST, within), within);
  return tileLayout(count, within, aspect, tile);
}

/** Tiles of one width. @param {number} count @param {number} within @param {number} aspect @param {number} tile
 * @returns {GridLayout} */
function tileLayout(count, within, aspect, tile) {
  const columns = Math.max(1, Math.min(count || 1, Math.floor((within + TILE_GAP) / (tile + TILE_GAP))));
  const tall = Math.max(1, Math.round(tile * clamp(aspect || 1, 0.4, 2.5)));
  const rows = Math.ceil(count / columns);
  const total = rows * (tall + TILE_GAP) + TILE_GAP;
  const left = TILE_GAP + Math.floor((within - columns * (tile + TILE_GAP) + TILE_GAP) / 2);
  return { columns, rows, width: tile, height: tall, gap: TILE_GAP, left, top: TILE_GAP, total };
}

/** @param {number} count @param {number} width @param {number} height @param {number} aspect @returns {GridLayout} */
function fittingLayout(count, width, height, aspect) {
  const most = Math.max(1, Math.min(TILE_MOST, width - 2 * TILE_GAP));
  const least = Math.min(TILE_LEAST, most);
  const within = width - 2 * TILE_GAP;
  const fit = (/** @type {number} */ tile) => tileLayout(count, within, aspect, tile);
  for (let tile = most; tile >= least; tile--) {
    const layout = fit(tile);
    if (layout.total <= height) return layout;
  }
  const columns = Math.max(1, Math.floor((within + TILE_GAP) / (least + TILE_GAP)));
  return fit(Math.max(least, Math.floor((within + TILE_GAP) / columns) - TILE_GAP));
}

/** @param {GridLayout} layout @param {number} place @returns {[number, number]} x, y of the tile's corner */
function tileCorner(layout, place) {
  const column = place % layout.columns;
  const row = Math.floor(place / layout.columns);
  return [layout.left + column * (layout.width + layout.gap), layout.top + row * (layout.height + layout.gap)];
}

/** The tile on a canvas that stays while the tiles are scrolled beneath it. @param {GridLayout} layout @param {number} place
 * @param {number} top what is scrolled away @param {number} ratio device pixels to a CSS pixel
 * @returns {[number, number, number, number]} x, y, width, height in device pixels */
function tileRect(layout, place, top, ratio) {
  const [x, y] = tileCorner(layout, place);
  const round = (/** @type {number} */ size) => Math.round(size * ratio);
  return [round(x), round(y - top), round(layout.width), round(layout.height)];
}

/**
 * @param {GridLayout} layout @param {number} count @param {number} x @param {number} y
 * @returns {{place: number, x: number, y: number} | null} the tile under a point and where in it, 0..1
 */
function tileAt(layout, count, x, y) {
  const column = Math.floor((x - layout.left) / (layout.width + layout.gap));
  const row = Math.floor((y - layout.top) / (layout.height + layout.gap));
  const place = row * layout.columns + column;
  if (column < 0 || column >= layout.columns || row < 0 || place >= count) return null;
  const [left, top] = tileCorner(layout, place);
  const inside = { place, x: (x - left) / layout.width, y: (y - top) / layout.height };
  return inside.x < 1 && inside.y < 1 ? inside : null;
}

/** The first of the tiles in sight, and the one behind the last. @param {GridLayout} layout @param {number} count @param {number} top
 * @param {number} tall of what is seen @returns {[number, number]} */
function tilesInSight(layout, count, top, tall) {
  const row = (/** @type {number} */ y) => y / (layout.height + layout.gap);
  return [Math.max(0, Math.floor(row(top - layout.top)) * layout.columns), Math.min(count, Math.ceil(row(top + tall)) * layout.columns)];
}

/**
 * Where a key leads in the grid. @param {string} key @param {number} place @param {number} count
 * @param {number} columns @param {number} page rows in sight @returns {number | null} null: not a key of the grid
 */
function keyMove(key, place, count, columns, page) {
  const last = count - 1;
  switch (key) {
    case "ArrowLeft": return Math.max(0, place - 1);
    case "ArrowRight": return Math.min(last, place + 1);
    case "ArrowUp": return place >= columns ? place - columns : place;
    case "ArrowDown": return place + columns <= last ? place + columns : place;
    case "PageUp": return Math.max(place % columns, place - columns * page);
    case "PageDown": {
      const steps = Math.min(page, Math.floor((last - place) / columns));
      return place + columns * steps;
    }
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}

/** The largest rectangle of a shape inside another, whole pixels. @param {number} width @param {number} height
 * @param {number} w @param {number} h @returns {[number, number]} */
function contain(width, height, w, h) {
  const scale = Math.min(width / w, height / h);
  return [Math.max(1, Math.round(w * scale)), Math.max(1, Math.round(h * scale))];
}
