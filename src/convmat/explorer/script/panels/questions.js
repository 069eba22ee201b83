// The questions that people ask about transposed convolution, each answered with the numbers on the page.

const QUESTIONS = ["inverse", "appended", "odd", "layout", "groups", "bilinear", "shuffle", "gradient", "field"];

class QuestionsPanel {
  constructor(app) {
    this.app = app;
    this.open = new Set();
  }

  render() {
    const { app } = this;
    return QUESTIONS.map((name) => {
      const details = h("details", { open: this.open.has(name) || null }, h("summary", { "data-key": `question:${name}` }, app.t(`ask.${name}`)));
      if (this.open.has(name)) details.append(...this._answer(name));
      details.addEventListener("toggle", () => {
        if (details.open === this.open.has(name)) return;
        if (details.open) {
          this.open.add(name);
          details.append(...this._answer(name));
        } else this.open.delete(name);
      });
      return details;
    });
  }

  _answer(name) {
    const { t } = this.app;
    const show = (changes, key) => button(t("ask.show"), () => this.app.setGeometry({ ...this.app.state.geometry, ...changes }, { weight: null, input: null, kernel: "random", pin: null }), { "data-key": key });
    return [paragraph(t(`answer.${name}`)), ...[this[`_${name}`](show)].flat().filter(Boolean)];
  }

  /** x beside Cᵀ(Cx), and CᵀC. */
  _inverse() {
    const { model, t } = this.app;
    const x = smallIntegers([model.fineChannels, ...model.fine], this.app.state.seed + 5, 4);
    const back = model.multiply(model.multiply(x, false), true), cells = area(model.fine);
    const figures = [figure("x", numberTiles("x", x.subarray(0, cells), model.fine)), figure("Cᵀ(Cx)", numberTiles("Cᵀ(Cx)", back.subarray(0, cells), model.fine, (value, index) => (value === x[index] ? "" : "odd")))];
    if (model.columns <= 40) {
      const columns = range(model.columns).map((j) => model.multiply(model.multiply(Float64Array.from({ length: model.columns }, (_, i) => Number(i === j)), false), true));
      figures.push(figure(t("inverse.product"), tiles(t("inverse.product"), model.columns, range(model.columns ** 2).map((at) => {
        const [i, j] = [Math.floor(at / model.columns), at % model.columns];
        return { kind: columns[j][i] === 0 ? "" : i === j ? "mark" : "odd" };
      }), Math.max(5, Math.floor(220 / model.columns)))));
    }
    return h("div", { class: "row" }, figures);
  }

  /** What output_padding appends: cells that are computed, but for those that no tap reaches. */
  _appended() {
    const { app } = this, { model, t } = app;
    if (!model.transposed) return onlyTransposed(app);
    const reached = model.axes.map((axis) => axis.overlap());
    const cells = range(area(model.fine)).map((index) => {
      const at = [Math.floor(index / model.fine[1]), index % model.fine[1]];
      return { appended: at.some((cell, a) => cell >= model.fine[a] - model.axes[a].slack), empty: at.some((cell, a) => !reached[a][cell]) };
    });
    const count = (test) => cells.filter(test).length;
    return [figure(t("appended.figure"), tiles(t("appended.figure"), model.fine[1], cells.map(({ appended, empty }, index) =>
      ({ text: shortNumber(model.output[index]), kind: `${appended ? "mark" : ""} ${empty ? "untouched" : ""}` })), 34)),
    paragraph(t("appended.count", { all: count((cell) => cell.appended), empty: count((cell) => cell.appended && cell.empty) }))];
  }

  /** Two conventions of where the odd cell of padding goes, as two frames on one axis. */
  _odd() {
    const { app } = this, { t } = app;
    if (!app.model.transposed) return onlyTransposed(app);
    return namedAxes(app).map(([axis, name]) => {
      const total = axis.lo + axis.far, low = Math.floor(total / 2);
      const frame = (lo) => tiles(name, axis.canvas, range(axis.canvas).map((cell) => ({ kind: cell >= lo && cell < lo + axis.fine ? "mark" : "cropped" })), 18);
      return h("div", { class: "row" }, h("b", {}, name), figure(`torch (${axis.lo}, ${axis.far})`, frame(axis.lo)),
        total >= 0 ? figure(`"same": Keras, ONNX SAME_UPPER (${low}, ${total - low})`, frame(low)) : null,
        paragraph(t(axis.lo === low ? "odd.equal" : "odd.shift", { shift: Math.abs(axis.lo - low) })));
    });
  }

  /** The weight as labelled blocks of C. */
  _layout(show) {
    const { app } = this, { model, t } = app, [first, second] = model.transposed ? ["in", "out"] : ["out", "in"];
    const blocks = range(model.coarseChannels).flatMap((a) => range(model.fineChannels).map((b) =>
      ({ text: model.meets(a, b) ? `w[${a},${b % model.finePerGroup}]` : "0", kind: model.meets(a, b) ? "mark" : "" })));
    const shape = [model.coarseChannels, model.finePerGroup, ...app.stage._sizes(model.taps)].join(", ");
    return [paragraph(t("layout.shape", { first, second, shape })), figure(t("layout.blocks", { rows: t(app.roleOf("coarse")), columns: t(app.roleOf("fine")) }), tiles(t("layout.blocks", { rows: "", columns: "" }), model.fineChannels, blocks, 64)),
      show({ groups: 1, in_channels: 2, out_channels: 3 }, "layout")];
  }

  _groups(show) {
    const { app } = this, { model, t } = app;
    const blocks = range(model.coarseChannels).flatMap((a) => range(model.fineChannels).map((b) => ({ kind: model.meets(a, b) ? "mark" : "" })));
    return [figure(t("groups.blocks", { groups: model.geometry.groups }), tiles(t("ask.groups"), model.fineChannels, blocks, 26)), show({ groups: 2, in_channels: 2, out_channels: 4 }, "groups")];
  }

  /** A triangle kernel along one axis, Cᵀ1, and their quotient, beside interpolation. */
  _bilinear() {
    const { t } = this.app;
    const stride = Math.max(this.app.model.axes[1].stride, 2), kernel = 2 * stride - (stride % 2), y = [1, 4, 2];
    const lo = Math.ceil((stride - 1) / 2), axis = new Axis(y.length * stride, y.length, kernel, stride, 1, lo, kernel - stride - lo);
    const profile = PROFILES.bilinear(kernel);
    const spread = (values) => range(axis.fine).map((i) => axis.feeds(i).reduce((sum, [tap, o]) => sum + profile[tap] * values[o], 0));
    const sums = spread(y), ones = spread([1, 1, 1]);
    const interpolated = range(axis.fine).map((i) => {
      const place = Math.min(Math.max((i + 0.5) / stride - 0.5, 0), y.length - 1), at = Math.min(Math.floor(place), y.length - 2);
      return y[at] + (place - at) * (y[at + 1] - y[at]);
    });
    const quotient = sums.map((value, i) => value / ones[i]);
    const same = quotient.every((value, i) => Math.abs(value - interpolated[i]) < 1e-12);
    const row = (caption, values) => figure(caption, numberTiles(caption, values, [1, values.length], () => "", 42));
    return [h("p", {}, `y = (${y.join(", ")}), w = (${profile.map((value) => shortNumber(value)).join(", ")}), stride ${stride}`),
      row("Cᵀy", sums), row("Cᵀ1", ones), row("Cᵀy / Cᵀ1", quotient), row("interpolate(y, align_corners=False)", interpolated), paragraph(t(same ? "bilinear.same" : "bilinear.differ"), same ? "good" : "warn")];
  }

  /** The phases of the output: each is a small convolution of stride 1; interleaved they are the output. */
  _shuffle() {
    const { app } = this, { model, t } = app;
    if (!model.transposed) return onlyTransposed(app);
    const [, columns] = model.axes.map((axis) => axis.stride);
    const phaseOf = (index) => model.axes[0].phase(Math.floor(index / model.fine[1])) * columns + model.axes[1].phase(index % model.fine[1]);
    const cells = range(area(model.fine));
    const phases = [...new Set(cells.map(phaseOf))].sort((one, other) => one - other).slice(0, 9);
    const single = (phase) => {
      const own = cells.filter((index) => phaseOf(index) === phase);
      return figure(t("shuffle.phase", { phase: model.ndim === 1 ? phase : `${Math.floor(phase / columns)}, ${phase % columns}` }),
        numberTiles(t("ask.shuffle"), own.map((index) => model.output[index]), [1, new Set(own.map((index) => index % model.fine[1])).size], () => `p${phase % 4}`));
    };
    return h("div", { class: "row" }, phases.map(single), figure(t("shuffle.all"), numberTiles(t("shuffle.all"), model.output.subarray(0, area(model.fine)), model.fine, (value, index) => `p${phaseOf(index) % 4}`)));
  }

  _gradient() {
    const { app } = this;
    return button(app.t(app.state.gradient ? "gradient.off" : "gradient.on"), () => app.set({ gradient: !app.state.gradient }), { "data-key": "gradient", "aria-pressed": String(app.state.gradient) });
  }

  _field() {
    const { app } = this;
    const rows = namedAxes(app).map(([axis, name]) => [name, axis.extent, axis.phases().map((taps, r) => `${r}: ${taps.length}`).join("; ")]);
    return [table(["", app.t("field.direct"), app.t("field.phases")], rows), button(app.t("panel.checkerboard"), () => app.openPanel("checkerboard"), { "data-key": "field" })];
  }
}
