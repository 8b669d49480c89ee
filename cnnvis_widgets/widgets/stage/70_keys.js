// @ts-check
// All keys in one table, from which the help sheet is made as well: a new key is a new line in it (and a sentence in
// locale/). They work wherever the focus is within an Explorer, and what they do never reaches JupyterLab.

/**
 * @typedef {object} Binding
 * @property {string[]} keys what `event.key` may be, letters in lower case; the first is the one that is shown
 * @property {string} says the key of its sentence
 * @property {string} [shown] how the sheet writes the keys
 * @property {(view: View, key: string) => unknown} [run] answering false: it has nothing to do now, the key goes on its
 *   way. Without it the line is for the sheet alone.
 */

/** @type {Binding[]} */
const KEYS = [
  { keys: ["Tab"], shown: "Tab, Shift Tab", says: "stage.keys.tab" },
  { keys: ["Arrow"], shown: "← → ↑ ↓", says: "stage.keys.arrows" },
  { keys: ["PageDown"], shown: "Page down, →", says: "stage.story.key_after", run: (view) => stepStory(view, 1) },
  { keys: ["PageUp"], shown: "Page up, ←", says: "stage.story.key_before", run: (view) => stepStory(view, -1) },
  { keys: ["ArrowRight"], says: "", run: (view) => stepWithArrow(view, 1) },
  { keys: ["ArrowLeft"], says: "", run: (view) => stepWithArrow(view, -1) },
  { keys: ["[", "【"], says: "stage.keys.layer_before", run: (view) => view.model.send({ type: "layer-step", by: -1 }) },
  { keys: ["]", "】"], says: "stage.keys.layer_after", run: (view) => view.model.send({ type: "layer-step", by: 1 }) },
  { keys: [..."1234567890"], shown: "1 … 9, 0", says: "stage.keys.classes", run: chooseClass },
  { keys: ["g"], says: "stage.keys.heat", run: toggleHeat },
  { keys: ["s"], says: "stage.keys.sort", run: (view) => nextChoice(view, "sort") },
  { keys: ["c"], says: "stage.keys.scale", run: (view) => nextChoice(view, "scale") },
  { keys: ["m"], says: "stage.keys.maximize", run: makePicture },
  { keys: ["p"], says: "stage.keys.pin", run: (view) => (view.model.get("pinned")?.network ? view.model.send({ type: "unpin" }) : pinView(view)) },
  { keys: ["d"], says: "stage.keys.difference", run: toggleDifference },
  { keys: ["r"], says: "stage.keys.box", run: (view) => view.links.toggleBox() },
  { keys: ["e"], says: "stage.keys.effect", run: (view) => view.links.toggleEffect() },
  { keys: ["t"], says: "stage.keys.trust", run: (view) => press(view, "[data-trust=open]:not([hidden])") },
  { keys: ["k"], says: "stage.keys.steps", run: (view) => press(view, "[data-steps=open]") },
  { keys: ["Escape"], shown: "Esc", says: "stage.keys.back", run: (view) => BACK.some((level) => level(view)) },
  { keys: ["?", "？"], says: "stage.keys.help", run: (view) => view.help.toggle() },
];

/** What Escape leaves, the innermost first (an open help sheet hears it before); true: it was there. @type {((view: View) => boolean)[]} */
const BACK = [(view) => view.dismiss(), cancelPicture, (view) => view.links.unmark()];

/** @param {View} view @param {string} digit "1" is the first, "0" the tenth */
function chooseClass(view, digit) {
  if (!hasPanel(view, "photo")) return false;
  const rank = (Number(digit) + 9) % 10;
  const listed = rank < 5 ? view.classes.listed()[rank] : null; // beyond, the list may end with the chosen one
  if (listed) view.classes.choose(listed.index); // painted at once
  else view.model.send({ type: "class", rank });
}

/** @type {WeakMap<Model, number>} the opacity that `g` took away */
const opacities = new WeakMap();

/** @param {View} view */
function toggleHeat(view) {
  if (!hasPanel(view, "photo")) return false;
  const opacity = view.model.get("opacity");
  if (opacity > 0) opacities.set(view.model, opacity);
  view.sync.set("opacity", opacity > 0 ? 0 : opacities.get(view.model) ?? 0.4);
}

/** Press the button after the pressed one. @param {View} view @param {string} trait */
function nextChoice(view, trait) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...view.root.querySelectorAll(`[data-trait="${trait}"] button:not([disabled], [hidden])`)]);
  if (!buttons.length) return false;
  const pressed = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  buttons[(pressed + 1) % buttons.length].click();
}

/** @param {View} view */
function toggleDifference(view) {
  if (!view.model.get("pinned")?.network) return false;
  view.sync.set("difference", !view.model.get("difference"));
}

/** @param {View} view @param {string} selector of a button */
function press(view, selector) {
  const button = /** @type {HTMLButtonElement | null} */ (view.root.querySelector(selector));
  if (!button) return false;
  if (button.disabled) view.complain(button.title); // why it is
  else button.click();
}

/** @param {View} view */
function makePicture(view) {
  if (!hasPanel(view, "filter")) return false;
  view.model.send({ type: "maximize" });
}

/** @param {View} view */
function cancelPicture(view) {
  const growing = view.model.get("picture_progress")?.steps > 0;
  if (growing) view.model.send({ type: "cancel" });
  return growing;
}

const TEXT_FIELDS = "textarea, [contenteditable]:not([contenteditable=false]), " +
  "input:not([type=checkbox], [type=radio], [type=range], [type=button], [type=submit], [type=file], [type=color])";

/**
 * The binding that a key press asks for. Brackets and the question mark need AltGr or Option on many keyboards; with any
 * other key these, Ctrl and Cmd mean somebody else's shortcut. In a list, letters and digits go to the option they begin.
 * @param {KeyboardEvent} event @param {Element} target
 */
function bindingOf(event, target) {
  const sign = /^[^\p{L}\p{N}]$/u.test(event.key);
  if (event.isComposing || event.metaKey || (!sign && (event.ctrlKey || event.altKey)) || target.matches(TEXT_FIELDS)) return null;
  if (target.matches("select") && /^[\p{L}\p{N}]$/u.test(event.key)) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return KEYS.find(({ keys, run }) => run && keys.includes(key)) ?? null;
}

/**
 * The listener is on the window: only there it comes before JupyterLab's own, which would take arrow keys from a plain
 * <select> and Enter from a button, whatever attributes say (4.6). What those elements do with a key needs no listener.
 * @param {View} view
 */
function listenToKeys(view) {
  window.addEventListener("keydown", (event) => {
    if (view.help.hears(event)) return;
    const target = event.composedPath()[0];
    const explorer = view.root.closest(".cnnvis-explorer") ?? view.root;
    if (!(target instanceof Element) || !explorer.contains(target)) return;
    const binding = bindingOf(event, target);
    if (binding?.run && binding.run(view, event.key) !== false) claim(event);
    else if (target.closest(".cnnvis-panel-steps")) return; // has keys of its own
    else if (target.matches("select, button, input") && !target.matches(TEXT_FIELDS)) event.stopPropagation();
  }, { capture: true, signal: view.signal });
}

/** The help sheet: a dialog that the browser itself puts over everything, keeps the focus in and gives it back from.
 * @param {View} view */
function createHelp(view) {
  const { t, signal } = view;
  const title = view.label(make("h3", { class: "cnnvis-title", id: `${view.root.id}-keys` }), { text: "stage.keys.title" });
  const rows = make("tbody");
  const where = view.label(makeLine("caption"), { text: "stage.keys.where" });
  const close = makeButton(view, "stage.keys.close", () => help.close(), { autofocus: "" });
  const sheet = /** @type {HTMLDialogElement} */ (make("dialog", { class: "cnnvis-help", "aria-labelledby": title.id },
    makeBox("head", title, close), make("table", {}, rows), where));
  const opener = makeButton(view, "stage.keys.open", () => help.toggle(), { "aria-haspopup": "dialog" });
  const newWords = createMemo();
  const help = {
    sheet,
    opener,
    toggle() {
      if (help.close()) return;
      help.paint();
      sheet.showModal();
    },
    /** @returns {boolean} it was open */
    close() {
      const wasOpen = sheet.open;
      sheet.close();
      return wasOpen;
    },
    /** While it is open it hears every key of the page, and only it. @param {KeyboardEvent} event */
    hears(event) {
      if (!sheet.open) return false;
      event.stopPropagation();
      const binding = bindingOf(event, sheet);
      const ends = binding && ["stage.keys.back", "stage.keys.help"].includes(binding.says);
      if (ends) help.close();
      if (event.key === "Tab") close.focus(); // all there is to press
      if (ends || event.key === "Tab") event.preventDefault();
      return true;
    },
    paint() {
      if (!newWords(view.model.get("texts"))) return;
      rows.replaceChildren(...KEYS.filter(({ says }) => says && (!says.includes("story") || view.model.get("story")?.length)).map(({ keys, shown, says }) =>
        make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, shown ?? keys[0])), make("td", {}, t(says)))));
    },
  };
  listen(sheet, signal, { click: (event) => event.target === sheet && help.close() }); // beside the sheet
  signal.addEventListener("abort", () => sheet.close());
  return help;
}
