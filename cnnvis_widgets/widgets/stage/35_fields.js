// @ts-check
// Receptive fields by arithmetic. Along each axis position p of a layer sees the pixels start + p * jump to
// start + p * jump + size - 1 of the network's input, but for exceptions where branches of different jumps meet; the
// photograph is that input, shown whole. Pure functions.

/**
 * @typedef {{size: number, jump: number, start: number, exact: Map<number, [number, number]>}} Axis in pixels of the network's input
 * @typedef {{y: Axis, x: Axis} | "all" | null} Field "all": every position sees everything; null: not known
 * @typedef {{top: number, bottom: number, left: number, right: number}} Span rows and columns, both ends included
 * @typedef {Span & {beyond: Record<"top" | "bottom" | "left" | "right", boolean>}} Box a span within the picture, and
 *   the sides at which what is seen goes on beyond the border, where only padding is
 */

const PART = 1e-3; // of a pixel: where a network enlarges its maps, jumps are fractions and arrive rounded

/** The first and the last pixel that a position sees along an axis. @param {Axis} axis @param {number} p @returns {[number, number]} */
function seenAlong({ size, jump, start, exact }, p) {
  return exact.get(p) ?? [Math.ceil(start + p * jump - PART), Math.floor(start + p * jump + size - 1 + PART)];
}

/** What a position sees, beyond the border too. @param {{y: Axis, x: Axis}} field @param {number} y @param {number} x @returns {Span} */
function fieldSpan(field, y, x) {
  const [[top, bottom], [left, right]] = [seenAlong(field.y, y), seenAlong(field.x, x)];
  return { top, bottom, left, right };
}

/** What a position sees of a picture. @param {Field} field @param {number} y @param {number} x @param {number[]} input
 * [height, width] @returns {Box | null} null where it sees nothing but padding */
function fieldBox(field, y, x, [height, width]) {
  if (!field) return null;
  const whole = { top: 0, bottom: height - 1, left: 0, right: width - 1 };
  const span = field === "all" ? whole : fieldSpan(field, y, x);
  if (span.bottom < 0 || span.right < 0 || span.top >= height || span.left >= width) return null;
  return {
    top: Math.max(span.top, 0), bottom: Math.min(span.bottom, height - 1),
    left: Math.max(span.left, 0), right: Math.min(span.right, width - 1),
    beyond: { top: span.top < 0, bottom: span.bottom >= height, left: span.left < 0, right: span.right >= width },
  };
}

/** The positions whose fields hold a pixel. @param {Field} field @param {number} y @param {number} x of the input
 * @param {number} h @param {number} w of the layer @returns {Span | null} null where none does */
function cellsSeeing(field, y, x, h, w) {
  if (!field) return null;
  if (field === "all") return { top: 0, bottom: h - 1, left: 0, right: w - 1 };
  const along = (/** @type {Axis} */ axis, /** @type {number} */ pixel, /** @type {number} */ n) => {
    let [first, last] = [n, -1];
    for (let p = 0; p < n; p++) {
      const [low, high] = seenAlong(axis, p);
      if (pixel < low || pixel > high) continue;
      first = Math.min(first, p);
      last = p;
    }
    return [first, last];
  };
  const [top, bottom] = along(field.y, y, h);
  const [left, right] = along(field.x, x, w);
  return top <= bottom && left <= right ? { top, bottom, left, right } : null;
}

/** Where a span lies on a canvas. @param {Span} span @param {number} rows @param {number} columns of what the canvas shows
 * @param {number} width @param {number} height of it in pixels @returns {[number, number, number, number]} x, y, width, height */
function spanRect(span, rows, columns, width, height) {
  const [x, y] = [(span.left / columns) * width, (span.top / rows) * height];
  return [x, y, ((span.right + 1) / columns) * width - x, ((span.bottom + 1) / rows) * height - y];
}

/** The position where a map is largest, or farthest from zero. @param {Float32Array} values @param {number} h
 * @param {number} w @param {boolean} signed @returns {[number, number]} y, x in 0..1 */
function strongestPlace(values, h, w, signed) {
  const best = largestAt(values, 0, h * w, signed);
  return [(Math.floor(best / w) + 0.5) / h, ((best % w) + 0.5) / w];
}
