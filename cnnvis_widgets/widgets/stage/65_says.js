// @ts-check
// The sentence that describes the whole view, for those who read the page and those who hear it. It is made here and not
// in the kernel: the selected unit changes here, many times a second, without the kernel. `facts` adds what only it knows.

const PLACES = ["top_left", "top", "top_right", "left", "middle", "right", "bottom_left", "bottom", "bottom_right"];
const SAY_AFTER = 1000; // ms of rest until a changed view is announced: nobody wants to hear every step of a slider

/** @param {View} view @returns {() => string} what to call at each paint; it reads arrays only where they have changed */
function createDescription(view) {
  const [newHeat, newUnit] = createMemos(2);
  /** @type {{place: string, share: number} | null} */
  let strongest = null;
  /** @type {{y: number, x: number, exact: boolean} | null} */
  let peak = null;
  return () => {
    const { model, unit, t } = view;
    const { maps, detail } = view.data;
    const live = view.camera.frame();
    const heat = live?.heat ?? view.classes.heat(); // of the class that is painted: the kernel may not have heard of it yet
    const { name, share, target: told, method, layer: explained } = live ? liveFacts(live) : model.get("facts") ?? {};
    const target = told && (model.get("class_names")?.[heat?.target ?? -1] ?? told);
    const names = { network: model.get("network"), layer: view.path, target, method };
    if (newHeat(heat?.values)) strongest = heat && heatPlace(heat);
    if (maps && newUnit(maps, detail, unit)) peak = unitPeak(maps, detail, unit);
    const words = name ? [t("stage.says.answer", { ...names, name, share })] : [];
    const message = heat?.message ?? model.get("heat_message");
    if (target && message) words.push(t("stage.says.no_heat", { ...names, layer: explained ?? names.layer, message }));
    else if (target && strongest) {
      const area = `${Math.round(100 * strongest.share)}%`;
      words.push(t("stage.says.heat", { ...names, layer: explained ?? names.layer, place: t(`stage.place.${strongest.place}`), area }));
    }
    if (live) words.unshift(t("stage.says.camera"));
    if (!maps) return words.join(" ");
    if (live) words.push(t("stage.says.photo", { name: model.get("photo_name") || t("stage.photo.unnamed") }));
    words.push(t("stage.says.layer", { ...names, count: maps.c, height: maps.fullH, width: maps.fullW }));
    const value = formatNumber(maps.stats[3 * unit + 1]);
    if (maps.state[unit] === NOT_FINITE) words.push(t("stage.says.not_finite", { unit }));
    else if (maps.state[unit] === CONSTANT) words.push(t("stage.says.constant", { unit, value }));
    else if (peak) {
      words.push(t(peak.exact ? "stage.says.unit" : "stage.says.unit_about", { unit, value, y: peak.y, x: peak.x }));
    }
    return words.join(" ");
  };
}

/** What the network says of a camera's frame. @param {LiveFrame} live */
function liveFacts({ classes, heat, method, layer }) {
  const [best] = classes;
  return { name: best?.name, share: formatShare(best?.probability), target: best?.name, method, layer };
}

/** Where the most evidence is, in ninths of the picture, and the share of the picture with at least half as much; null
 * where there is none. @param {Heat} heat */
function heatPlace({ h, w, values }) {
  const at = largestAt(values, 0, h * w);
  if (!(values[at] > 0)) return null;
  const third = (/** @type {number} */ cell, /** @type {number} */ cells) => Math.floor((3 * (cell + 0.5)) / cells);
  let above = 0;
  for (let i = 0; i < h * w; i++) if (values[i] >= values[at] / 2) above++;
  return { place: PLACES[3 * third(Math.floor(at / w), h) + third(at % w, w)], share: above / (h * w) };
}

/** The position of a map's largest value in the layer's own cells. @param {Maps} maps @param {Detail | null} detail
 * @param {number} unit */
function unitPeak(maps, detail, unit) {
  const { h, w, values, exact } = fullMap(maps, detail, unit);
  const at = largestAt(values, 0, h * w);
  const cell = (/** @type {number} */ i, /** @type {number} */ n, /** @type {number} */ m) => Math.floor(((i + 0.5) * m) / n);
  return { y: cell(Math.floor(at / w), h, maps.fullH), x: cell(at % w, w, maps.fullW), exact: exact && !maps.rough };
}

/** A hidden element that screen readers read out politely, once its text has rested. @param {AbortSignal} signal */
function createAnnouncer(signal) {
  const element = make("p", { class: "cnnvis-hidden cnnvis-announced", role: "status", "aria-live": "polite" });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let last = "";
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    element,
    /** @param {string} text */
    say(text) {
      if (text === last) return;
      last = text;
      clearTimeout(timer);
      timer = setTimeout(() => setText(element, text), SAY_AFTER);
    },
  };
}

/** The choice of language, in the languages' own words. @param {View} view */
function makeLanguageChoice(view) {
  const select = /** @type {HTMLSelectElement} */ (make("select", { class: "cnnvis-button cnnvis-language" }));
  view.label(select, { "aria-label": "stage.language", title: "stage.language_hint" });
  listen(select, view.signal, { change: () => view.sync.set("language", select.value) });
  const newOptions = createMemo();
  return {
    element: select,
    paint() {
      const [language, languages] = [view.model.get("language") || "en", view.model.get("languages") ?? {}];
      if (newOptions(JSON.stringify(languages))) {
        select.replaceChildren(...Object.entries(languages).map(([code, name]) => make("option", { value: code, lang: code }, name)));
      }
      show(select, select.options.length > 1);
      if (select.value !== language) select.value = language;
      const explorer = view.root.closest(".cnnvis-explorer");
      for (const element of [view.root, explorer]) if (element) put(element, { lang: language });
      if (explorer) nameSliders(explorer);
    },
  };
}

/** ipywidgets' sliders stand beside their label without being tied to it. @param {Element} explorer */
function nameSliders(explorer) {
  for (const slider of explorer.querySelectorAll(".widget-slider")) {
    const name = slider.querySelector(".widget-label")?.textContent ?? "";
    for (const part of slider.querySelectorAll(".noUi-handle, .widget-readout")) {
      put(part, { "aria-label": name });
    }
  }
}
