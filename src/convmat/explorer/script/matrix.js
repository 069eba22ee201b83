// The matrix, drawn on a canvas: two layers, so that lighting a row does not draw the numbers again. Over it lies one real
// cell, which is the grid's tab stop and moves with the arrows.

const LEAST_CELL = 2; // pixels; larger matrices scroll

class MatrixView {
  constructor(app) {
    this.app = app;
    this.at = [0, 0]; // row and column as drawn
    this.numbers = h("canvas", { "aria-hidden": "true" });
    this.lights = h("canvas", { class: "lights", "aria-hidden": "true" });
    this.cell = h("div", { role: "gridcell", tabindex: "0" });
    this.row = h("div", { role: "row" }, this.cell);
    this.grid = h("div", { class: "cursor", role: "grid" }, this.row);
    this.board = h("div", { class: "board" }, this.numbers, this.lights, this.grid);
    this.scroller = h("div", { class: "scroller" }, this.board);
    this.title = h("h2");
    this.turn = button("", () => app.set({ turned: !this.turned }), { class: "quiet", "data-key": "turn" });
    this.caption = h("p", { class: "caption" });
    this.element = h("section", { class: "pane matrix" },
      h("div", { class: "pane-head" }, this.title, this.turn), this.scroller, this.caption);
    const on = (type, act) => this.board.addEventListener(type, act);
    on("pointermove", (event) => event.pointerType !== "touch" && this._over(event));
    on("pointerleave", () => app.leave());
    on("click", (event) => this._over(event) && app.pin(this._selection(), ["matrix"]));
    this.cell.addEventListener("focus", () => this._focused());
    this.cell.addEventListener("blur", () => app.leave());
    this.cell.addEventListener("keydown", (event) => this._key(event));
  }

  /** The shape as drawn: C has a row for each coarse cell, its transpose a column. */
  get shape() {
    const { rows, columns } = this.app.model;
    return this.turned ? [rows, columns] : [columns, rows];
  }

  render() {
    const { app } = this, { model, state } = app;
    this.turned = state.turned === null ? !model.transposed || app.isNarrow() : state.turned;
    const [rows, columns] = this.shape;
    this.at = [Math.min(this.at[0], rows - 1), Math.min(this.at[1], columns - 1)];
    const name = this.turned ? "C" : "Cᵀ";
    this.title.replaceChildren(h("b", {}, name), ` ${rows}×${columns}`);
    this.turn.textContent = app.t("matrix.turn", { name: this.turned ? "Cᵀ" : "C" });
    this.caption.textContent = app.t(model.transposed ? "matrix.caption" : "matrix.caption_direct");
    this.grid.setAttribute("aria-label", app.t("matrix.label", { name, rows, columns, entries: model.entries.count }));
    this.grid.setAttribute("aria-rowcount", rows);
    this.grid.setAttribute("aria-colcount", columns);
    this.fit();
  }

  /** Choose the size of cells for the room there is, and draw. */
  fit() {
    const [rows, columns] = this.shape;
    const wide = Math.max(this.scroller.clientWidth - 4, 120);
    const high = this.app.isNarrow() ? 1000 : Math.max(this.scroller.clientHeight - 4, 120);
    const strip = 1.4; // the vectors beside it, in cells
    const side = Math.min((wide - 4) / (columns + strip), (high - 4) / (rows + strip), 34);
    this.side = Math.max(LEAST_CELL, Math.floor(side));
    this._strips();
    const width = this.left + columns * this.side + this.right + 1, height = this.top + rows * this.side + this.bottom + 1;
    this.ratio = width * height > 1.5e6 ? 1 : Math.min(window.devicePixelRatio || 1, 2);
    this.board.style.setProperty("width", `${width}px`);
    this.board.style.setProperty("height", `${height}px`);
    for (const canvas of [this.numbers, this.lights]) {
      const pixels = [Math.ceil(width * this.ratio), Math.ceil(height * this.ratio)];
      if (canvas.width === pixels[0] && canvas.height === pixels[1]) continue; // to set it would clear and allocate again
      [canvas.width, canvas.height] = pixels;
      canvas.style.setProperty("width", `${width}px`);
      canvas.style.setProperty("height", `${height}px`);
    }
    this._draw(rows, columns, width, height);
    this._place();
  }

  /** Where the vectors stand: the input along the columns above, or along the rows on the left; the output across. */
  _strips() {
    const strip = this.side >= 8 ? Math.ceil(this.side * 1.4) : 0;
    this.inputAbove = this.turned !== this.app.model.transposed;
    this.top = this.inputAbove ? strip : 0;
    this.left = this.inputAbove ? 0 : strip;
    this.right = this.inputAbove ? strip : 0;
    this.bottom = this.inputAbove ? 0 : strip;
  }

  _context(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, this.left * this.ratio, this.top * this.ratio);
    return context;
  }

  _draw(rows, columns, width, height) {
    const { model, state } = this.app, { side } = this;
    const context = this._context(this.numbers), colours = this.app.colours();
    context.fillStyle = colours.paper;
    context.fillRect(-this.left, -this.top, width, height);
    this._vectors(context, rows, columns, colours);
    this._lines(context, rows, columns, colours);
    const text = side >= 11 && state.show !== "colours";
    context.font = `${Math.min(side * 0.58, 15)}px ${colours.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const numbers = model.matrix(), shade = shades(numbers, colours);
    for (const [at, places] of model.tapsAt()) {
      const coarse = Math.floor(at / model.columns), fine = at % model.columns;
      const [r, c] = this.turned ? [coarse, fine] : [fine, coarse];
      const value = numbers[at];
      const x = c * side, y = r * side, gap = side >= 6 ? 1 : 0;
      context.fillStyle = shade(value);
      context.fillRect(x + gap, y + gap, side - gap, side - gap);
      if (!text) {
        if (value < 0 && side >= 6) stroke(context, x, y, side, colours.ink);
        continue;
      }
      const name = state.show === "symbols" ? places.map((place) => tapName(model, place)).join("+") : cellNumber(value);
      const fits = name.length * side * 0.34 < side;
      if (!fits) context.font = `${Math.max(Math.min(side * 0.58, (side * 1.5) / name.length), 5)}px ${colours.font}`;
      context.fillStyle = colours.ink;
      if (fits || side * 1.5 / name.length >= 6) context.fillText(name, x + side / 2 + 0.5, y + side / 2 + 1);
      if (!fits) context.font = `${Math.min(side * 0.58, 15)}px ${colours.font}`;
    }
  }

  /** The input and the output, cell by cell beside the columns and rows that they belong to. */
  _vectors(context, rows, columns, colours) {
    const { app, side } = this, { model } = app;
    if (!(this.top || this.left)) return;
    context.font = `${Math.min(side * 0.5, 14)}px ${colours.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const done = app.isDone();
    for (const [numbers, isInput] of [[model.input, true], [model.output, false]]) {
      if (!isInput && !done) continue;
      numbers.forEach((value, index) => {
        const [x, y] = this._vectorCell(isInput, index);
        context.fillStyle = isInput ? colours.faint : colours.soft;
        context.fillRect(x, y, side - 1, side - 1);
        if (side < 11) return;
        context.fillStyle = colours.ink;
        context.fillText(cellNumber(value), x + side / 2, y + side / 2 + 1, side - 2);
      });
    }
  }

  /** The corner of a cell of a vector. */
  _vectorCell(isInput, index) {
    const { side } = this, [rows, columns] = this.shape, gap = Math.ceil(side * 1.4) - side;
    if (isInput) return this.inputAbove ? [index * side + 1, -side - gap + 2] : [-side - gap + 2, index * side + 1];
    return this.inputAbove ? [columns * side + gap, index * side + 1] : [index * side + 1, rows * side + gap];
  }

  /** Thin lines between cells, stronger ones between rows of pixels and between channels. */
  _lines(context, rows, columns, colours) {
    const { model } = this.app, { side } = this;
    const every = (isCoarse) => (isCoarse ? [model.coarse[1], area(model.coarse)] : [model.fine[1], area(model.fine)]);
    const draw = (count, [inner, outer], vertical) => {
      for (let line = 0; line <= count; line++) {
        const strong = line % outer === 0 ? 2 : line % inner === 0 ? 1 : 0;
        if (side < 6 && strong < 1) continue;
        if (side < 4 && strong < 2) continue;
        context.fillStyle = [colours.faint, colours.line, colours.muted][strong];
        if (vertical) context.fillRect(line * side, 0, 1, rows * side + 1);
        else context.fillRect(0, line * side, columns * side + 1, 1);
      }
    };
    draw(rows, every(this.turned), false);
    draw(columns, every(!this.turned), true);
  }

  /** Light rows, columns and entries. */
  light(lit) {
    const context = this._context(this.lights), { side } = this, colours = this.app.colours();
    const [rows, columns] = this.shape;
    context.clearRect(-this.left, -this.top, columns * side + 2 + this.left + this.right, rows * side + 2 + this.top + this.bottom);
    const { selection } = lit;
    if (!selection) return;
    const band = (isRow, index) => {
      context.fillStyle = colours.band;
      if (isRow) context.fillRect(-this.left, index * side, columns * side + 1 + this.left + this.right, side + 1);
      else context.fillRect(index * side, -this.top, side + 1, rows * side + 1 + this.top + this.bottom);
    };
    const { model } = this.app;
    if (selection[0] === "coarse") {
      band(this.turned, selection[1] * area(model.coarse) + selection[2] * model.coarse[1] + selection[3]);
    } else if (selection[0] === "fine") {
      band(!this.turned, selection[1] * area(model.fine) + selection[2] * model.fine[1] + selection[3]);
    }
    for (const term of lit.terms) {
      if (term.fine < 0) continue;
      const [r, c] = this.turned ? [term.coarse, term.fine] : [term.fine, term.coarse];
      context.strokeStyle = colours.marks[term.colour];
      context.lineWidth = side >= 8 ? 2.5 : 1.5;
      context.strokeRect(c * side + 1, r * side + 1, side - 1, side - 1);
    }
    if (!(this.top || this.left)) return;
    for (const [map, isCoarse] of [[lit.coarse, true], [lit.fine, false]]) {
      for (const [index, colour] of map) {
        const [x, y] = this._vectorCell(isCoarse === model.transposed, index);
        context.strokeStyle = colours.marks[colour];
        context.lineWidth = 2;
        context.strokeRect(x, y, side - 1, side - 1);
      }
    }
  }

  _over(event) {
    const box = this.board.getBoundingClientRect(), [rows, columns] = this.shape;
    const row = Math.floor((event.clientY - box.top - this.top) / this.side);
    const column = Math.floor((event.clientX - box.left - this.left) / this.side);
    if (row < 0 || column < 0 || row >= rows || column >= columns) return false;
    this.at = [row, column];
    this._place();
    this.app.hover(this._selection());
    return true;
  }

  /** An entry selects what its row makes: an output. An empty entry does so, too. */
  _selection() {
    const { model } = this.app;
    const [coarse, fine] = this.turned ? this.at : [this.at[1], this.at[0]];
    const split = (index, [, width], cells) => [Math.floor(index / cells), Math.floor((index % cells) / width), (index % cells) % width];
    if (model.transposed) return ["fine", ...split(fine, model.fine, area(model.fine))];
    return ["coarse", ...split(coarse, model.coarse, area(model.coarse))];
  }

  _place() {
    const { side } = this, [row, column] = this.at;
    this.cell.style.setProperty("left", `${this.left + column * side}px`);
    this.cell.style.setProperty("top", `${this.top + row * side}px`);
    this.cell.style.setProperty("width", `${side + 1}px`);
    this.cell.style.setProperty("height", `${side + 1}px`);
    this.row.setAttribute("aria-rowindex", row + 1);
    this.cell.setAttribute("aria-colindex", column + 1);
  }

  _focused() {
    const { model } = this.app, [coarse, fine] = this.turned ? this.at : [this.at[1], this.at[0]];
    const places = model.tapsAt().get(coarse * model.columns + fine) || [];
    const value = places.reduce((sum, place) => sum + model.weight[place], 0);
    const names = places.map((place) => tapName(model, place)).join(" + ");
    this.cell.setAttribute("aria-label", this.app.t("matrix.entry", {
      row: this.at[0], column: this.at[1], value: shortNumber(value), names: names || "0",
    }));
    this.app.hover(this._selection(), true);
  }

  _key(event) {
    const to = moved(event, ...this.at, ...this.shape);
    if (to) {
      event.preventDefault();
      this.at = to;
      this._place();
      this._focused();
      this.cell.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.app.pin(this._selection());
    }
  }
}

/** A colour for each value: paper for zero, blue for positive numbers, orange for negative ones. */
function shades(values, colours) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return (value) => {
    if (value === 0) return colours.zero;
    const strength = (0.16 + 0.4 * Math.min(Math.abs(value) / (most || 1), 1.5)) * colours.strength;
    return mixed(colours.paper, value > 0 ? colours.positive : colours.negative, strength);
  };
}

/** Two colours as #rrggbb, mixed. */
function mixed(from, to, share) {
  const part = (colour, at) => parseInt(colour.slice(at, at + 2), 16);
  const channel = (at) => Math.round(part(from, at) + (part(to, at) - part(from, at)) * share);
  return `#${[1, 3, 5].map((at) => channel(at).toString(16).padStart(2, "0")).join("")}`;
}

function stroke(context, x, y, side, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 1, y + side - 1);
  context.lineTo(x + side - 1, y + 1);
  context.stroke();
}

// -- names -------------------------------------------------------------------------------------------------------------

const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

/** A name with its index: y₀₁, or y[0,12] where a number has two digits. */
function indexed(name, numbers) {
  if (numbers.every((number) => number < 10)) return name + numbers.map((number) => SUBSCRIPTS[number]).join("");
  return `${name}[${numbers.join(",")}]`;
}

/** The name of a weight: w₀₁, with its channels in front where there are several. */
function tapName(model, place) {
  const taps = area(model.taps), tap = place % taps;
  const numbers = model.ndim === 1 ? [tap] : [Math.floor(tap / model.taps[1]), tap % model.taps[1]];
  const pair = Math.floor(place / taps);
  if (model.weight.length === taps) return indexed("w", numbers);
  return `w[${[Math.floor(pair / model.finePerGroup), pair % model.finePerGroup, ...numbers].join(",")}]`;
}

/** The name of a cell of the input ("y" or "x"), or of the output. */
function cellName(model, name, index, sizes, channels) {
  const cell = index % area(sizes);
  const numbers = model.ndim === 1 ? [cell] : [Math.floor(cell / sizes[1]), cell % sizes[1]];
  if (channels === 1) return indexed(name, numbers);
  return `${name}[${[Math.floor(index / area(sizes)), ...numbers].join(",")}]`;
}
