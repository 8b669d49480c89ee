// @ts-check
// The whole network as a strip above the panels: one list box whose options are layers, or blocks folded into one.

const STRIP_TALL = 40; // CSS pixels of all rows together, unless there are many
const ROW_LEAST = 9;

/** @param {View} view @returns {Panel} */
function createNetworkPanel(view) {
  const { model, signal, t } = view;
  const words = makeLine("strip-words");
  const list = make("div", { class: "cnnvis-strip", role: "listbox", tabindex: "0", "aria-orientation": "horizontal" });
  const name = make("span", { class: "cnnvis-strip-name", "aria-hidden": "true" });
  const element = make("section", { class: "cnnvis-panel-network" }, words, list, makeBox("strip-names", name));
  element.hidden = true;
  const lines = makeSvg("path");
  const drawing = makeSvg("svg", { "aria-hidden": "true" }, lines);

  /** @type {StripItem[]} */
  let items = [];
  /** @type {StripLayout} */
  let layout = { columns: 1, rows: 1, column: [], row: [], lines: [] };
  let pitch = STRIP_MOST;
  let tall = STRIP_TALL;
  let focus = 0; // the layer whose block is open
  let cursor = 0; // the layer that the keys are at, or the first of the folded block that they are at
  let pointed = -1; // the item under the pointer
  /** @type {HTMLElement[]} */
  let options = [];
  const [newLayer, newFold, newWords, newMarks, newPointed] = createMemos(5);

  const room = () => roomOf(list)[0];
  const itemOf = (/** @type {number} */ node) => items.findIndex(({ last }) => last >= node);
  const nodeOf = (/** @type {StripItem} */ { first, last }) => (first === last ? view.data.graph?.nodes[first] : undefined);

  const point = (/** @type {number} */ at) => { pointed = at; view.schedule(); };
  listen(list, signal, {
    pointermove: (event) => point(locate(event)),
    pointerleave: () => point(-1),
    click: (event) => activate(locate(event)),
    focus: view.schedule,
    blur: view.schedule,
  });
  listenForKeys(list, signal, (key) => {
    if (!items.length) return false;
    const at = itemOf(cursor);
    const to = stripMove(key, at, items, layout);
    if (to === null && key !== "Enter" && key !== " ") return false;
    if (to === null) activate(at);
    else cursor = items[to].first;
    point(-1);
    return true;
  });

  /** @param {MouseEvent} event */
  function locate(event) {
    const box = list.getBoundingClientRect();
    return stripAt(layout, (event.clientX - box.left) / pitch, ((event.clientY - box.top) / tall) * layout.rows);
  }

  /** Choose a layer; open a folded block. @param {number} at */
  function activate(at) {
    if (!items[at]) return;
    const node = nodeOf(items[at]);
    cursor = items[at].first;
    if (!node) focus = cursor;
    else if (node.maps && node.path !== model.get("layer")?.path) model.send({ type: "layer", path: node.path });
    view.schedule();
  }

  /** What is said of an item. @param {StripItem} item @param {Graph} graph */
  function describe(item, graph) {
    const node = nodeOf(item);
    if (!node) return t("stage.network.folded", { name: item.label, count: item.last - item.first + 1 });
    const kind = model.get("texts")?.[`explorer.kind.${node.kind}`];
    const parts = [kind && node.kind !== "other" ? t("stage.network.kind", { kind, type: node.type }) : node.type,
      node.shape.join(" × ")];
    if (node.parameters) parts.push(t("stage.network.parameters", { count: node.parameters.toLocaleString() }));
    const { field } = node;
    if (field === "all") parts.push(t("stage.network.field_all"));
    else if (field) parts.push(t("stage.network.field", { height: field.y.size, width: field.x.size }));
    if (!node.maps) parts.push(t("stage.network.no_maps"));
    return [node.path, ...parts].join(" · ");
  }

  /** @param {Graph} graph */
  function build(graph) {
    tall = Math.max(STRIP_TALL, layout.rows * ROW_LEAST);
    pitch = Math.min(STRIP_MOST, room() / layout.columns);
    const row = tall / layout.rows;
    list.style.height = `${tall}px`;
    options = items.map((item, i) => {
      const node = nodeOf(item);
      const option = make("div", { class: "cnnvis-layer", role: "option", id: `${view.root.id}-layer-${i}` });
      option.dataset.kind = node ? node.kind : "folded";
      if (node) option.dataset.path = node.path;
      if (node && !node.maps) option.setAttribute("aria-disabled", "true");
      Object.assign(option.style, {
        left: `${layout.column[i] * pitch}px`, top: `${layout.row[i] * row}px`, width: `${pitch}px`, height: `${row}px`,
      });
      return option;
    });
    const x = (/** @type {number} */ i) => (layout.column[i] + 0.5) * pitch;
    const y = (/** @type {number} */ r) => (r + 0.5) * row;
    lines.setAttribute("d", layout.lines.map(({ from, to, row: r }) =>
      `M${x(from)} ${y(layout.row[from])}L${x(from) + pitch * 0.6} ${y(r)}L${x(to) - pitch * 0.6} ${y(r)}L${x(to)} ${y(layout.row[to])}`).join(""));
    list.replaceChildren(drawing, ...options);
  }

  return {
    element,
    paint() {
      const { graph } = view.data;
      if (graph) show(element, true);
      element.classList.toggle("cnnvis-unseen", !graph); // between two networks it keeps its place
      if (!graph || !room()) return;
      const current = graph.places.get(model.get("layer")?.path) ?? -1;
      if (newLayer(graph, current)) focus = cursor = Math.max(0, current);
      const fresh = newFold(graph, focus, room());
      if (fresh) {
        items = foldStrip(graph.nodes, focus, room());
        layout = stripLayout(items);
        pointed = -1;
        build(graph);
      }
      if (newWords(model.get("texts"), model.get("network")) || fresh) {
        put(list, { "aria-label": t("stage.network.label", { network: model.get("network") ?? "" }) });
        options.forEach((option, i) => put(option, { "aria-label": describe(items[i], graph) }));
      }
      const [here, at] = [current < 0 ? -1 : itemOf(current), itemOf(cursor)];
      if (newMarks(here, at) || fresh) {
        options.forEach((option, i) => {
          put(option, { "aria-selected": i === here });
          option.classList.toggle("cnnvis-cursor", i === at);
        });
        put(list, { "aria-activedescendant": options[at]?.id ?? "" });
      }
      if (newPointed(pointed) || fresh) options.forEach((option, i) => option.classList.toggle("cnnvis-pointed", i === pointed));
      const said = pointed >= 0 ? pointed : document.activeElement === list ? at : here;
      setText(words, items[said] ? describe(items[said], graph) : t("stage.network.label", { network: model.get("network") ?? "" }));
      setText(name, here < 0 ? "" : graph.nodes[current].path);
      const place = here < 0 ? 0 : (layout.column[here] + 0.5) * pitch;
      name.style.left = `${place}px`;
      name.style.transform = `translateX(${(-100 * place) / room()}%)`; // at the ends it stays within the strip
    },
  };
}
