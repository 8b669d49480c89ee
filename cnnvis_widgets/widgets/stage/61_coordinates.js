// @ts-check
// While a walkthrough is shown, the grid's columns have letters and its rows numbers: one can say "look at D7" aloud.

/** @param {number} column @returns {string} A to Z, then AA, AB as in a spreadsheet */
function columnName(column) {
  return (column < 26 ? "" : columnName(Math.floor(column / 26) - 1)) + String.fromCharCode(65 + (column % 26));
}

/** @param {GridLayout} layout @param {number} place @returns {string} */
function tileName(layout, place) {
  return columnName(place % layout.columns) + (Math.floor(place / layout.columns) + 1);
}

/** The height of the letters: those of the text above, 0 without one. @param {View} view */
function coordinateSize(view) {
  const story = view.root.querySelector(".cnnvis-panel-story");
  return (view.model.get("story") ?? []).length && story ? parseFloat(getComputedStyle(story).fontSize) : 0;
}

/** A grid with room for letters above it and numbers at its left. @param {number} count @param {number} width
 * @param {number} height @param {number} aspect @param {number} zoom @param {number} size of letters @returns {GridLayout} */
function namedLayout(count, width, height, aspect, zoom, size) {
  const [across, down] = [Math.round(1.3 * size), Math.round(1.1 * size)]; // two digits, one letter
  const layout = gridLayout(count, width - across, height - down, aspect, zoom);
  return { ...layout, left: layout.left + across, top: layout.top + down, total: layout.total + down };
}

/** Scroll a tile out from under the letters. @param {HTMLElement} grid @param {GridLayout} layout @param {number} place */
function clearOfLetters(grid, layout, place) {
  const y = tileCorner(layout, place)[1] - layout.top;
  if (y < grid.scrollTop) grid.scrollTop = y;
}

/** Letters stay in sight when the grid is scrolled. @param {HTMLCanvasElement} canvas @param {GridLayout} layout
 * @param {number} scrolled @param {number} size of letters @param {number} ratio device pixels to a CSS pixel */
function paintCoordinates(canvas, layout, scrolled, size, ratio) {
  if (!size) return;
  const context = pen(canvas);
  const { color } = getComputedStyle(canvas);
  const [wide, tall] = [layout.left - layout.gap, layout.top - layout.gap].map((margin) => Math.round(margin * ratio));
  context.save();
  Object.assign(context, { font: `600 ${size * ratio}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle", fillStyle: color });
  for (let row = 0; row < layout.rows; row++) {
    const y = layout.top + row * (layout.height + layout.gap) + layout.height / 2 - scrolled;
    context.fillText(String(row + 1), wide / 2, y * ratio, wide);
  }
  context.clearRect(0, 0, canvas.width, tall); // whatever is scrolled under the letters
  for (let column = 0; column < layout.columns; column++) {
    const x = layout.left + column * (layout.width + layout.gap) + layout.width / 2;
    context.fillText(columnName(column), x * ratio, tall / 2, (layout.width + layout.gap) * ratio);
  }
  context.restore();
}
