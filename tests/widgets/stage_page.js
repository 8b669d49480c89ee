// The model that a Stage's view talks to where no kernel is: what tests set and read stands in `window.cnnvis`.
const traits = JSON.parse(document.getElementById("traits").textContent, (_, value) => {
  if (!value?.base64) return value?.base64 === "" ? new DataView(new ArrayBuffer(0)) : value;
  return new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
});
const handlers = new Map();
const model = {
  saved: [], sent: [], unsaved: {},
  get: (name) => traits[name],
  set(name, value) {
    if (traits[name] === value) return;
    traits[name] = value;
    model.unsaved[name] = value;
    for (const handler of [...(handlers.get(`change:${name}`) ?? [])]) handler();
  },
  on: (event, handler) => handlers.set(event, [...(handlers.get(event) ?? []), handler]),
  off: (event, handler) => handlers.set(event, (handlers.get(event) ?? []).filter((each) => each !== handler)),
  save_changes() {
    model.saved.push({ at: performance.now(), ...model.unsaved });
    model.unsaved = {};
  },
  send: (content, _, buffers = []) => model.sent.push({ at: performance.now(), content, buffers }),
  /** As the kernel does: all values first, then the events; nothing to save. */
  receive(changes) {
    const news = JSON.parse(JSON.stringify(changes), (_, value) =>
      typeof value?.base64 === "string" ? new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer) : value);
    Object.assign(traits, news);
    for (const name of Object.keys(news)) for (const handler of [...(handlers.get(`change:${name}`) ?? [])]) handler();
  },
  listeners: () => [...handlers.values()].reduce((sum, each) => sum + each.length, 0),
};
const source = document.getElementById("module").textContent;
const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const { default: view } = await import(url);
const show = (selector) => {
  const controller = new AbortController();
  view.render({ model, el: document.querySelector(selector), signal: controller.signal });
  return controller;
};
window.cnnvis = { model, view, show, first: show("#stage") };
