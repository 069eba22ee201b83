// Two ways to compute the same outputs: stamps that scatter, and zero insertion that gathers with the flipped kernel.

class WaysPanel {
  constructor(app) {
    this.app = app;
    this.whose = "direct";
    const handlers = (select) => ({
      over: (index, spoken) => select(index) && app.hover(select(index), spoken),
      out: () => app.leave(),
      pin: (index) => select(index) && app.pin(select(index)),
      describe: (index) => (select(index) ? app.describe(select(index)) : app.t("ways.zero")),
    });
    this.inserted = new Grid("inserted", handlers((index) => {
      const { coarse } = this.grid.cells[index], width = app.model.coarse[1];
      return coarse < 0 ? null : ["coarse", app.channels.coarse, Math.floor(coarse / width), coarse % width];
    }));
    this.flipped = new Grid("flipped", handlers((index) => {
      const { tap } = this.kernel.cells[index];
      return tap < 0 ? null : ["weight", app.model.weightPlace(app.channels.coarse, app.channels.fine, tap)];
    }));
    const fineAt = (index) => ["fine", app.channels.fine, Math.floor(index / app.model.fine[1]), index % app.model.fine[1]];
    this.outputs = [0, 1].map(() => new Grid("result", handlers(fineAt)));
    this.stampText = h("p", { class: "sum-line" });
    this.gatherText = h("p", { class: "sum-line" });
    for (const grid of [this.inserted, this.flipped, ...this.outputs]) grid.element.style.setProperty("--cell", "26px");
  }

  render() {
    const { app } = this, { t, model, channels } = app;
    if (!model.transposed) return onlyTransposed(app);
    if (model.geometry.padding_mode !== "zeros") return paragraph(t("ways.modes"));
    this.grid = zeroInserted(model, channels.coarse);
    this.kernel = flippedKernel(model, channels.coarse, channels.fine);
    this._fill(this.inserted, this.grid, t("ways.inserted"), ({ value, kind }) => [cellNumber(value), kind]);
    this._fill(this.flipped, this.kernel, t("ways.flipped"), ({ value, tap }) => [tap < 0 ? "0" : cellNumber(value), tap < 0 ? "dilated" : "tap"]);
    const scattered = model.output.subarray(channels.fine * area(model.fine), (channels.fine + 1) * area(model.fine));
    for (const [k, numbers] of [scattered, gathered(model, channels.fine)].entries()) {
      this._fill(this.outputs[k], { height: model.fine[0], width: model.fine[1], cells: [...numbers] }, t("stage.output"), (value) => [cellNumber(value), ""]);
    }
    const same = scattered.every((value, index) => Math.abs(value - gathered(model, channels.fine)[index]) < 1e-9);
    return [
      h("div", { class: "columns" },
        h("section", {}, h("h3", {}, t("ways.scatter")), paragraph(t("ways.scatter.text")), this.stampText, figure(t("ways.scatter.result"), this.outputs[0].element)),
        h("section", {}, h("h3", {}, t("ways.gather")), paragraph(t("ways.gather.text")), this.gatherText,
          h("div", { class: "row" }, figure([h("span", { class: "key inserted" }), t("ways.key.inserted"), " ", h("span", { class: "key padding" }), t("ways.key.padding")], this.inserted.element),
            figure([t("ways.flipped"), " ", h("span", { class: "key dilated" }), t("ways.key.dilated")], this.flipped.element),
            figure(t("ways.gather.result"), this.outputs[1].element)))),
      paragraph(t(same ? "ways.same" : "ways.differ"), same ? "good" : "warn"),
      this._whose(),
    ];
  }

  _fill(grid, { height, width, cells }, label, show) {
    grid.reshape(height, width, `${label} ${height}×${width}`);
    cells.forEach((cell, index) => grid.set(index, ...show(cell)));
  }

  /** Whose parameters the numbers are: those of the direct convolution, or of the equivalent one. */
  _whose() {
    const { app } = this, { t, model } = app;
    const rows = namedAxes(app).map(([axis, name]) => {
      const [before, after] = axis.zeroInsertion();
      return this.whose === "direct"
        ? [name, axis.stride, `${axis.lo}, ${axis.hi}`, axis.dilation, `${axis.fine} → ${axis.coarse}`]
        : [name, 1, `${before}, ${after}`, axis.dilation, `${(axis.coarse - 1) * axis.stride + 1} → ${axis.fine}`];
    });
    return h("section", { class: "whose" }, h("h3", {}, t("ways.whose")),
      choice(t("ways.whose"), [["direct", t("ways.whose.direct")], ["equivalent", t("ways.whose.equivalent")]], this.whose, (whose) => { this.whose = whose; app._renderPanel(); }),
      table(["", t("name.stride"), t("name.padding"), t("name.dilation"), t("name.input_size")], rows), paragraph(t(`ways.whose.${this.whose}.text`), "note"));
  }

  light(lit) {
    const { app } = this, { model } = app;
    if (!this.grid || !model.transposed || model.geometry.padding_mode !== "zeros" || !lit.selection) return;
    const [kind, ...numbers] = lit.selection;
    const inserted = new Map(), taps = new Map(), output = new Map();
    const window = kind === "fine" ? [numbers[1], numbers[2]] : null;
    this.grid.cells.forEach((cell, index) => {
      const colour = cell.coarse >= 0 && lit.coarse.get(app.channels.coarse * area(model.coarse) + cell.coarse);
      if (colour) inserted.set(index, colour);
      const [u, v] = [Math.floor(index / this.grid.width), index % this.grid.width];
      const inside = window && u >= window[0] && u < window[0] + this.kernel.height && v >= window[1] && v < window[1] + this.kernel.width;
      if (inside && !colour) inserted.set(index, CHOSEN);
    });
    this.kernel.cells.forEach((cell, index) => {
      const colour = cell.tap >= 0 && lit.weights.get(model.weightPlace(app.channels.coarse, app.channels.fine, cell.tap));
      if (colour) taps.set(index, colour);
    });
    for (const [index, colour] of lit.fine) {
      if (Math.floor(index / area(model.fine)) === app.channels.fine) output.set(index % area(model.fine), colour);
    }
    const chosen = kind === "fine" ? numbers[1] * model.fine[1] + numbers[2] : -1;
    this.inserted.light(inserted);
    this.flipped.light(taps);
    for (const grid of this.outputs) grid.light(output, chosen);
    this._texts(lit, kind);
  }

  /** Both sums, in the order that each way goes through them. */
  _texts(lit, kind) {
    const { app } = this, { model } = app;
    if (kind !== "fine") { this.stampText.textContent = this.gatherText.textContent = ""; return; }
    const text = (terms) => terms.slice(0, MOST_TERMS).map((term) => `${shortNumber(model.read(term))}·${tapName(model, term.weight)}`).join(" + ") || "0";
    const name = app.nameOf(lit.selection);
    const byInput = [...lit.terms].sort((one, other) => one.coarse - other.coarse);
    this.stampText.textContent = `${name} += ${text(byInput)}`;
    this.gatherText.textContent = `${name} = ${text(byInput)} ${app.t("ways.and_zeros")}`;
  }
}
