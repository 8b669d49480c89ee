// @ts-check
// One line below the Explorer: where one is, to copy or to type; a picture from the web; the code of the view.

/** @param {string} tag @param {Record<string, string>} [attributes] @param {...(Node | string)} children @returns {HTMLElement} */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Put text on the clipboard; pages that are not secure have none, and get the old way. @param {string} text @param {HTMLElement} near */
async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = /** @type {HTMLTextAreaElement} */ (make("textarea", { readonly: "", "aria-hidden": "true" }));
    area.value = text;
    near.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** @param {{model: any, el: HTMLElement, signal?: AbortSignal}} context */
function render({ model, el, signal: outer }) {
  const own = new AbortController();
  const { signal } = own;
  outer?.addEventListener("abort", () => own.abort());
  const t = (/** @type {string} */ key) => model.get("texts")?.[`bar.${key}`] ?? key;
  const id = `cnnvis-bar-${Math.random().toString(36).slice(2, 8)}`;

  const address = /** @type {HTMLInputElement} */ (make("input", { type: "text", id: `${id}-address`, spellcheck: "false", autocomplete: "off" }));
  const picture = /** @type {HTMLInputElement} */ (make("input", { type: "url", id: `${id}-picture`, spellcheck: "false", autocomplete: "off" }));
  const addressLabel = make("label", { for: address.id });
  const pictureLabel = make("label", { for: picture.id });
  const copyAddress = make("button", { type: "button" });
  const codeButton = make("button", { type: "button", "aria-controls": `${id}-code` });
  const text = make("code");
  const copyCode = make("button", { type: "button" });
  const hint = make("span");
  const code = make("div", { class: "cnnvis-code", id: `${id}-code` }, make("pre", { tabindex: "0" }, text), make("p", {}, copyCode, hint));
  const note = make("p", { class: "cnnvis-bar-note", role: "status" });
  const said = make("span", { class: "cnnvis-said", role: "status" });
  const root = make("div", { class: "cnnvis-bar", role: "group", "data-lm-suppress-shortcuts": "true" },
    make("div", { class: "cnnvis-bar-row" },
      make("span", { class: "cnnvis-field" }, addressLabel, address, copyAddress),
      make("span", { class: "cnnvis-field" }, pictureLabel, picture),
      codeButton, said),
    note, code);

  /** The kernel's newest address: what stands in the field unless somebody is typing there. */
  let shown = "";
  let typing = false;

  function paintWords() {
    root.setAttribute("aria-label", t("label"));
    addressLabel.textContent = t("address");
    address.title = t("address_hint");
    pictureLabel.textContent = t("picture");
    picture.title = t("picture_hint");
    picture.placeholder = "https://…";
    copyAddress.textContent = copyCode.textContent = t("copy");
    copyAddress.setAttribute("aria-label", t("copy_address"));
    copyCode.setAttribute("aria-label", t("copy_code"));
    codeButton.textContent = t("code");
    codeButton.title = t("code_hint");
    hint.textContent = t("code_use");
  }
  function paintAddress() {
    shown = model.get("address") ?? "";
    typing &&= address.matches(":focus");
    if (!typing) address.value = shown;
  }
  function paintNote() {
    note.textContent = model.get("note") ?? "";
    note.hidden = !note.textContent;
  }
  function paintCode() {
    const wanted = !!model.get("code_wanted");
    text.textContent = model.get("code") ?? "";
    code.hidden = !wanted;
    codeButton.setAttribute("aria-expanded", String(wanted));
  }

  /** @param {HTMLInputElement} field @param {string} type */
  function onEnter(field, type) {
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && field === address) {
        typing = false;
        paintAddress();
      }
      if (event.key !== "Enter" || !field.value.trim()) return;
      event.preventDefault();
      if (field === address) typing = false;
      model.send({ type, address: field.value.trim() });
    }, { signal });
  }
  onEnter(address, "open");
  onEnter(picture, "picture");
  address.addEventListener("input", () => { typing = true; }, { signal });
  address.addEventListener("focus", () => address.select(), { signal });

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @param {HTMLElement} button @param {() => string} content */
  function onCopy(button, content) {
    button.addEventListener("click", async () => {
      await copy(content(), root);
      said.textContent = t("copied");
      clearTimeout(timer);
      timer = setTimeout(() => { said.textContent = ""; }, 2000);
      button.focus();
    }, { signal });
  }
  onCopy(copyAddress, () => shown);
  onCopy(copyCode, () => text.textContent ?? "");
  codeButton.addEventListener("click", () => {
    model.set("code_wanted", !model.get("code_wanted"));
    model.save_changes();
  }, { signal });
  // JupyterLab takes Enter on a button for "edit this cell".
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") event.stopPropagation();
  }, { signal });

  for (const [name, paint] of /** @type {[string, () => void][]} */ ([
    ["texts", paintWords], ["address", paintAddress], ["note", paintNote], ["code", paintCode], ["code_wanted", paintCode]])) {
    model.on(`change:${name}`, paint);
    signal.addEventListener("abort", () => model.off(`change:${name}`, paint));
    paint();
  }
  signal.addEventListener("abort", () => clearTimeout(timer));
  el.replaceChildren(root);
  return () => own.abort();
}

export default { render };
