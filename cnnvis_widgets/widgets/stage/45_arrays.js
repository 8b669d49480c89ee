// @ts-check
// Arrays come as messages of their own, not as state, because front ends save state with the notebook. Through
// `withArrays` a view reads them as if they were traits all the same.

/**
 * What has come for one model. Arrays of a frame count from the moment at which that frame's other traits are there,
 * so that none is read with the shape of another.
 * @typedef {object} Arrays
 * @property {Map<string, DataView>} here
 * @property {{frame: number, names: string[], views: DataView[]}[]} early
 * @property {Set<() => void>} watchers called when more has come
 */

/** By the model's ``identity``: hosts may share this module between models. @type {Map<string, Arrays>} */
const arraysOf = new Map();

/** @param {Model} model @returns {Arrays} */
function findArrays(model) {
  const key = model.get("identity") ?? "";
  const found = arraysOf.get(key) ?? { here: new Map(), early: [], watchers: new Set() };
  arraysOf.set(key, found);
  return found;
}

/**
 * Once a model: take what comes, and ask for what came before this page knew of it.
 * @param {Model} model @param {AbortSignal} [signal] the end of the model, and of its arrays
 */
function receiveArrays(model, signal) {
  const arrays = findArrays(model);
  signal?.addEventListener("abort", () => arraysOf.delete(model.get("identity") ?? ""));
  /** @type {Map<string, DataView[]>} what has come of a set of arrays that is too large for one message */
  let pieces = new Map();
  const settle = () => {
    while (arrays.early.length && arrays.early[0].frame <= model.get("frame")) {
      const { names, views } = /** @type {Arrays["early"][0]} */ (arrays.early.shift());
      names.forEach((name, i) => arrays.here.set(name, views[i]));
    }
    arrays.watchers.forEach((watcher) => watcher());
  };
  model.on("msg:custom", (/** @type {any} */ content, /** @type {any} */ buffers) => {
    if (content?.type !== "arrays") return;
    const { frame, names, part = 0, parts = 1 } = content;
    if (!part) pieces = new Map();
    names.forEach((/** @type {string} */ name, /** @type {number} */ i) =>
      pieces.set(name, [...(pieces.get(name) ?? []), viewOf(buffers[i])]));
    if (part < parts - 1) return; // they count together
    arrays.early.push({ frame, names: [...pieces.keys()], views: [...pieces.values()].map(joined) });
    settle();
  });
  model.on("change:frame", settle);
  if (model.get("frame") > 0) model.send({ type: "arrays" });
}

/** Whether a model has a view still. @param {Model} model */
function isWatched(model) {
  return !!arraysOf.get(model.get("identity") ?? "")?.watchers.size;
}

/** Buffers are DataViews in JupyterLab, ArrayBuffers elsewhere. @param {ArrayBuffer | ArrayBufferView} buffer */
function viewOf(buffer) {
  if (!ArrayBuffer.isView(buffer)) return new DataView(buffer);
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** An array that came in pieces. @param {DataView[]} pieces @returns {DataView} */
function joined(pieces) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(pieces.reduce((size, piece) => size + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(bytesOf(piece), at);
    at += piece.byteLength;
  }
  return new DataView(whole.buffer);
}

/** A model with its arrays among the traits. @param {Model} model @param {AbortSignal} signal @param {() => void} onMore @returns {Model} */
function withArrays(model, signal, onMore) {
  const { here, watchers } = findArrays(model);
  watchers.add(onMore);
  signal.addEventListener("abort", () => watchers.delete(onMore));
  return {
    get: (name) => here.get(name) ?? model.get(name),
    set: (name, value) => model.set(name, value),
    on: (event, handler) => model.on(event, handler),
    off: (event, handler) => model.off(event, handler),
    save_changes: () => model.save_changes(),
    send: (content, callbacks, buffers) => model.send(content, callbacks, buffers),
  };
}

/**
 * The picture that stands in a saved notebook for a view whose kernel is gone.
 * @param {Model} model @param {AbortSignal} signal
 * @returns {{element: HTMLElement, paint: (words: string) => boolean}} paint tells whether it is shown
 */
function createStill(model, signal) {
  const element = make("figure", { class: "cnnvis-still" });
  /** @type {unknown} */
  let shown = null;
  let address = "";
  const release = () => URL.revokeObjectURL(address);
  signal.addEventListener("abort", release);
  return {
    element,
    paint(words) {
      const content = model.get("still");
      const wanted = !bytesOf(model.get("colormap_tables")).length && bytesOf(content).length > 0;
      show(element, wanted);
      if (wanted && content !== shown) {
        shown = content;
        release();
        address = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytesOf(content))], { type: "image/png" }));
        element.replaceChildren(make("img", { src: address, alt: words }), make("figcaption", {}, words));
      }
      return wanted;
    },
  };
}
