// @ts-check
// One unit of a convolution: what the kernel sent, and the arithmetic of one position. Pure functions.

/**
 * @typedef {{kind: string, name: string, path: string, values: Float32Array, scale: number, shift: number}} Line
 * @typedef {object} Convolution
 * @property {string} layer the layer asked for @property {number} unit
 * @property {string} path of the convolution @property {string} kind @property {string | null} source
 * @property {number[]} channels of the input, as far as they were sent, strongest in the picture first
 * @property {number} count of all channels that the unit looks at
 * @property {number} h @property {number} w of the input maps @property {number} kh @property {number} kw
 * @property {number} H @property {number} W of the output map
 * @property {[number, number]} strides @property {[number, number]} dilation y, x
 * @property {number[]} padding rows above and below, columns left and right
 * @property {Float32Array} inputs planar (n, h, w) @property {Float32Array} kernels planar (n, kh, kw)
 * @property {Float32Array} sums (H, W) over patch and all channels @property {Float32Array} sizes the same without signs
 * @property {number} bias @property {Line[]} lines from the sum with bias to the layer asked for
 */

/** @param {Model} model @returns {Convolution | null} */
function readConvolution(model) {
  const info = model.get("convolution_info") ?? {};
  const all = floatsOf(model.get("convolution"));
  if (!all.length || !info.channels) return null;
  const [[h, w], [kh, kw], [H, W]] = [info.input_shape, info.kernel_shape, info.output_shape];
  let at = 0;
  const take = (/** @type {number} */ count) => all.subarray(at, (at += count));
  const n = info.channels.length;
  const [inputs, kernels, sums, sizes] = [n * h * w, n * kh * kw, H * W, H * W].map(take);
  const maps = info.lines.map(() => take(H * W));
  const [bias] = take(1);
  const lines = info.lines.map((/** @type {any} */ line, /** @type {number} */ i) => {
    const [scale, shift] = take(2);
    return { ...line, values: maps[i], scale, shift };
  });
  return { ...info, count: info.channel_count, h, w, kh, kw, H, W, inputs, kernels, sums, sizes, bias, lines };
}

/** The input's row and column under the kernel's first tap; negative where that is padding. @param {Convolution} c
 * @param {number} y @param {number} x of the output @returns {[number, number]} */
function patchCorner(c, y, x) {
  return [y * c.strides[0] - c.padding[0], x * c.strides[1] - c.padding[2]];
}

/**
 * The values under the kernel, row by row, and where they are zeros added around the map.
 * @param {Convolution} c @param {number} k place among the channels sent @param {number} y @param {number} x of the output
 * @param {Float32Array} values (kh * kw), filled @param {Uint8Array} outside (kh * kw), filled
 */
function patchAt(c, k, y, x, values, outside) {
  const [top, left] = patchCorner(c, y, x);
  for (let i = 0, tap = 0; i < c.kh; i++) {
    const row = top + i * c.dilation[0];
    for (let j = 0; j < c.kw; j++, tap++) {
      const column = left + j * c.dilation[1];
      const padded = row < 0 || row >= c.h || column < 0 || column >= c.w;
      outside[tap] = Number(padded);
      values[tap] = padded ? 0 : c.inputs[(k * c.h + row) * c.w + column];
    }
  }
}

/** What each channel sent adds at a position. @param {Convolution} c @param {number} y @param {number} x
 * @returns {Float64Array} (n) */
function channelParts(c, y, x) {
  const taps = c.kh * c.kw;
  const parts = new Float64Array(c.channels.length);
  const [values, outside] = [new Float32Array(taps), new Uint8Array(taps)];
  for (let k = 0; k < parts.length; k++) {
    patchAt(c, k, y, x, values, outside);
    for (let tap = 0; tap < taps; tap++) if (!outside[tap]) parts[k] += values[tap] * c.kernels[k * taps + tap];
  }
  return parts;
}

/** The places of the largest parts, largest first; `keep` among them in any case. @param {Float64Array} parts
 * @param {number} most @param {number} keep @returns {number[]} */
function strongestParts(parts, most, keep) {
  const places = Array.from(parts, (_, k) => k).sort((a, b) => Math.abs(parts[b]) - Math.abs(parts[a]) || a - b);
  const first = places.slice(0, most);
  return first.includes(keep) ? first : [...first.slice(0, most - 1), keep];
}

/** A number for a small cell: three decimals, where it is dense two digits; what is too small is said to be nearly zero.
 * @param {number} value @param {boolean} dense */
function cellNumber(value, dense) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (!Number.isFinite(value) || size >= 1e4) return formatNumber(value);
  const before = size < 1 ? 0 : Math.floor(Math.log10(size)) + (dense ? 1 : 0);
  const text = value.toFixed(Math.max(0, (dense ? 2 : 3) - before));
  if (!Number(text)) return "≈0";
  return (dense ? text.replace(/^(-?)0\./, "$1.") : text).replace("-", "−");
}
