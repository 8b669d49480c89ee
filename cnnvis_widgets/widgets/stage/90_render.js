// @ts-check
// One view: builds the panels that the model names, paints all that changed once an animation frame, and never leaves
// an empty cell: what fails is said in its place.

const PANELS = {
  story: createStoryPanel,
  network: createNetworkPanel, photo: createPhotoPanel, maps: createMapsPanel, detail: createDetailPanel, filter: createFilterPanel,
};
const REPAINT = [
  "difference", "unit", "target_choice", "opacity", "colormap", "sort", "scale", "heat_scale", "texts", "language", "growing",
];
const TINT_AFTER = 100; // ms until a stale picture looks stale
const BUSY_AFTER = 1000; // ms until it is said in words
let viewCount = 0;

/** @param {Model} ownModel @param {HTMLElement} el @param {AbortSignal} signal */
function createView(ownModel, el, signal) {
  const model = withArrays(ownModel, signal, () => { frameIsNew = true; view.schedule(); });
  const t = (/** @type {string} */ key, /** @type {Record<string, unknown>} */ values = {}) =>
    sentence(model.get("texts"), key, values);
  /** @type {[Element, Record<string, string>][]} */
  const labels = [];
  const newTexts = createMemo();
  /** @type {View["label"]} */
  function label(element, words) {
    labels.push([element, words]);
    write(element, words);
    return element;
  }
  function write(/** @type {Element} */ element, /** @type {Record<string, string>} */ words) {
    for (const [name, key] of Object.entries(words)) {
      if (name === "text") setText(element, t(key));
      else if (model.get("texts")?.[key]) put(element, { [name]: t(key) });
    }
  }
  const sync = createSync(model, signal);
  const readData = createReader(model);
  let complaint = ""; // a sentence of the browser's own
  let frameIsNew = true;
  let scheduled = 0;
  let painted = 0;
  let tinted = false; // what is shown has been stale for a moment

  const root = make("div", { class: "cnnvis-stage", role: "group", "data-lm-suppress-shortcuts": "true", tabindex: "-1" });
  root.id = `cnnvis-stage-${++viewCount}-${Math.random().toString(36).slice(2, 8)}`; // a page may hold two bundles
  const errorText = make("span");
  const dismiss = makeButton(/** @type {any} */ ({ signal, label }), "stage.dismiss", () => view.dismiss());
  const errorBox = make("div", { class: "cnnvis-error", role: "alert" }, errorText, dismiss);
  const above = makeBox("above"); // the network strip, as wide as all panels
  const grid = makeBox("panels");
  const status = make("p", { class: "cnnvis-status", id: `${root.id}-says` });
  const announcer = createAnnouncer(signal);
  root.setAttribute("aria-describedby", status.id);
  const busyText = make("span");
  const busy = make("p", { class: "cnnvis-busy", role: "status" }, make("span", { class: "cnnvis-spinner", "aria-hidden": "true" }), busyText);
  const footer = makeBox("footer", status, busy);
  const still = createStill(model, signal);
  const dropHint = label(make("div", { class: "cnnvis-drop", "aria-hidden": "true" }), { text: "stage.photo.drop" });
  const below = makeBox("below");
  for (const part of [busy, errorBox, still.element, dropHint]) part.hidden = true;

  const view = /** @type {View} what else it has follows */ ({
    model, root, signal, t, sync, label,
    data: { maps: null, heat: null, detail: null, weights: null, effect: null, graph: null, frame: 0 },
    unit: 0,
    get path() { return model.get("layer")?.path ?? ""; },
    hover: null,
    linked: NOTHING_LINKED,
    point(panel, share, unit) {
      if (share) {
        view.hover = { panel, x: share[0], y: share[1], unit: unit ?? view.unit };
        view.links.unmark();
      }
      else if (view.hover?.panel === panel) view.hover = null;
      view.schedule();
    },
    schedule() {
      scheduled ||= requestAnimationFrame(paint);
    },
    select(unit) {
      sync.set("unit", unit);
      view.unit = unit; // the next key may come before the next frame
    },
    palette(signed) {
      const diverging = model.get("diverging_colormaps") ?? [];
      const chosen = model.get("colormap") ?? 0;
      const index = signed && !diverging.includes(chosen) ? model.get("signed_colormap") : chosen;
      return { table: tableOf(index), symmetric: signed || diverging.includes(chosen) };
    },
    complain(text) {
      complaint = text;
      view.schedule();
    },
    dismiss() {
      const there = !!(complaint || model.get("error"));
      complaint = "";
      if (model.get("error")) {
        model.set("error", "");
        model.save_changes();
      }
      view.schedule();
      return there;
    },
  });
  view.photo = createPicture(view, "photo");
  view.classes = createClasses(view);
  view.camera = createCamera(view);
  const description = createDescription(view);
  const help = (view.help = createHelp(view));
  const language = makeLanguageChoice(view);
  const pin = makePinButton(view);
  const tools = makeBox("tools", pin.element, help.opener, language.element);
  footer.append(tools);
  root.append(errorBox, still.element, above, grid, below, footer, announcer.element, dropHint, help.sheet);

  view.links = createLinks(view);

  /** @type {Map<number, Uint32Array>} */
  const tables = new Map();
  /** @type {unknown} */
  let tableBytes;
  function tableOf(/** @type {number} */ index) {
    const bytes = model.get("colormap_tables");
    if (bytes !== tableBytes) tables.clear();
    tableBytes = bytes;
    if (!tables.has(index)) tables.set(index, packTable(bytesOf(bytes), index));
    return /** @type {Uint32Array} */ (tables.get(index));
  }

  const compare = createComparePanel(view);
  const trust = createTrustPanel(view);
  const concepts = createConceptsPanel(view);
  const atlas = createAtlasPanel(view);
  below.append(atlas.element, concepts.element, compare.element, trust.element);
  tools.prepend(concepts.opener, trust.opener);

  const steps = createStepsPanel(view); // stands below the others while it is open
  /** @type {Panel[]} */
  let panels = [];
  /** @type {Record<string, Panel>} each is made once: a step of a walkthrough hides it for a while */
  const made = {};
  function build() {
    const focused = /** @type {HTMLElement | null} */ (root.contains(document.activeElement) ? document.activeElement : null);
    const names = (model.get("panels") ?? []).filter((/** @type {string} */ name) => name in PANELS);
    panels = names.map((/** @type {keyof typeof PANELS} */ name) => (made[name] ??= PANELS[name](view)));
    root.dataset.panels = names.join(" ");
    const inGrid = panels.filter((_, i) => names[i] !== "network" && names[i] !== "story");
    root.dataset.count = String(inGrid.length);
    above.replaceChildren(...panels.filter((panel) => !inGrid.includes(panel)).map((panel) => panel.element));
    grid.replaceChildren(...inGrid.map((panel) => panel.element));
    steps.attach(grid);
    panels.push(steps, compare, concepts, trust, atlas);
    for (const panel of panels) {
      const place = panel.element.querySelector(".cnnvis-view, .cnnvis-strip");
      if (place) sizes.observe(place);
    }
    // What is moved or hidden loses the focus, and keys are heard only within: those of a presenter must go on.
    if (focused && document.activeElement !== focused) (root.contains(focused) ? focused : root).focus({ preventScroll: true });
  }

  function paint() {
    scheduled = 0;
    if (signal.aborted) return;
    const explorer = root.closest(".cnnvis-explorer");
    if (explorer) put(explorer, { "data-lm-suppress-shortcuts": true });
    if (newTexts(model.get("texts"))) for (const [element, words] of labels) write(element, words);
    if (frameIsNew) {
      frameIsNew = false;
      try {
        view.data = readData();
      } catch (error) {
        view.complain(t("stage.broken", { error: String(error) }));
      }
    }
    view.unit = clamp(model.get("unit") ?? 0, 0, Math.max(0, (view.data.maps?.c ?? 1) - 1));
    view.linked = view.links.now();
    show(grid, !still.paint(t("stage.still")));
    for (const panel of grid.hidden ? [] : panels) {
      try {
        panel.paint();
      } catch (error) {
        console.error(error);
        panel.element.replaceChildren(makeAlert(t("stage.broken", { error: String(error) })));
      }
    }
    put(root, { "aria-label": t("stage.label", { network: model.get("network") ?? "" }) });
    setText(status, description());
    announcer.say(status.textContent ?? "");
    language.paint();
    help.paint();
    const wrong = complaint || model.get("error") || "";
    setText(errorText, wrong);
    show(errorBox, !!wrong);
    setText(busyText, model.get("busy") || "");
    pin.paint();
    show(pin.element, !!view.data.maps);
    root.classList.toggle("cnnvis-stale", tinted && !model.get("growing"));
    put(root, {
      "data-frame": view.data.frame, "data-unit": view.unit, "data-layer": view.path,
      "data-painted": ++painted, "data-target": view.classes.shown(),
    });
  }

  /** @type {ReturnType<typeof setTimeout>[]} */
  let timers = [];
  function busyChanged() {
    if (model.get("busy") && !timers.length) {
      timers = [
        setTimeout(() => { tinted = true; view.schedule(); }, TINT_AFTER),
        setTimeout(() => { show(busy, true); view.schedule(); }, BUSY_AFTER),
      ];
    } else if (!model.get("busy")) {
      timers.forEach(clearTimeout);
      timers = [];
      tinted = false;
      show(busy, false);
    }
    view.schedule();
  }

  const sizes = new ResizeObserver((entries) => {
    // What was taken out of the page and put back (another step of a walkthrough, a cell out of sight) is back at its
    // top, and no event says so.
    for (const { target } of entries) target.dispatchEvent(new Event("scroll"));
    view.schedule();
  });
  signal.addEventListener("abort", () => {
    sizes.disconnect();
    timers.forEach(clearTimeout);
    cancelAnimationFrame(scheduled);
    if (!isWatched(ownModel)) tellNobodyWatches(model);
  });

  /** @param {string} event @param {() => void} handler */
  const listen = (event, handler) => {
    model.on(event, handler);
    signal.addEventListener("abort", () => model.off(event, handler));
  };
  listen("change:frame", () => { frameIsNew = true; view.schedule(); });
  for (const name of REPAINT) listen(`change:${name}`, () => { sync.changed(name); view.schedule(); });
  listen("change:error", () => { complaint = ""; view.schedule(); });
  listen("change:busy", busyChanged);
  listen("change:panels", () => { sizes.disconnect(); build(); view.schedule(); });

  listenToKeys(view);
  keepKeys(root, signal);
  followTheme(view);
  acceptPictures(view, dropHint);

  el.replaceChildren(root);
  build();
  busyChanged();
}

/** @param {string} words */
const makeAlert = (words) => make("p", { class: "cnnvis-error", role: "alert" }, words);

/** The last view of an output that was cleared: the kernel need not go on with what nobody sees. @param {Model} model */
function tellNobodyWatches(model) {
  try {
    model.send({ type: "unwatched" });
  } catch {
    // the kernel itself has gone
  }
}

/**
 * Notebook 7 takes keys for its shortcuts before whatever has the focus hears them, and spares only an element that says
 * so itself. @param {HTMLElement} root @param {AbortSignal} signal
 */
function keepKeys(root, signal) {
  document.addEventListener("focusin", ({ target }) => {
    if (target instanceof Element && target.closest(".cnnvis-explorer")?.contains(root)) put(target, { "data-lm-suppress-shortcuts": true });
  }, { signal });
}

/** What is painted in the theme's own colours is painted anew in another theme. @param {View} view */
function followTheme({ schedule, signal }) {
  const themes = new MutationObserver(schedule);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  signal.addEventListener("abort", () => themes.disconnect());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule, { signal });
}

/** Dropped and pasted pictures. @param {View} view @param {HTMLElement} hint */
function acceptPictures(view, hint) {
  const { root, model, signal } = view;
  const wanted = () => model.get("uploads") !== false && hasPanel(view, "photo");
  const dragged = (/** @type {boolean} */ over) => (/** @type {DragEvent} */ event) => {
    if (!wanted() || !event.dataTransfer?.types.includes("Files")) return;
    claim(event);
    if (over || !root.contains(/** @type {Node | null} */ (event.relatedTarget))) show(hint, over);
  };
  const take = (/** @type {Event} */ event, /** @type {File | undefined} */ file) => {
    claim(event);
    sendPicture(view, file);
  };
  listen(root, signal, {
    dragover: dragged(true),
    dragleave: dragged(false),
    drop(event) {
      show(hint, false);
      if (wanted()) take(event, event.dataTransfer?.files[0]);
    },
    paste(event) {
      const file = event.clipboardData?.files[0];
      if (wanted() && file) take(event, file);
    },
  });
}

/** @param {{model: Model, signal?: AbortSignal}} context */
function initialize({ model, signal }) {
  receiveArrays(model, signal);
}

/** @param {{model: Model, el: HTMLElement, signal?: AbortSignal}} context */
function render({ model, el, signal }) {
  const own = new AbortController(); // older hosts hand over no signal, only call the clean-up
  signal?.addEventListener("abort", () => own.abort());
  try {
    createView(model, el, own.signal);
  } catch (error) {
    console.error(error);
    el.replaceChildren(makeAlert(String(error))); // else the cell stays empty
  }
  return () => own.abort();
}

export default { initialize, render };
