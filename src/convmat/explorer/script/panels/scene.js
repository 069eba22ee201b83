// The stage as a picture to take away: one list of rectangles and texts, written as SVG or drawn for PNG.

const UNIT = 40;

/** Everything on the stage: {width, height, items}, in which an item is a rectangle or a text. */
function sceneOf(app) {
  const { model, t, lit, channels } = app, colours = app.colours();
  const items = [], names = app.names();
  const rect = (x, y, width, height, more) => items.push({ x, y, width, height, ...more });
  const text = (x, y, words, more = {}) => items.push({ x, y, words: String(words), size: 14, fill: colours.ink, anchor: "middle", ...more });
  const soft = app.softColours();
  const grid = (x, y, [rows, columns], title, cellOf) => {
    text(x, y - 10, title, { anchor: "start", weight: 600 });
    for (let index = 0; index < rows * columns; index++) {
      const cx = x + (index % columns) * UNIT, cy = y + Math.floor(index / columns) * UNIT, { words, muted, colour } = cellOf(index);
      rect(cx, cy, UNIT, UNIT, { fill: colour ? soft[colour] : muted ? colours.faint : colours.paper, stroke: colours.line });
      text(cx + UNIT / 2, cy + UNIT / 2 + 5, words, { fill: muted ? colours.muted : colours.ink, size: words.length > 4 ? 11 : 15 });
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
  rect(x + model.axes[1].lo * UNIT, top + model.axes[0].lo * UNIT, model.fine[1] * UNIT, model.fine[0] * UNIT, { fill: "none", stroke: colours.positive, line: 4 });
  const height = Math.max(below + model.taps[0] * UNIT, top + model.canvas[0] * UNIT) + 20;
  return { width: x + model.canvas[1] * UNIT + 20, height, items, paper: colours.paper };
}

function sceneSvg({ width, height, items, paper }) {
  const picture = svg("svg", { xmlns: SVG, viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "system-ui, sans-serif" }, svg("rect", { width, height, fill: paper }));
  for (const item of items) {
    if (item.words === undefined) picture.append(svg("rect", { x: item.x, y: item.y, width: item.width, height: item.height, fill: item.fill, stroke: item.stroke, "stroke-width": item.line || 1 }));
    else picture.append(svg("text", { x: item.x, y: item.y, fill: item.fill, "font-size": item.size, "text-anchor": item.anchor, "font-weight": item.weight || 400 }, item.words));
  }
  return new XMLSerializer().serializeToString(picture);
}

function sceneCanvas({ width, height, items, paper }) {
  const canvas = h("canvas", { width: 2 * width, height: 2 * height }), context = canvas.getContext("2d");
  context.scale(2, 2);
  context.fillStyle = paper;
  context.fillRect(0, 0, width, height);
  for (const item of items) {
    if (item.words === undefined) {
      context.fillStyle = item.fill;
      if (item.fill !== "none") context.fillRect(item.x, item.y, item.width, item.height);
      context.strokeStyle = item.stroke;
      context.lineWidth = item.line || 1;
      context.strokeRect(item.x, item.y, item.width, item.height);
    } else {
      context.fillStyle = item.fill;
      context.font = `${item.weight || 400} ${item.size}px system-ui, sans-serif`;
      context.textAlign = item.anchor === "middle" ? "center" : "left";
      context.fillText(item.words, item.x, item.y);
    }
  }
  return canvas;
}
