// @ts-check
// Zoom that the browser does alone: a window into a picture, and the wheel that leaves the page's own scrolling alone.

/** @typedef {{factor: number, left: number, top: number}} Zoom left, top: of the window, as shares of the picture */

/** @type {Zoom} */
const WHOLE = { factor: 1, left: 0, top: 0 };
const ZOOM_STEP = 1.25;
const ZOOM_MOST = 32;

/** Closer or farther, with the point under (x, y) staying there. @param {Zoom} zoom @param {number} by
 * @param {number} x @param {number} y shares of the window @returns {Zoom} */
function zoomAt({ factor, left, top }, by, x, y) {
  const next = clamp(factor * by, 1, ZOOM_MOST);
  const start = (/** @type {number} */ from, /** @type {number} */ at) =>
    clamp(from + at / factor - at / next, 0, 1 - 1 / next);
  return { factor: next, left: start(left, x), top: start(top, y) };
}

/** Moved with the hand. @param {Zoom} zoom @param {number} dx @param {number} dy shares of the window @returns {Zoom} */
function panned({ factor, left, top }, dx, dy) {
  const most = 1 - 1 / factor;
  return { factor, left: clamp(left - dx / factor, 0, most), top: clamp(top - dy / factor, 0, most) };
}

/** From a share of the window to a share of the picture. @param {Zoom} zoom @param {[number, number]} point
 * @returns {[number, number]} */
function intoPicture({ factor, left, top }, [x, y]) {
  return [clamp(left + x / factor, 0, 1 - 1e-9), clamp(top + y / factor, 0, 1 - 1e-9)];
}

/** The wheel with Alt or Ctrl; without either it scrolls as ever. @param {HTMLElement} element @param {AbortSignal} signal
 * @param {(by: number, event: WheelEvent) => void} zoomed */
function onZoomWheel(element, signal, zoomed) {
  listen(element, signal, {
    wheel(event) {
      if (!event.altKey && !event.ctrlKey) return;
      claim(event);
      zoomed((event.deltaY || event.deltaX) < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, event);
    },
  });
}

/** The buttons − and +. @param {View} view @param {string} what its sentences' name @param {(by: number) => void} zoomed */
function makeZoomButtons(view, what, zoomed) {
  const buttons = ["out", "in"].map((way, i) => {
    const button = makeButton(view, `stage.zoom.${way}_sign`, () => zoomed(i ? ZOOM_STEP : 1 / ZOOM_STEP));
    return view.label(button, { "aria-label": `stage.zoom.${way}`, title: `stage.zoom.${what}_hint` });
  });
  const element = make("div", { class: "cnnvis-choice cnnvis-zoom", role: "group" }, ...buttons);
  return view.label(element, { "aria-label": `stage.zoom.${what}` });
}
