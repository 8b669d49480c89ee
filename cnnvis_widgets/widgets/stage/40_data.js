// @ts-check
// The traits, decoded. Each binary trait is decoded once: a new one is a new DataView, so identity tells.

/**
 * @typedef {object} Model what anywidget hands to a view; a page without a kernel brings its own
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {(event: string, handler: (...all: any[]) => void) => void} on
 * @property {(event: string, handler: (...all: any[]) => void) => void} off
 * @property {() => void} save_changes
 * @property {(content: unknown, callbacks?: unknown, buffers?: (ArrayBuffer | ArrayBufferView)[]) => void} send
 *
 * @typedef {object} Maps
 * @property {number} c @property {number} h @property {number} w size as sent
 * @property {number} fullH @property {number} fullW size in the network
 * @property {boolean} reduced sent smaller than they are
 * @property {number} rough the most by which a value may be off, as a share of its map's largest; 0: sent as numbers
 * @property {Float32Array} values planar (c, h, w)
 * @property {Float32Array} stats (c, 3): min, max, mean of the full map
 * @property {number} min @property {number} max of the layer
 * @property {boolean} signed the layer has both signs
 * @property {Uint8Array} state of each unit: 0 fine, 1 the same everywhere, 2 has what is no finite number
 *
 * @typedef {{h: number, w: number, values: Float32Array, signed: boolean, target: number, most: number}} Heat target: the
 *   class, -1 where not told; most: the maximum before the values were divided by it
 * @typedef {{values: Float32Array, rowOf: (target: number) => number}} Weights of channels, a row a class; row -1: not here
 * @typedef {{unit: number, h: number, w: number, values: Float32Array}} Detail
 * @typedef {Heat & {of: {layer: string, unit: number, y: number, x: number}, silent: boolean}} Effect an effective receptive
 *   field; silent: no pixel has any effect
 * @typedef {{maps: Maps | null, heat: Heat | null, detail: Detail | null, weights: Weights | null, effect: Effect | null,
 *   graph: Graph | null, frame: number}} Data
 */

const FINE = 0;
const CONSTANT = 1;
const NOT_FINITE = 2;

/** @param {Model} model @returns {Maps | null} */
function readMaps(model) {
  const [c, h, w] = model.get("maps_shape") ?? [0, 0, 0];
  const stats = floatsOf(model.get("maps_stats"));
  let min = Infinity;
  let max = -Infinity;
  for (let k = 0; k < c; k++) {
    if (stats[3 * k] < min) min = stats[3 * k];
    if (stats[3 * k + 1] > max) max = stats[3 * k + 1];
  }
  const signed = min < 0 && max > 0;
  const coded = !!model.get("maps_coded");
  const values = coded ? decodeMaps(bytesOf(model.get("maps")), stats, signed) : halvesOf(model.get("maps"), model.get("maps_scale") || 1);
  const size = h * w;
  if (!c || !size || values.length < c * size) return null;
  const [fullH, fullW] = model.get("layer")?.shape ?? [h, w];
  const state = new Uint8Array(c);
  for (let k = 0; k < c; k++) {
    let finite = true;
    for (let i = k * size; i < (k + 1) * size && finite; i++) finite = Number.isFinite(values[i]);
    state[k] = !finite ? NOT_FINITE : stats[3 * k] === stats[3 * k + 1] ? CONSTANT : FINE;
  }
  const reduced = fullH !== h || fullW !== w;
  const rough = !coded ? 0 : signed ? 1 / 256 : 1 / 512;
  return { c, h, w, fullH, fullW, reduced, rough, values, stats, min, max, signed, state };
}

/**
 * Maps kept as the number of their colour, 0 to 255, between the ends of each map's own colours: painted, they are what
 * the values would be. Both ends and zero are exact, every other value is the middle of its step.
 * @param {Uint8Array} codes planar (c, h, w) @param {Float32Array} stats (c, 3) of the full maps
 * @param {boolean} signed of the layer: zero in the middle @returns {Float32Array}
 */
function decodeMaps(codes, stats, signed) {
  const c = stats.length / 3;
  const size = codes.length / c;
  const values = new Float32Array(codes.length);
  const table = new Float32Array(256);
  for (let k = 0; k < c; k++) {
    const [low, high] = valueRange(stats[3 * k], stats[3 * k + 1], signed);
    for (let code = 0; code < 256; code++) table[code] = low + ((code + 0.5) / 256) * (high - low);
    table[0] = low;
    table[255] = high;
    if (signed) table[128] = 0;
    for (let i = k * size; i < (k + 1) * size; i++) values[i] = table[codes[i]];
  }
  return values;
}

/** Numbers with their shape; null where there are none. @param {Binary} binary float32 @param {number[] | undefined} shape */
function planeOf(binary, shape) {
  const [h, w] = shape ?? [0, 0];
  const values = floatsOf(binary);
  return h * w > 0 && values.length >= h * w ? { h, w, values } : null;
}

/** @param {Model} model @returns {Heat | null} */
function readHeat(model) {
  const plane = planeOf(model.get("heat"), model.get("heat_shape"));
  return plane && { ...plane, signed: !!model.get("heat_signed"), target: model.get("heat_target") ?? -1, most: model.get("heat_most") ?? 0 };
}

/** @param {Model} model @returns {Detail | null} */
function readDetail(model) {
  const plane = planeOf(model.get("detail_map"), model.get("detail_shape"));
  return plane && { ...plane, unit: model.get("detail_unit") };
}

/** The best picture of a unit's map that is here. @param {Maps} maps @param {Detail | null} detail @param {number} unit */
function fullMap({ h, w, values, reduced }, detail, unit) {
  if (reduced && detail?.unit === unit) return { ...detail, exact: true };
  return { h, w, values: values.subarray(unit * h * w, (unit + 1) * h * w), exact: !reduced };
}

/** @param {Model} model @returns {Effect | null} */
function readEffect(model) {
  const plane = planeOf(model.get("field_map"), model.get("field_shape"));
  return plane && { ...plane, signed: false, target: -1, most: 1, of: model.get("field_of"), silent: plane.values.every((value) => value === 0) };
}

/** The channel weights there are for the maps shown. @param {Model} model @returns {Weights | null} */
function readWeights(model) {
  const head = model.get("weights_from") === "head";
  const values = head
    ? halvesOf(model.get("head_weights"), model.get("head_scale") || 1)
    : halvesOf(model.get("slopes"), model.get("slopes_scale") || 1);
  if (!values.length) return null;
  const classes = model.get("slopes_classes") ?? [];
  return { values, rowOf: head ? (target) => target : (target) => classes.indexOf(target) };
}

/** @param {Model} model @returns {() => Data} what to call when a frame has come */
function createReader(model) {
  /** @type {Record<string, {keys: unknown[], value: any}>} */
  const kept = {};
  const once = (/** @type {string} */ name, /** @type {string[]} */ traits, /** @type {(m: Model) => any} */ read) => {
    const keys = traits.map((trait) => model.get(trait));
    if (!kept[name] || keys.some((key, i) => key !== kept[name].keys[i])) kept[name] = { keys, value: read(model) };
    return kept[name].value;
  };
  return () => ({
    maps: once("maps", ["maps", "maps_shape", "maps_stats", "maps_scale", "maps_coded", "layer"], readMaps),
    heat: once("heat", ["heat", "heat_shape", "heat_signed", "heat_target", "heat_most"], readHeat),
    weights: once("weights", ["weights_from", "head_weights", "slopes", "slopes_classes"], readWeights),
    detail: once("detail", ["detail_map", "detail_shape", "detail_unit"], readDetail),
    effect: once("effect", ["field_map", "field_shape", "field_of"], readEffect),
    graph: once("graph", ["graph"], (from) => readGraph(from.get("graph"))),
    frame: model.get("frame"),
  });
}

/** The order of the units in the grid. @param {Maps} maps @param {string} sort
 * @param {Float32Array | null} weights of the channels for the class shown @returns {Int32Array} unit at each place */
function unitOrder(maps, sort, weights) {
  const order = Int32Array.from({ length: maps.c }, (_, k) => k);
  const mean = (/** @type {number} */ k) => maps.stats[3 * k + 2];
  const strength = (/** @type {number} */ k) =>
    maps.signed ? Math.max(-maps.stats[3 * k], maps.stats[3 * k + 1]) : maps.stats[3 * k + 1];
  let rank = sort === "strength" ? strength : null;
  if (sort === "class" && weights) rank = (k) => weights[k] * mean(k);
  if (!rank) return order;
  const ranks = Float64Array.from(order, rank).map((value) => (Number.isFinite(value) ? value : -Infinity));
  return order.sort((a, b) => ranks[b] - ranks[a] || a - b);
}

/**
 * What the browser may set: painted at once, told to the kernel at most every `delay` ms, the last value for sure.
 * The kernel echoes each value it was told; an echo that comes while a newer value waits must not turn the view back.
 * @param {Model} model @param {AbortSignal} signal @param {number} [delay]
 */
function createSync(model, signal, delay = 150) {
  /** @type {Map<string, unknown>} */
  const waiting = new Map();
  /** @type {Map<string, Set<unknown>>} */
  const told = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let lastEdit = 0;
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    if (!waiting.size) return;
    for (const [name, value] of waiting) told.set(name, (told.get(name) ?? new Set()).add(value));
    waiting.clear();
    model.save_changes();
  };
  signal.addEventListener("abort", tell);
  return {
    /** @param {string} name @param {unknown} value */
    set(name, value) {
      if (model.get(name) === value) return;
      if (performance.now() - lastEdit > 2000) told.clear();
      lastEdit = performance.now();
      waiting.set(name, value);
      model.set(name, value);
      timer ??= setTimeout(tell, delay);
    },
    /** A trait has changed, by us or by others. @param {string} name */
    changed(name) {
      if (!waiting.has(name)) return;
      const value = model.get(name);
      if (value === waiting.get(name)) return;
      if (told.get(name)?.has(value)) model.set(name, waiting.get(name));
      else waiting.delete(name); // somebody else's newer wish
    },
  };
}
