// @ts-check
// The network as a strip: which layers are folded into one, where each stands, where a key leads. Pure functions.

/**
 * @typedef {object} GraphNode
 * @property {string} path @property {string} kind @property {string} type of Keras: "Conv2D"
 * @property {number[]} shape of the output @property {number} parameters @property {Field} field
 * @property {number[]} from the nodes it takes its input from, all of them earlier
 * @property {boolean} maps whether it puts out feature maps
 *
 * @typedef {{input: number[], nodes: GraphNode[], places: Map<string, number>}} Graph input: [height, width]
 * @typedef {{first: number, last: number, label: string, from: number[]}} StripItem one layer, or several folded
 * @typedef {{from: number, to: number, row: number}} StripLine from item to item, along a row
 * @typedef {{columns: number, rows: number, column: number[], row: number[], lines: StripLine[]}} StripLayout
 */

const STRIP_OPEN = 10; // px a column: a network that fits so is shown unfolded
const STRIP_LEAST = 9; // px a column of a folded one
const STRIP_MOST = 30;
const STRIP_NEAR = 3; // neighbours of the open block that are never folded together

/** @param {any} trait @returns {Graph | null} */
function readGraph(trait) {
  if (!trait?.nodes?.length) return null;
  const axis = (/** @type {any[]} */ [size, jump, start, exceptions = []]) => {
    const exact = new Map();
    for (let i = 0; i < exceptions.length; i += 3) exact.set(exceptions[i], [exceptions[i + 1], exceptions[i + 2]]);
    return { size, jump, start, exact };
  };
  const nodes = trait.nodes.map((/** @type {any[]} */ [path, kind, type, shape, parameters, field, from]) => ({
    path, kind, type, shape, parameters, from,
    field: Array.isArray(field) ? { y: axis(field[0]), x: axis(field[1]) } : field,
    maps: shape.length === 3 && kind !== "input",
  }));
  return { input: trait.input, nodes, places: new Map(nodes.map((/** @type {GraphNode} */ node, /** @type {number} */ i) => [node.path, i])) };
}

/**
 * The block of each layer: by its name ("conv4_block6_1_conv", "block3/conv", "fire2_squeeze"), and where names do not
 * tell, all from one place that every path goes through and where branches begin to the next.
 * @param {GraphNode[]} nodes @returns {string[]}
 */
function blockNames(nodes) {
  const names = nodes.map(({ path }) => {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const name = path.slice(folder.length);
    const found = /^.*?block_?\d+[a-z]?(?=_|$)/i.exec(name) ?? /^(?!.*conv[123]d).*?\d+[a-z]?(?=_)/i.exec(name);
    return found ? folder + found[0] : "";
  });
  const runs = new Map();
  names.forEach((name, i) => name !== names[i - 1] && runs.set(name, (runs.get(name) ?? 0) + 1));
  const children = new Int32Array(nodes.length);
  const farthest = new Int32Array(nodes.length);
  nodes.forEach(({ from }, i) => from.forEach((parent) => { children[parent]++; farthest[parent] = i; }));
  let [segment, reach] = [0, 0];
  return names.map((name, i) => {
    const own = name && runs.get(name) === 1 ? name : `#${segment}`;
    if (reach <= i && children[i] > 1) segment++;
    reach = Math.max(reach, farthest[i]);
    return own;
  });
}

/** Items of runs of layers. @param {GraphNode[]} nodes @param {[number, number][]} runs first and last of each
 * @param {string[]} blocks @returns {StripItem[]} */
function stripItems(nodes, runs, blocks) {
  const owner = new Int32Array(nodes.length);
  runs.forEach(([first, last], i) => owner.fill(i, first, last + 1));
  return runs.map(([first, last], i) => {
    const from = new Set();
    for (let k = first; k <= last; k++) for (const parent of nodes[k].from) if (owner[parent] !== i) from.add(owner[parent]);
    const named = blocks[first] === blocks[last] && !blocks[first].startsWith("#");
    const label = first === last ? nodes[first].path : named ? blocks[first] : `${nodes[first].path} … ${nodes[last].path}`;
    return { first, last, label, from: [...from] };
  });
}

/**
 * The layers of a network as items that fit: all of them, or only the block of one layer unfolded; where that is too
 * many still, blocks far from it are folded together.
 * @param {GraphNode[]} nodes @param {number} focus the layer whose block is open @param {number} width in CSS pixels
 * @returns {StripItem[]}
 */
function foldStrip(nodes, focus, width) {
  const blocks = blockNames(nodes);
  const single = (/** @type {number} */ i) => /** @type {[number, number]} */ ([i, i]);
  const all = stripItems(nodes, nodes.map((_, i) => single(i)), blocks);
  if (stripLayout(all).columns * STRIP_OPEN <= width) return all;
  /** @type {[number, number][]} */
  const folded = [];
  nodes.forEach((_, i) => {
    if (i && blocks[i] === blocks[i - 1]) folded[folded.length - 1][1] = i;
    else folded.push(single(i));
  });
  const open = Math.max(0, folded.findIndex(([, last]) => last >= focus));
  const most = Math.floor(width / STRIP_LEAST);
  const fold = (/** @type {number} */ size) => {
    const together = (/** @type {[number, number][]} */ runs) => Array.from({ length: Math.ceil(runs.length / size) }, (_, i) =>
      /** @type {[number, number]} */ ([runs[i * size][0], runs[Math.min((i + 1) * size, runs.length) - 1][1]]));
    const [from, to] = [Math.max(0, open - STRIP_NEAR), open + 1 + STRIP_NEAR];
    const layers = [];
    for (let i = folded[open][0]; i <= folded[open][1]; i++) layers.push(single(i));
    return [...together(folded.slice(0, from)), ...folded.slice(from, open), ...layers, ...folded.slice(open + 1, to),
      ...together(folded.slice(to))];
  };
  let size = 1;
  while (fold(size).length > most && size < folded.length) size++;
  return stripItems(nodes, fold(size), blocks);
}

/**
 * Columns by depth, so that branches run side by side; rows by what is free: a branch keeps its row, a merge goes back
 * to the first, and a line that skips layers has a row of its own there.
 * @param {StripItem[]} items @returns {StripLayout}
 */
function stripLayout(items) {
  /** @type {number[]} */
  const column = [];
  /** @type {number[]} */
  const row = [];
  /** @type {StripLine[]} */
  const lines = [];
  /** @type {Set<number>[]} */
  const taken = [];
  const free = (/** @type {number} */ r, /** @type {number} */ from, /** @type {number} */ to) => {
    for (let c = from; c <= to; c++) if (taken[r]?.has(c)) return false;
    return true;
  };
  const take = (/** @type {number[]} */ wishes, /** @type {number} */ from, /** @type {number} */ to) => {
    let r = wishes.find((wish) => free(wish, from, to)) ?? 0;
    while (!free(r, from, to)) r++;
    taken[r] ??= new Set();
    for (let c = from; c <= to; c++) taken[r].add(c);
    return r;
  };
  items.forEach(({ from }, i) => {
    const before = from.length ? from.map((parent) => column[parent]) : [i ? column[i - 1] : -1];
    column[i] = Math.max(...before) + 1;
    row[i] = take(from.map((parent) => row[parent]).sort((a, b) => a - b), column[i], column[i]);
    for (const parent of from) {
      const gap = column[i] - column[parent] > 1;
      lines.push({ from: parent, to: i, row: gap ? take([row[parent], row[i]], column[parent] + 1, column[i] - 1) : row[parent] });
    }
  });
  return { columns: column.reduce((most, c) => Math.max(most, c + 1), 1), rows: Math.max(1, taken.length), column, row, lines };
}

/** The item nearest to a point, -1 where none is near. @param {StripLayout} layout @param {number} column @param {number} row fractions of
 * columns and rows @returns {number} */
function stripAt(layout, column, row) {
  let [best, least] = [-1, 3];
  layout.column.forEach((c, i) => {
    const distance = Math.abs(c + 0.5 - column) + 2 * Math.abs(layout.row[i] + 0.5 - row); // a row is taller than a column is wide
    if (distance < least) [best, least] = [i, distance];
  });
  return best;
}

/**
 * Where a key leads: left and right along the lines, staying on a branch; up and down to the nearest branch.
 * @param {string} key @param {number} at @param {StripItem[]} items @param {StripLayout} layout
 * @returns {number | null} null: not a key of the strip
 */
function stripMove(key, at, items, layout) {
  const { column, row } = layout;
  const nearest = (/** @type {number[]} */ found, /** @type {(i: number) => number} */ distance) =>
    found.reduce((best, i) => (best < 0 || distance(i) < distance(best) ? i : best), -1);
  const branch = (/** @type {number} */ i) => Math.abs(row[i] - row[at]) + Math.abs(column[i] - column[at]) / 1000;
  const vertical = (/** @type {number} */ sign) => {
    const found = items.map((_, i) => i).filter((i) => (row[i] - row[at]) * sign > 0);
    const to = nearest(found, (i) => Math.abs(column[i] - column[at]) + Math.abs(row[i] - row[at]) / 1000);
    return to < 0 ? at : to;
  };
  switch (key) {
    case "ArrowLeft": {
      const to = nearest(items[at].from, branch);
      return to < 0 ? Math.max(0, at - 1) : to;
    }
    case "ArrowRight": {
      const to = nearest(items.map((_, i) => i).filter((i) => items[i].from.includes(at)), branch);
      return to < 0 ? Math.min(items.length - 1, at + 1) : to;
    }
    case "ArrowUp": return vertical(-1);
    case "ArrowDown": return vertical(1);
    case "Home": return 0;
    case "End": return items.length - 1;
    default: return null;
  }
}
