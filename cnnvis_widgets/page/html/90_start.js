// @ts-check
// Puts the page together: first the layer that was on screen, the rest while nothing else is to be done.

async function startPage() {
  const main = /** @type {HTMLElement} */ (document.getElementById("cnnvis-main"));
  const page = /** @type {PageData} */ (JSON.parse(document.getElementById("cnnvis-page")?.textContent ?? "{}"));
  try {
    const names = Object.keys(page.arrays);
    const views = await Promise.all(names.map((name) => unpack(page.arrays[name])));
    const kernel = createPageKernel(page, Object.fromEntries(names.map((name, i) => [name, views[i]])));
    await kernel.start();
    const title = make("h1");
    const paintTitle = () => {
      document.title = kernel.t("page.title", { network: kernel.model.get("network"), image: page.image });
      document.documentElement.lang = kernel.model.get("language");
      setText(title, document.title);
    };
    kernel.model.on("change:language", paintTitle);
    paintTitle();
    const stage = make("div");
    const controls = makeControls(kernel, page.methods);
    main.replaceChildren(make("header", {}, title, makeThemeButton(kernel)), ...(page.traits.story.length ? [stage, controls.element] : [controls.element, stage]), makeAbout(kernel));
    render({ model: /** @type {any} */ (kernel.model), el: stage });
    controls.paint();
    for (const event of ["dragover", "drop"]) document.addEventListener(event, (dropped) => dropped.preventDefault()); // would leave the page
    main.dataset.ready = String(Math.round(performance.now()));
    await kernel.prepare();
    main.dataset.prepared = "true";
  } catch (error) {
    console.error(error);
    main.replaceChildren(make("p", { role: "alert" }, sentence(page.texts?.en ?? {}, "page.too_old", { error: String(error) })));
  }
}

startPage();
