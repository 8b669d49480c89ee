// @ts-check
// What stands in for the kernel in a page: a model with the stage's traits, and answers made from what is inside.

/** @typedef {{deflate: string}} Block bytes, deflated, in base64 */
/**
 * @typedef {object} PageHeat @property {string} method @property {string} layer @property {number[]} shape
 * @property {boolean} signed @property {number} most @property {Record<string, string>} values of its sentences
 * @property {string[]} remarks keys @property {string} message key or empty @property {Block} block
 *
 * @typedef {object} PageLayer
 * @property {{path: string, kind: string, shape: number[]}} layer
 * @property {{shape: number[], scale: number, coded: boolean, block: Block}} maps
 * @property {Block} stats @property {number} strongest the unit to begin with
 * @property {Record<string, Block>} details units in full where the maps are small
 * @property {PageHeat[]} heats @property {{from?: string, classes?: number[], scale?: number, block?: Block}} weights
 *
 * @typedef {object} PageData
 * @property {Record<string, any>} traits @property {Record<string, Block>} arrays
 * @property {Record<string, Record<string, string>>} texts by language
 * @property {{index: number, name: string, probability: number}} answer of the network
 * @property {Record<string, string>} languages their own names by code @property {string[]} methods all there are
 * @property {string} method @property {string} layer the first to show @property {string} image @property {string} version
 * @property {PageLayer[]} layers @property {Prediction[]} classes most likely first @property {number} target of all heatmaps
 * @property {PageHeat[]} heats that belong to no layer @property {any} told numbers of what is inside
 */

/** Bytes from their text. @param {Block | undefined} block @returns {Promise<DataView>} */
async function unpack(block) {
  if (!block) return new DataView(new ArrayBuffer(0));
  const bytes = Uint8Array.from(atob(block.deflate), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/**
 * A model as anywidget hands one to a view. `receive` is the kernel's way: all values first, then the events.
 * @param {Record<string, any>} traits @param {(content: any) => void} answer to what the view sends
 */
function createPageModel(traits, answer) {
  /** @type {Map<string, Set<() => void>>} */
  const handlers = new Map();
  const tell = (/** @type {string} */ name) => [...(handlers.get(`change:${name}`) ?? [])].forEach((handler) => handler());
  return {
    get: (/** @type {string} */ name) => traits[name],
    set(/** @type {string} */ name, /** @type {any} */ value) {
      if (Object.is(traits[name], value)) return;
      traits[name] = value;
      tell(name);
    },
    on(/** @type {string} */ event, /** @type {() => void} */ handler) {
      handlers.set(event, (handlers.get(event) ?? new Set()).add(handler));
    },
    off: (/** @type {string} */ event, /** @type {() => void} */ handler) => { handlers.get(event)?.delete(handler); },
    save_changes() {},
    send: (/** @type {any} */ content) => answer(content),
    receive(/** @type {Record<string, any>} */ changes) {
      const news = Object.keys(changes).filter((name) => !Object.is(traits[name], changes[name]));
      Object.assign(traits, changes);
      news.forEach(tell);
    },
  };
}

/**
 * @param {PageData} page @param {Record<string, DataView>} arrays those that every layer shares
 */
function createPageKernel(page, arrays) {
  const places = new Map(page.layers.map((entry, place) => [entry.layer.path, place]));
  const rank = new Map(page.classes.map(({ index }, place) => [index, place]));
  /** @type {Map<string, Promise<Record<string, DataView>>>} */
  const unpacked = new Map();
  let { layer: wanted, method } = page;
  let current = page.layers[places.get(wanted) ?? 0];
  /** @type {Record<string, DataView>} */
  let own = {}; // the current layer's arrays
  /** @type {DataView[]} */
  let commonHeats = [];
  /** @type {{heat: PageHeat, words: {caption: string, message: string}} | null} */
  let shownHeat = null;
  /** @type {PageHeat | null} */
  let pinnedHeat = null;
  /** @type {Set<() => void>} */
  const watchers = new Set();

  const model = createPageModel({
    ...page.traits, ...arrays, texts: page.texts[page.traits.language], frame: 0, field_map: null, convolution: null,
    convolution_info: {}, error: "", busy: "", status: "", facts: {}, live: {}, picture_progress: {},
  }, answer);
  const t = (/** @type {string} */ key, /** @type {Record<string, unknown>} */ values = {}) => sentence(model.get("texts"), key, values);
  const notice = (/** @type {string} */ words) => model.receive({ error: words });
  const nextFrame = () => model.get("frame") + 1;

  /** @param {PageLayer} entry @returns {Promise<Record<string, DataView>>} */
  function arraysOfLayer(entry) {
    const { path } = entry.layer;
    if (!unpacked.has(path)) {
      unpacked.set(path, (async () => {
        const [maps, stats, weights, ...heats] = await Promise.all(
          [entry.maps.block, entry.stats, entry.weights.block, ...entry.heats.map(({ block }) => block)].map(unpack));
        return { maps, stats, weights, ...Object.fromEntries(heats.map((heat, i) => [`heat ${i}`, heat])) };
      })());
    }
    return /** @type {Promise<Record<string, DataView>>} */ (unpacked.get(path));
  }

  // Heatmaps ------------------------------------------------------------------------------------------------

  const top = () => page.answer.index;
  const chosen = () => (model.get("target_choice") > 0 ? model.get("target_choice") - 1 : top());
  const whole = (entry = current) => entry.maps.shape[1] === entry.layer.shape[0] && entry.maps.shape[2] === entry.layer.shape[1];

  /** The heatmap kept for a method at a layer. @param {PageLayer} entry @param {string} name
   * @returns {{heat: PageHeat, view: DataView} | null} */
  function kept(entry, name) {
    const place = entry.heats.findIndex((heat) => heat.method === name);
    if (place >= 0) return { heat: entry.heats[place], view: own[`heat ${place}`] };
    const common = page.heats.findIndex((heat) => heat.method === name);
    return common >= 0 ? { heat: page.heats[common], view: commonHeats[common] } : null;
  }

  /** Whether a class's heatmap can be made at a layer from what is inside. @param {number} target @param {PageLayer} [entry] */
  function canExplain(target, entry = current) {
    if (target === page.target) return true;
    const { from, classes = [] } = entry.weights;
    return method === "grad-cam" && !!from && whole(entry) && (from === "head" ? rank.has(target) : classes.includes(target));
  }

  /** @param {DataView} view @param {PageHeat} heat @returns {Float32Array} */
  function heatValues(view, { signed }) {
    return Float32Array.from(bytesOf(view), (byte) => (signed ? Math.max(-1, (byte - 128) / 127) : byte / 255));
  }

  /** What belongs to the class and the method that are wanted. @returns {Record<string, any>} */
  function explained() {
    if (!page.traits.panels.includes("photo") || !page.method) return {}; // a step may hide it for a while
    let target = chosen();
    /** @type {PageHeat | null} */
    let heat = null;
    /** @type {Float32Array | null} */
    let values = null;
    if (target !== page.target && canExplain(target)) {
      const made = makeHeat(target);
      [heat, values] = [made.heat, made.values];
    } else {
      const found = kept(current, method) ?? kept(current, "grad-cam");
      if (found) [heat, values, method, target] = [found.heat, heatValues(found.view, found.heat), found.heat.method, page.target];
    }
    if (!heat || !values) return {};
    const weights = current.weights;
    const weighted = method === "grad-cam" && weights.from ? weights.from : "";
    shownHeat = { heat, words: wordsOf(heat) };
    return {
      heat: new DataView(values.buffer), heat_shape: heat.shape, heat_signed: heat.signed, heat_most: heat.most, heat_target: target,
      heat_caption: shownHeat.words.caption, heat_message: shownHeat.words.message, method,
      weights_from: weighted, classes: listed(target), facts: facts(heat),
      head_weights: weights.from === "head" ? own.weights : null, head_scale: weights.scale ?? 1,
      slopes: weights.from === "slopes" ? own.weights : null, slopes_scale: weights.scale ?? 1, slopes_classes: weights.classes ?? [],
    };
  }

  /** Grad-CAM of another class, from maps and channel weights. @param {number} target */
  function makeHeat(target) {
    const maps = mapsHere();
    const { from, classes = [], scale = 1 } = current.weights;
    const row = from === "head" ? target : classes.indexOf(target);
    const made = classHeat(maps, halvesOf(own.weights, scale).subarray(row * maps.c, (row + 1) * maps.c));
    const one = page.classes[rank.get(target) ?? 0];
    const values = {
      method: "grad-cam", network: model.get("network"), layer: current.layer.path, name: one.name, score: one.logit.toFixed(2),
    };
    const message = !made.finite ? "stage.heat.not_finite" : made.doubtful ? "page.doubtful" : made.most > 0 ? "" : "stage.heat.nothing";
    /** @type {PageHeat} */
    const heat = { method: "grad-cam", layer: current.layer.path, shape: [made.h, made.w], signed: false, most: made.most, values,
      remarks: [], message, block: { deflate: "" } };
    return { heat, values: made.values };
  }

  /** @param {PageHeat} heat */
  function wordsOf(heat) {
    return {
      caption: [t("stage.heat.caption", heat.values), ...heat.remarks.map((key) => t(key, heat.values))].join(". "),
      message: heat.message && t(heat.message, heat.values),
    };
  }

  /** The top classes, and the one shown. @param {number} target */
  function listed(target) {
    const first = page.classes.slice(0, 5);
    const other = page.classes[rank.get(target) ?? 0];
    return first.includes(other) ? first : [...first, other];
  }

  /** @param {PageHeat} heat */
  function facts(heat) {
    return { name: page.answer.name, share: formatShare(page.answer.probability), target: heat.values.name, method: heat.method, layer: heat.layer };
  }

  // Layers --------------------------------------------------------------------------------------------------

  function layerTraits() {
    const { layer, maps } = current;
    return {
      layer, maps: own.maps, maps_shape: maps.shape, maps_scale: maps.scale, maps_coded: maps.coded, maps_stats: own.stats,
      detail_map: null, detail_shape: [0, 0], detail_unit: -1,
    };
  }

  function mapsHere() {
    const traits = /** @type {any} */ (layerTraits());
    return /** @type {Maps} */ (readMaps(/** @type {any} */ ({ get: (/** @type {string} */ name) => traits[name] })));
  }

  /** @param {string} path @param {number} [unit] */
  async function showLayer(path, unit) {
    const entry = page.layers[places.get(path) ?? -1];
    if (!entry) return notice(t("page.no_layer", { layer: path }));
    wanted = path;
    const found = await arraysOfLayer(entry);
    if (wanted !== path) return; // a newer wish
    [current, own] = [entry, found];
    const before = model.get("target_choice");
    if (method === "grad-cam" && !canExplain(chosen(), entry)) model.set("target_choice", page.target === top() ? 0 : page.target + 1);
    if (before !== model.get("target_choice")) notice(t("page.small_layer", { layer: path, name: page.classes[rank.get(page.target) ?? 0].name }));
    const units = entry.maps.shape[0];
    const next = unit === undefined ? entry.strongest : clamp(unit, 0, units - 1);
    model.receive({ ...layerTraits(), ...explained(), unit: next, position: [], frame: nextFrame() });
    watchers.forEach((watcher) => watcher());
  }

  /** To a neighbour in the order of the network, counted from where the last wish leads. @param {number} by */
  function step(by) {
    const graph = model.get("graph").nodes ?? [];
    const here = graph.findIndex((/** @type {any[]} */ row) => row[0] === wanted);
    const order = page.layers.map(({ layer }) => graph.findIndex((/** @type {any[]} */ row) => row[0] === layer.path));
    const beyond = page.layers.filter((_, i) => (order[i] - here) * by > 0);
    const next = by > 0 ? beyond[0] : beyond[beyond.length - 1];
    if (next) showLayer(next.layer.path);
  }

  /** One unit's map in full, where it is inside. @param {number} unit */
  async function detail(unit) {
    const [entry, arrays] = [current, own];
    const packed = entry.details[String(unit)];
    if (!packed) return;
    const codes = bytesOf(await unpack(packed));
    if (entry !== current) return;
    const stats = floatsOf(arrays.stats);
    const values = decodeMaps(codes, stats.slice(3 * unit, 3 * unit + 3), isSigned(stats));
    const { shape } = entry.layer;
    model.receive({ detail_map: new DataView(values.buffer), detail_shape: shape.slice(0, 2), detail_unit: unit, frame: nextFrame() });
  }

  /** Where a walkthrough leads; what it leaves out stays as it is. @param {Place} place */
  async function go({ layer, unit, y, x, target, method: name }) {
    if (name !== null && kept(current, name)) method = name;
    if (layer !== null && (layer !== wanted || unit !== null)) await showLayer(layer, unit ?? undefined);
    else if (unit !== null) model.set("unit", unit);
    if (y !== null) model.receive({ position: [y, x], frame: nextFrame() });
    if (target !== null) model.set("target_choice", target + 1);
    if (name !== null) kernel.setMethod(name);
  }

  function showStep() {
    const step = /** @type {StoryStep | undefined} */ (model.get("story")?.[storyStep(/** @type {any} */ (model))]);
    if (!step) return;
    const panels = page.traits.panels.filter((/** @type {string} */ panel) => !step.hide.includes(panel));
    if (panels.join() !== model.get("panels").join()) model.receive({ panels });
    watchers.forEach((watcher) => watcher());
    if (step.show) go(step.show);
  }

  // Comparing -----------------------------------------------------------------------------------------------

  /** @param {number} unit */
  function pin(unit) {
    const maps = mapsHere();
    const full = model.get("detail_unit") === unit;
    const [h, w] = full ? model.get("detail_shape") : [maps.h, maps.w];
    const plane = full ? floatsOf(model.get("detail_map")) : maps.values.slice(unit * h * w, (unit + 1) * h * w);
    pinnedHeat = shownHeat?.heat ?? null;
    model.receive({
      pinned: {
        network: model.get("network"), layer: current.layer.path, unit, photo_name: model.get("photo_name"),
        map_shape: [h, w], map_range: [maps.stats[3 * unit], maps.stats[3 * unit + 1]], map_signed: maps.signed,
        heat_shape: model.get("heat_shape") ?? [0, 0], heat_signed: !!model.get("heat_signed"),
        heat_caption: shownHeat?.words.caption ?? "", heat_message: shownHeat?.words.message ?? "",
      },
      pinned_photo: model.get("photo"), pinned_heat: model.get("heat") ?? null, pinned_map: new DataView(plane.buffer), frame: nextFrame(),
    });
  }

  const nothingPinned = { pinned: {}, pinned_photo: null, pinned_heat: null, pinned_map: null, difference: false };

  /** What the view sends, as the kernel hears it. @param {any} content */
  function answer(content) {
    switch (content.type) {
      case "layer": return void showLayer(content.path);
      case "go": return void go(content.place);
      case "layer-step": return step(content.by);
      case "class": return page.classes[content.rank] && model.set("target_choice", page.classes[content.rank].index + 1);
      case "detail": return void detail(content.unit);
      case "pin": return pin(content.unit);
      case "unpin": return model.receive({ ...nothingPinned, frame: nextFrame() });
      case "field": case "convolution": case "maximize": case "image": case "camera": return notice(t("stage.absent"));
      default:
    }
  }

  model.on("change:target_choice", () => {
    const target = chosen();
    if (!canExplain(target)) {
      const only = page.classes[rank.get(page.target) ?? 0].name;
      const words = method === "grad-cam" ? t("page.small_layer", { layer: current.layer.path, name: only }) : t("page.one_class", { method, name: only });
      model.set("target_choice", page.target === top() ? 0 : page.target + 1);
      return notice(words);
    }
    model.receive({ ...explained(), frame: nextFrame() });
  });
  model.on("change:language", () => {
    const texts = page.texts[model.get("language")];
    if (!texts) return;
    model.receive({ texts, error: "" });
    if (shownHeat) {
      shownHeat.words = wordsOf(shownHeat.heat);
      model.receive({ heat_caption: shownHeat.words.caption, heat_message: shownHeat.words.message });
    }
    if (pinnedHeat) {
      const { caption, message } = wordsOf(pinnedHeat);
      model.receive({ pinned: { ...model.get("pinned"), heat_caption: caption, heat_message: message } });
    }
    model.receive({ frame: nextFrame() });
  });

  model.on("change:story_step", showStep);

  const kernel = {
    model, t, page, showLayer, canExplain,
    method: () => method,
    layer: () => current,
    /** Whether a method's heatmap is inside for the layer shown. @param {string} name */
    hasMethod: (name) => !!kept(current, name),
    /** @param {string} name */
    setMethod(name) {
      method = name;
      if (!canExplain(chosen())) model.set("target_choice", page.target === top() ? 0 : page.target + 1);
      model.receive({ ...explained(), frame: nextFrame() });
      watchers.forEach((watcher) => watcher());
    },
    /** Call when layer or method have changed. @param {() => void} watcher */
    onChange: (watcher) => watchers.add(watcher),
    async start() {
      commonHeats = await Promise.all(page.heats.map(({ block }) => unpack(block)));
      await showLayer(page.layer, page.traits.unit);
      showStep();
    },
    /** Unpack the other layers when there is nothing else to do, so that each is shown within a frame. */
    async prepare() {
      for (const entry of page.layers) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        await arraysOfLayer(entry);
      }
    },
    /** Controls that the step shown hides. @returns {string[]} */
    hidden: () => model.get("story")?.[storyStep(/** @type {any} */ (model))]?.hide ?? [],
  };
  return kernel;
}

/** Whether a layer has both signs. @param {Float32Array} stats (c, 3) */
function isSigned(stats) {
  let [below, above] = [false, false];
  for (let k = 0; k < stats.length; k += 3) [below, above] = [below || stats[k] < 0, above || stats[k + 1] > 0];
  return below && above;
}
