// Pieces that several panels are made of.

/** Cells to look at, row by row: [{text, kind}, ..], in one picture with a name. */
function tiles(label, width, cells, side = 26) {
  return h("div", { class: "tiles", role: "img", "aria-label": label, "--columns": width, "--side": `${side}px` },
    cells.map(({ text = "", kind = "" }) => h("span", { class: kind }, text)));
}

/** Numbers of an array as tiles, shortened. */
function numberTiles(label, values, [, width], kindOf = () => "", side = 34) {
  return tiles(label, width, Array.from(values, (value, index) => ({ text: shortNumber(value), kind: kindOf(value, index) })), side);
}

/** A picture with a caption under it. */
function figure(caption, ...content) {
  return h("figure", {}, content, h("figcaption", {}, caption));
}

/** A table with a heading row; cells are text or elements. */
function table(headings, rows) {
  return h("div", { class: "table", tabindex: "0", role: "group", "aria-label": headings.filter(Boolean).join(", ") }, h("table", {}, h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)))))));
}

function paragraph(text, kind = "") {
  return h("p", { class: kind }, text);
}

/** What a panel shows where it is about Cᵀ and the page shows C. */
function onlyTransposed(app) {
  return [paragraph(app.t("only_transposed")), button(app.t("direction.transposed"), () => app.setDirection(true), { "data-key": "to-transposed" })];
}

/** The axes that are there, with their names: two, or one. */
function namedAxes(app) {
  const { model } = app;
  if (model.ndim === 1) return [[model.axes[1], app.t("size.length"), 0]];
  return model.axes.map((axis, a) => [axis, app.t(`axis.${a}`), a]);
}
