// @ts-check
// What the panels show of one another: the position under the pointer, in every map; what it sees, on the photograph.
// Worked out once a frame, before the panels paint.

/**
 * @typedef {{panel: string, y: number, x: number, unit: number}} Hover a point of a panel's picture in 0..1
 * @typedef {{unit: number, y: number, x: number}} Cell a position of the full map
 *
 * @typedef {object} Linked
 * @property {Span | null} cells what is marked in every map
 * @property {Box | null} box what is marked on the photograph
 * @property {string} words that say it
 * @property {Cell | null} at the one position that is meant, where it is one
 */

/** @type {Linked} */
const NOTHING_LINKED = { cells: null, box: null, words: "", at: null };

/** @param {View} view */
function createLinks(view) {
  const { model, t } = view;
  let boxWanted = false;
  let [named, left] = ["", false]; // the position that an address names, and whether the person has gone on from it
  /** @type {{cell: Cell, keys: unknown[]} | null} whose effective field is wanted, and on what it was */
  let effectWanted = null;
  /** @type {[number, number]} */
  let strongest = [0, 0];
  const newMap = createMemo();

  const field = () => {
    const { graph } = view.data;
    return graph?.nodes[graph.places.get(model.get("layer")?.path) ?? -1]?.field ?? null;
  };
  const surroundings = () => [model.get("network"), model.get("layer")?.path, model.get("photo")];

  /** The position that an address names, as long as it is marked. @returns {number[] | null} */
  function marked() {
    const position = model.get("position") ?? [];
    const name = JSON.stringify([model.get("network"), model.get("layer")?.path, ...position]);
    if (name !== named) [named, left] = [name, false];
    return position.length && !left ? position : null;
  }

  /** The position pointed at, else the marked one, else where the selected unit answers most.
   * @param {Maps} maps @param {Hover | null} hover @returns {Cell} */
  function cellOf(maps, hover) {
    const mark = hover ? null : marked();
    if (mark) return { unit: view.unit, y: mark[0], x: mark[1] };
    let [y, x] = hover ? [hover.y, hover.x] : strongest;
    const { detail } = view.data;
    if (!hover && newMap(maps, detail, view.unit)) {
      const { h, w, values } = fullMap(maps, detail, view.unit);
      strongest = [y, x] = strongestPlace(values, h, w, maps.signed);
    }
    return { unit: hover?.panel === "maps" ? hover.unit : view.unit, y: Math.floor(y * maps.fullH), x: Math.floor(x * maps.fullW) };
  }

  /** @param {Box | null} box @param {number[]} input */
  function boxWords(box, [height, width]) {
    if (!box) return t("stage.field.padding");
    const whole = box.bottom - box.top === height - 1 && box.right - box.left === width - 1;
    const beyond = Object.values(box.beyond).some(Boolean);
    const words = whole ? t("stage.field.all") : t("stage.field.box", { ...box, height, width });
    return beyond && !whole ? `${words} ${t("stage.field.beyond")}` : words;
  }

  /** @returns {Linked} */
  function now() {
    const { maps, graph } = view.data;
    const hover = view.hover;
    if (!maps || (hover ? hover.unit >= maps.c : !marked() && !boxWanted)) return NOTHING_LINKED;
    if (hover?.panel === "photo") {
      if (!graph || !field()) return NOTHING_LINKED;
      const [y, x] = [Math.floor(hover.y * graph.input[0]), Math.floor(hover.x * graph.input[1])];
      const cells = cellsSeeing(field(), y, x, maps.fullH, maps.fullW);
      const all = cells && cells.bottom - cells.top === maps.fullH - 1 && cells.right - cells.left === maps.fullW - 1;
      const words = !cells ? "none" : all ? "all" : "cells";
      return { cells, box: null, words: t(`stage.field.seen_by_${words}`, { ...cells }), at: null };
    }
    const at = cellOf(maps, hover);
    const cells = { top: at.y, bottom: at.y, left: at.x, right: at.x };
    if (!graph || !field()) return { ...NOTHING_LINKED, cells, at };
    const box = fieldBox(field(), at.y, at.x, graph.input);
    return { cells, box, words: t("stage.field.cell", { ...at, sees: boxWords(box, graph.input) }), at };
  }

  const links = {
    now,
    /** The marked position is marked no more. @returns {boolean} whether one was */
    unmark() {
      const there = !!marked();
      left = true;
      view.schedule();
      return there;
    },
    /** A link leads there once more. @param {Place} place */
    markAgain({ y, x }) {
      if (String(model.get("position")) === String([y, x])) left = false;
      view.schedule();
    },
    /** Whether the field of this layer can be drawn. */
    known: () => !!field() && hasPanel(view, "photo"),
    boxWanted: () => boxWanted,
    effectWanted: () => effectWanted?.cell ?? null,
    toggleBox() {
      boxWanted = !boxWanted && links.known();
      view.schedule();
    },
    /** Ask for the effective field of the position pointed at, or of the strongest; the same again takes it away. */
    toggleEffect() {
      const { maps } = view.data;
      if (!maps || !hasPanel(view, "photo")) return;
      const pointed = view.hover && view.hover.panel !== "photo";
      const cell = cellOf(maps, pointed ? view.hover : null);
      const same = effectWanted && (!pointed || JSON.stringify(cell) === JSON.stringify(effectWanted.cell));
      effectWanted = same ? null : { cell, keys: surroundings() };
      if (effectWanted) model.send({ type: "field", ...cell });
      view.schedule();
    },
    /** The effective field that is wanted, once it has come. @returns {Effect | null} */
    effect() {
      const { effect } = view.data;
      const keys = surroundings();
      if (effectWanted?.keys.some((key, i) => key !== keys[i])) effectWanted = null;
      const wanted = effectWanted?.cell;
      const arrived = wanted && effect && effect.of.layer === keys[1] && effect.of.unit === wanted.unit &&
        effect.of.y === wanted.y && effect.of.x === wanted.x;
      if (wanted && !arrived && model.get("error")) effectWanted = null;
      return arrived ? effect : null;
    },
  };
  return links;
}
