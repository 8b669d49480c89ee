// @ts-check
// Numbers to colours. Zero is pinned: 0 at the end of a sequential table, in the middle of a diverging one.

/** What stands for "not a number": no colour table has magenta and black hatching. RGBA packed, little endian. */
const HATCH_LIGHT = 0xffff00ff;
const HATCH_DARK = 0xff000000;

/** @param {number} x @param {number} y */
function hatch(x, y) {
  return ((x + y) >> 2) & 1 ? HATCH_DARK : HATCH_LIGHT;
}

/** @param {Uint8Array} tables n * 256 * 3 bytes @param {number} index @returns {Uint32Array} 256 packed RGBA */
function packTable(tables, index) {
  const packed = new Uint32Array(256);
  const start = index * 768;
  for (let i = 0; i < 256; i++) {
    const at = start + 3 * i;
    const grey = i * 0x010101; // no table has come yet
    const rgb = at + 2 < tables.length ? tables[at] | (tables[at + 1] << 8) | (tables[at + 2] << 16) : grey;
    packed[i] = (0xff000000 | rgb) >>> 0;
  }
  return packed;
}

/**
 * The values at the two ends of the colour table.
 * @param {number} min @param {number} max @param {boolean} symmetric zero in the middle
 * @returns {[number, number]}
 */
function valueRange(min, max, symmetric) {
  if (!Number.isFinite(min) || !Number.isFinite(max)) return symmetric ? [-1, 1] : [0, 1];
  if (symmetric) {
    const most = Math.max(Math.abs(min), Math.abs(max)) || 1;
    return [-most, most];
  }
  if (min >= 0) return [0, max || 1];
  return [min, Math.max(max, 0)];
}

/** @param {number} value @param {number} low @param {number} high @returns {number} 0..255, -1 for no number */
function colourIndex(value, low, high) {
  if (Number.isNaN(value)) return -1;
  const share = (value - low) / (high - low);
  return share <= 0 ? 0 : share >= 1 ? 255 : (share * 256) | 0; // 256 equal steps, as matplotlib cuts them
}

/**
 * A coarse map enlarged bilinearly (pixel centres, edges held: as cv2.resize does) and only then cut into 256 steps.
 * Cells that are no number give no weight; a pixel is no number where they have more than half of it.
 * @param {Float32Array} values @param {number} h @param {number} w @param {number} height @param {number} width
 * @param {number} low @param {number} high @returns {Int16Array} colour indices, -1 for no number
 */
function enlarge(values, h, w, height, width, low, high) {
  const out = new Int16Array(height * width);
  const at = (/** @type {number} */ i, /** @type {number} */ n, /** @type {number} */ m) =>
    clamp(((i + 0.5) * n) / m - 0.5, 0, n - 1);
  const columns = Float64Array.from({ length: width }, (_, x) => at(x, w, width));
  for (let y = 0; y < height; y++) {
    const row = at(y, h, height);
    for (let x = 0; x < width; x++) out[y * width + x] = colourIndex(between(values, h, w, row, columns[x]), low, high);
  }
  return out;
}

/** The value between cells. @param {Float32Array} values @param {number} h @param {number} w @param {number} y
 * @param {number} x in cells, within bounds */
function between(values, h, w, y, x) {
  const [top, left] = [y | 0, x | 0];
  const [fy, fx] = [y - top, x - left];
  const corner = top * w + left;
  const right = left + 1 < w ? 1 : 0;
  const down = top + 1 < h ? w : 0;
  const a = values[corner];
  const b = values[corner + right];
  const c = values[corner + down];
  const d = values[corner + down + right];
  const value = (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy;
  if (Number.isFinite(value)) return value;
  let [sum, known] = [0, 0];
  for (const [cell, weight] of [[a, (1 - fx) * (1 - fy)], [b, fx * (1 - fy)], [c, (1 - fx) * fy], [d, fx * fy]]) {
    if (Number.isFinite(cell)) [sum, known] = [sum + cell * weight, known + weight];
  }
  return known >= 0.5 ? sum / known : NaN;
}

/**
 * The photograph with a coloured heatmap over it: photo * (1 - opacity) + colour * opacity.
 * @param {Uint8ClampedArray} photo RGBA @param {Int16Array} indices @param {Uint32Array} table
 * @param {number} opacity @param {number} width @param {Uint8ClampedArray} out RGBA
 */
function blend(photo, indices, table, opacity, width, out) {
  const keep = 1 - opacity;
  for (let i = 0, at = 0; i < indices.length; i++, at += 4) {
    const index = indices[i];
    const colour = index < 0 ? hatch(i % width, (i / width) | 0) : table[index];
    out[at] = photo[at] * keep + (colour & 255) * opacity;
    out[at + 1] = photo[at + 1] * keep + ((colour >> 8) & 255) * opacity;
    out[at + 2] = photo[at + 2] * keep + ((colour >> 16) & 255) * opacity;
    out[at + 3] = 255;
  }
}

/**
 * Maps made smaller by the mean of the cells under each pixel; a cell that is no number is never averaged away.
 * @param {Float32Array} values planar (c, h, w) @param {number} c @param {number} h @param {number} w
 * @param {number} height @param {number} width @returns {Float32Array} (c, height, width)
 */
function shrink(values, c, h, w, height, width) {
  const out = new Float32Array(c * height * width);
  const from = (/** @type {number} */ i, /** @type {number} */ n, /** @type {number} */ m) => Math.floor((i * n) / m);
  for (let y = 0, first = 0; y < height; y++) {
    const y0 = from(y, h, height);
    const y1 = Math.max(y0 + 1, from(y + 1, h, height));
    for (let x = 0; x < width; x++, first++) {
      const x0 = from(x, w, width);
      const x1 = Math.max(x0 + 1, from(x + 1, w, width));
      const share = 1 / ((y1 - y0) * (x1 - x0));
      for (let k = 0; k < c; k++) {
        let sum = 0;
        const plane = k * h * w;
        for (let j = y0; j < y1; j++) for (let i = x0; i < x1; i++) sum += values[plane + j * w + i];
        out[k * height * width + first] = sum * share;
      }
    }
  }
  return out;
}

/**
 * One map painted into a rectangle of a picture: each cell a block of pixels or, where it has more cells than that has
 * pixels, each pixel the mean of its cells.
 * @param {Uint32Array} pixels packed RGBA @param {number} stride @param {number} x0 @param {number} y0
 * @param {number} width @param {number} height the rectangle
 * @param {Float32Array} values @param {number} start where the map starts @param {number} h @param {number} w
 * @param {Uint32Array} table @param {number} low @param {number} high
 */
function paintMap(pixels, stride, x0, y0, width, height, values, start, h, w, table, low, high) {
  if (h > height && w > width) {
    const small = shrink(values.subarray(start, start + h * w), 1, h, w, height, width);
    return paintMap(pixels, stride, x0, y0, width, height, small, 0, height, width, table, low, high);
  }
  const rows = Math.floor(pixels.length / stride);
  const top = Math.max(0, -y0);
  const bottom = Math.min(height, rows - y0);
  const left = Math.max(0, -x0);
  const right = Math.min(width, stride - x0);
  const scale = 256 / (high - low);
  for (let y = top; y < bottom; y++) {
    const row = start + Math.floor(((y + 0.5) * h) / height) * w;
    const line = (y0 + y) * stride + x0;
    for (let x = left; x < right; x++) {
      const value = values[row + Math.floor(((x + 0.5) * w) / width)];
      const index = (value - low) * scale;
      pixels[line + x] =
        value !== value ? hatch(x, y) : index <= 0 ? table[0] : index >= 255 ? table[255] : table[index | 0];
    }
  }
}
