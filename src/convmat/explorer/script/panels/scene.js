// The stage as a picture to take away: rectangles and texts, as SVG or as PNG.

const UNIT = 40;

/** Everything on the stage, as the text of an SVG file. */
function sceneOf(app) {
  const { model, t, lit, channels } = app, colours = app.colours();
  const items = [], names = app.names();
  const rect = (x, y, width, height, more) => items.push(svg("rect", { x, y, width, height, ...more }));
  const text = (x, y, words, more = {}) => items.push(svg("text", { x, y, "font-size": 14, fill: colours.ink, "text-anchor": "middle", ...more }, words));
  const soft = app.softColours();
  const grid = (x, y, [rows, columns], title, cellOf) => {
    text(x, y - 10, title, { "text-anchor": "start", "font-weight": 600 });
    for (let index = 0; index < rows * columns; index++) {
      const cx = x + (index % columns) * UNIT, cy = y + Math.floor(index / columns) * UNIT, { words, muted, colour } = cellOf(index);
      rect(cx, cy, UNIT, UNIT, { fill: colour ? soft[colour] : muted ? colours.faint : colours.paper, stroke: colours.line });
      text(cx + UNIT / 2, cy + UNIT / 2 + 5, words, { fill: muted ? colours.muted : colours.ink, "font-size": words.length > 4 ? 11 : 15 });
    }
  };
  const cellsOf = (name, map) => (index) => ({ words: app.stage[name].cells[index].textContent, muted: /cropped|border|untouched/.test(app.stage[name].cells[index].className), colour: map.get(index) });
  const coarse = new Map(), weights = new Map();
  for (const [index, colour] of lit.coarse) if (Math.floor(index / area(model.coarse)) === channels.coarse) coarse.set(index % area(model.coarse), colour);
  for (const [place, colour] of lit.weights) weights.set(place - model.weightPlace(channels.coarse, channels.fine, 0), colour);
  const left = 20, top = 44;
  grid(left, top, model.coarse, `${t(model.transposed ? "stage.input" : "stage.output")} ${model.transposed ? names.input : names.output}`, cellsOf("coarse", coarse));
  const below = top + model.coarse[0] * UNIT + 44;
  grid(left, below, model.taps, `${t("stage.kernel")} w`, cellsOf("kernel", weights));
  const x = left + Math.max(model.coarse[1], model.taps[1], 3) * UNIT + 50;
  grid(x, top, model.canvas, t(model.transposed ? "stage.canvas" : "stage.padded"), cellsOf("canvas", lit.places));
  rect(x + model.axes[1].lo * UNIT, top + model.axes[0].lo * UNIT, model.fine[1] * UNIT, model.fine[0] * UNIT, { fill: "none", stroke: colours.positive, "stroke-width": 4 });
  const height = Math.max(below + model.taps[0] * UNIT, top + model.canvas[0] * UNIT) + 20;
  const width = x + model.canvas[1] * UNIT + 20;
  const picture = svg("svg", { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "system-ui, sans-serif" },
    svg("rect", { width, height, fill: colours.paper }), ...items);
  return new XMLSerializer().serializeToString(picture);
}

/** A picture in SVG as PNG, twice as large. */
async function pngOf(text) {
  const image = new Image(), url = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  image.src = url;
  await image.decode();
  const canvas = h("canvas", { width: 2 * image.width, height: 2 * image.height });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(url);
  return new Promise((done) => canvas.toBlob(done));
}
