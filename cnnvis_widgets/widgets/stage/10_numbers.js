// @ts-check
// Bytes to numbers and numbers to words. Pure functions: no DOM, no model.

/** @typedef {DataView | ArrayBuffer | Uint8Array | null | undefined} Binary what a Bytes trait arrives as */

/** @param {Binary} binary @returns {Uint8Array} the bytes, not copied */
function bytesOf(binary) {
  if (!binary) return new Uint8Array(0);
  if (binary instanceof ArrayBuffer) return new Uint8Array(binary);
  return new Uint8Array(binary.buffer, binary.byteOffset, binary.byteLength);
}

/** @param {Binary} binary @returns {Float32Array} */
function floatsOf(binary) {
  const bytes = bytesOf(binary);
  return new Float32Array(bytes.slice().buffer, 0, bytes.length >> 2); // copied: a typed array must start on a multiple of 4
}

/** @type {Float32Array | undefined} */
let halfFloatTable;

/** All 65,536 half floats by their bits, made once: a look-up is ten times as fast as taking each number apart. */
function halfFloats() {
  if (halfFloatTable) return halfFloatTable;
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
    else if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return (halfFloatTable = table);
}

/** @param {Binary} binary float16 little endian @param {number} scale @returns {Float32Array} values * scale */
function halvesOf(binary, scale) {
  const bytes = bytesOf(binary);
  const halves = new Uint16Array(bytes.slice().buffer, 0, bytes.length >> 1);
  const table = halfFloats();
  const values = new Float32Array(halves.length);
  for (let i = 0; i < values.length; i++) values[i] = table[halves[i]] * scale;
  return values;
}

/** @param {number} value @param {number} low @param {number} high */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** Where the largest number lies, counted from the start; what is no number is passed over. @param {Float32Array} values
 * @param {number} start @param {number} size @param {boolean} [unsigned] the largest without its sign */
function largestAt(values, start, size, unsigned = false) {
  let [at, most] = [0, -Infinity];
  for (let i = 0; i < size; i++) {
    const value = unsigned ? Math.abs(values[start + i]) : values[start + i];
    if (!(value > most)) continue;
    at = i;
    most = value;
  }
  return at;
}

/** Three significant digits, as a person writes them. @param {number} value */
function formatNumber(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text =
    size >= 1e5 || size < 1e-3 ? value.toExponential(1) : size >= 999.5 ? value.toFixed(0) : value.toPrecision(3);
  return text.replace(/-/g, "−").replace("e+", "e");
}

/**
 * A sentence of the current language with its values filled in: {name} as Python's str.format.
 * @param {Record<string, string>} texts @param {string} key @param {Record<string, unknown>} [values]
 */
function sentence(texts, key, values = {}) {
  const text = texts?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
