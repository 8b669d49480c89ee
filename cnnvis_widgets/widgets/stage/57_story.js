// @ts-check
// A walkthrough's text above the panels. Its phrases lead the view; a phrase lights up when the pointer is on what it speaks of.

/**
 * @typedef {{layer: string | null, unit: number | null, y: number | null, x: number | null, target: number | null, method: string | null}} Place
 * @typedef {{kind: string, runs: {text: string, style: string, link: Place | null}[]}} Block_
 * @typedef {{title: string, blocks: Block_[], answer: Block_[], show: Place | null, hide: string[], maximize: boolean}} StoryStep
 */

/** @param {View} view @returns {Panel} */
function createStoryPanel(view) {
  const { model, signal, t } = view;
  const count = make("span", { class: "cnnvis-story-count" });
  const title = make("h3", { class: "cnnvis-title" });
  const button = (/** @type {string} */ name, /** @type {() => void} */ act) => makeButton(view, `stage.story.${name}`, act, { "data-story": name });
  const before = button("before", () => stepStory(view, -1));
  const after = button("after", () => stepStory(view, 1));
  const reveal = button("reveal", () => { revealed = storyStep(model); view.schedule(); });
  const text = makeBox("story-text");
  const answer = make("div", { class: "cnnvis-story-text cnnvis-story-answer", "aria-live": "polite" });
  const head = makeBox("head", title, count, before, after);
  const element = make("section", { class: "cnnvis-panel-story", tabindex: "-1" }, head, text, reveal, answer);
  view.label(element, { "aria-label": "stage.story.label" });
  let revealed = -1; // the step whose answer is seen
  /** @type {{element: HTMLElement, place: Place}[]} */
  let phrases = [];
  const newStep = createMemo();
  model.on("change:story_step", view.schedule);
  signal.addEventListener("abort", () => model.off("change:story_step", view.schedule));

  /** @param {Block_[]} blocks @returns {HTMLElement[]} */
  function build(blocks) {
    return blocks.map(({ kind, runs }) => make({ heading: "h4", item: "li" }[kind] ?? "p", {}, ...runs.map(({ text: words, style, link }) => {
      if (!link) return style ? make(style, {}, words) : words;
      const phrase = make("button", { type: "button", class: "cnnvis-phrase" }, words);
      listen(phrase, signal, { click: () => goTo(view, link) });
      phrases.push({ element: phrase, place: link });
      return phrase;
    })));
  }

  return {
    element,
    paint() {
      const story = /** @type {StoryStep[]} */ (model.get("story") ?? []);
      const number = storyStep(model);
      const step = story[number];
      const focused = element.contains(document.activeElement);
      show(element, !!step);
      if (!step) return;
      if (newStep(story, number)) {
        phrases = [];
        revealed = -1;
        text.replaceChildren(...build(step.blocks));
        answer.replaceChildren(...build(step.answer));
      }
      setText(count, t("stage.story.count", { step: number + 1, steps: story.length }));
      setText(title, step.title);
      before.toggleAttribute("disabled", number === 0);
      after.toggleAttribute("disabled", number === story.length - 1);
      const hidden = step.answer.length > 0 && revealed !== number;
      show(reveal, hidden);
      show(answer, step.answer.length > 0 && !hidden);
      // Whatever had the focus may be gone or disabled: keys must go on being heard.
      if (focused && !document.activeElement?.matches(".cnnvis-panel-story :enabled")) element.focus({ preventScroll: true });
      phrases.forEach(({ element: phrase, place }) => phrase.classList.toggle("cnnvis-lit", isPointedAt(view, place)));
      put(view.root, { "data-step": number, "data-answered": step.answer.length > 0 && !hidden });
    },
  };
}

/** @param {Model} model */
function storyStep(model) {
  return clamp(model.get("story_step") ?? 0, 0, Math.max(0, (model.get("story") ?? []).length - 1));
}

/** A presenter's remote has two keys: the way forward leads over the answer, where one waits. @param {View} view @param {number} by */
function stepStory(view, by) {
  const { model } = view;
  if (!(model.get("story") ?? []).length) return false;
  if (by > 0 && press(view, "[data-story=reveal]:not([hidden])") !== false) return;
  const next = clamp(storyStep(model) + by, 0, model.get("story").length - 1);
  if (next === storyStep(model)) return;
  model.set("story_step", next);
  model.save_changes();
  view.schedule();
}

/** With the arrow keys, unless what has the focus has a use for them itself. @param {View} view @param {number} by */
function stepWithArrow(view, by) {
  const focused = document.activeElement;
  return focused?.matches("select, input, [role=grid], [role=listbox], [role=application]") ? false : stepStory(view, by);
}

/** What the browser can do is done at once, the rest is asked of the kernel. @param {View} view @param {Place} place */
function goTo(view, place) {
  view.links.markAgain(place);
  const here = place.layer === null || place.layer === view.model.get("layer")?.path;
  if (here && place.method === null) {
    if (place.unit !== null) view.select(place.unit);
    if (place.target !== null) view.classes.choose(place.target);
    if (place.y === null && (place.unit !== null || place.target !== null)) return;
  }
  view.model.send({ type: "go", place });
}

/** Whether the pointer is on what a phrase speaks of. @param {View} view @param {Place} place */
function isPointedAt(view, place) {
  if (place.target !== null && place.layer === null) return view.classes.peeked() === place.target;
  const { hover } = view;
  if (!hover || place.layer !== view.model.get("layer")?.path || hover.panel === "photo") return false;
  const at = view.linked.at;
  return (place.unit === null || hover.unit === place.unit) && (place.y === null || (at?.y === place.y && at?.x === place.x));
}
