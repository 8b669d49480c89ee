// @ts-check
// The page around the view: plain lists and sliders, light or dark, and what is inside in words.

/** @typedef {ReturnType<typeof createPageKernel>} PageKernel */

/** A label with a control in it. @param {HTMLElement} control @returns {{element: HTMLElement, words: HTMLElement}} */
function labelled(control) {
  const words = make("span");
  return { element: make("label", { class: "cnnvis-control" }, words, control), words };
}

/**
 * A list of choices. `options` are groups; what is missing stays in the list, disabled.
 * @param {PageKernel} kernel @param {string} name
 * @param {() => {group?: string, items: {value: string, label: string, missing?: boolean}[]}[]} options
 * @param {() => string} value @param {(value: string) => void} choose
 */
function makeSelect({ t }, name, options, value, choose) {
  const select = /** @type {HTMLSelectElement} */ (make("select", { "data-control": name }));
  const { element, words } = labelled(select);
  select.addEventListener("change", () => choose(select.value));
  const newOptions = createMemo();
  return {
    element,
    paint() {
      setText(words, t(`explorer.${name}`));
      select.title = t(`explorer.${name}_hint`);
      const groups = options();
      if (newOptions(JSON.stringify(groups))) {
        select.replaceChildren(...groups.flatMap(({ group, items }) => {
          const made = items.map((item) => {
            const option = /** @type {HTMLOptionElement} */ (make("option", { value: item.value }, item.label));
            option.disabled = !!item.missing;
            if (item.missing) option.title = t("stage.absent");
            return option;
          });
          return group ? [make("optgroup", { label: group }, ...made)] : made;
        }));
      }
      if (select.value !== value()) select.value = value();
    },
  };
}

/** @param {PageKernel} kernel @param {string} name @param {{min: number, max: () => number, step: number}} range
 * @param {() => number} value @param {(value: number) => void} choose @param {(value: number) => string} said */
function makeRange({ t }, name, range, value, choose, said) {
  const input = /** @type {HTMLInputElement} */ (make("input", { type: "range", "data-control": name, min: String(range.min), step: String(range.step) }));
  const number = make("output");
  const { element, words } = labelled(input);
  element.append(number);
  input.addEventListener("input", () => choose(Number(input.value)));
  return {
    element,
    paint() {
      setText(words, t(`explorer.${name}`));
      input.title = t(`explorer.${name}_hint`);
      input.max = String(range.max());
      input.value = String(value());
      setText(number, said(value()));
    },
  };
}

const GROUPS = ["convolution", "activation", "merge", "pooling", "normalization", "other"];

/** @param {PageKernel} kernel @param {string[]} methods all there are */
function makeControls(kernel, methods) {
  const { model, t, page } = kernel;
  const shows = (/** @type {string} */ panel) => page.traits.panels.includes(panel);
  const layers = () => GROUPS.map((kind) => ({
    group: t(`explorer.kind.${kind}`),
    items: page.layers.filter(({ layer }) => layer.kind === kind)
      .map(({ layer }) => ({ value: layer.path, label: `${layer.path} · ${layer.shape.join("×")}` })),
  })).filter(({ items }) => items.length);
  const classes = () => [{
    items: [{ value: "0", label: t("explorer.top_class"), missing: !kernel.canExplain(page.answer.index) },
      ...page.classes.map(({ index, name }) => ({ value: String(index + 1), label: name, missing: !kernel.canExplain(index) }))],
  }];
  const set = (/** @type {string} */ name) => (/** @type {any} */ value) => model.set(name, Number(value));
  const list = [
    makeSelect(kernel, "layer", layers, () => model.get("layer")?.path ?? "", (path) => void kernel.showLayer(path)),
    ...(shows("maps") || shows("detail") ? [makeRange(kernel, "unit", { min: 0, max: () => (model.get("maps_shape")?.[0] ?? 1) - 1, step: 1 },
      () => model.get("unit"), set("unit"), String)] : []),
    ...(shows("photo") ? [
      makeSelect(kernel, "target", classes, () => String(model.get("target_choice")), set("target_choice")),
      makeSelect(kernel, "method", () => [{ items: methods.map((name) => ({ value: name, label: name, missing: !kernel.hasMethod(name) })) }],
        kernel.method, kernel.setMethod),
    ] : []),
    makeSelect(kernel, "colormap", () => [{ items: model.get("colormap_names").map((/** @type {string} */ label, /** @type {number} */ i) =>
      ({ value: String(i), label })) }], () => String(model.get("colormap")), set("colormap")),
    ...(shows("photo") ? [makeRange(kernel, "opacity", { min: 0, max: () => 1, step: 0.05 }, () => model.get("opacity"), set("opacity"),
      (value) => `${Math.round(100 * value)}%`)] : []),
    makeSelect(kernel, "sort", () => [{ items: ["index", "strength", "class"].map((value) =>
      ({ value, label: t(`stage.sort.${value}`), missing: value === "class" && !model.get("weights_from") })) }],
      () => model.get("sort"), (value) => model.set("sort", value)),
    makeSelect(kernel, "language", () => [{ items: Object.entries(page.languages).map(([value, label]) => ({ value, label })) }],
      () => model.get("language"), (value) => model.set("language", value)),
  ];
  const element = make("div", { class: "cnnvis-page-controls" }, ...list.map((control) => control.element));
  const paint = () => list.forEach((control) => {
    control.paint();
    show(control.element, !kernel.hidden().includes(/** @type {any} */ (control.element.querySelector("[data-control]")).dataset.control));
  });
  kernel.onChange(paint);
  for (const name of ["unit", "target_choice", "colormap", "opacity", "sort", "language", "layer", "weights_from"]) model.on(`change:${name}`, paint);
  return { element, paint };
}

/** Dark or light, until told otherwise as the system has it. @param {PageKernel} kernel */
function makeThemeButton({ model, t }) {
  const meta = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=color-scheme]"));
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => meta.content === "dark" || (meta.content !== "light" && system.matches);
  const button = make("button", { type: "button", class: "cnnvis-page-theme" });
  const paint = () => setText(button, t(isDark() ? "page.light" : "page.dark"));
  button.addEventListener("click", () => {
    meta.content = isDark() ? "light" : "dark";
    paint();
  });
  system.addEventListener("change", paint);
  model.on("change:language", paint);
  paint();
  return button;
}

/** What is inside, and what is not. @param {PageKernel} kernel */
function makeAbout({ model, t, page }) {
  const element = make("footer", { class: "cnnvis-page-about" });
  function paint() {
    const { told } = page;
    const words = [told.whole === told.layers ? t("page.inside_all", told) : t(told.details ? "page.inside_units" : "page.inside_small", told)];
    if (told.left_out.length) words.push(t("page.left_out", { ...told, count: told.left_out.length, names: told.left_out.join(", ") }));
    if (page.method) {
      const methods = [...new Set([...page.layers.flatMap(({ heats }) => heats.map((heat) => heat.method)), ...page.heats.map((heat) => heat.method)])];
      const name = page.classes.find(({ index }) => index === page.target)?.name;
      words.push(t("page.inside_heats", { methods: methods.join(", "), name }), t("page.inside_classes", { count: page.classes.length }));
    }
    if (told.coded) words.push(t("page.coded"));
    element.replaceChildren(make("p", {}, words.join(" ")), make("p", {}, t("page.absent")), make("p", {}, t("page.made", { version: page.version })));
  }
  model.on("change:language", paint);
  paint();
  return element;
}
