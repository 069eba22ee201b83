// Checkerboards: how many taps meet in each phase of the output, and what these taps sum to. The verdict is by the sums.

/** Every phase of a pair of channels: its residues, its taps, how many they are, and their sum. */
function phasesOf(model, a, b) {
  const [rows, columns] = model.axes.map((axis) => axis.phases());
  return rows.flatMap((first, r) => columns.map((second, c) => {
    const taps = first.flatMap((s) => second.map((t) => s * model.taps[1] + t));
    const sum = taps.reduce((total, tap) => total + model.weight[model.weightPlace(a, b, tap)], 0);
    return { residues: [r, c], taps, count: taps.length, sum };
  }));
}

function isBalanced(phases) {
  const most = Math.max(...phases.map((phase) => Math.abs(phase.sum)), 1e-300);
  return phases.every((phase) => Math.abs(phase.sum - phases[0].sum) <= 1e-9 * most);
}

class CheckerboardPanel {
  constructor(app) {
    this.app = app;
  }

  render() {
    const { app } = this, { t, model, channels } = app;
    if (!model.transposed) return onlyTransposed(app);
    const phases = phasesOf(model, channels.coarse, channels.fine), width = model.axes[1].stride;
    const even = phases.every((phase) => phase.count === phases[0].count), balanced = isBalanced(phases);
    const empty = phases.some((phase) => phase.count === 0);
    const ones = model.multiply(new Float64Array(model.rows).fill(1), true).subarray(channels.fine * area(model.fine), (channels.fine + 1) * area(model.fine));
    const most = Math.max(...ones.map(Math.abs), 1e-300);
    const shown = phases.slice(0, 16);
    const name = (phase) => (model.ndim === 1 ? String(phase.residues[1]) : phase.residues.join(", "));
    const taps = (phase) => phase.taps.slice(0, 9).map((tap) => tapName(model, model.weightPlace(channels.coarse, channels.fine, tap))).join(" ") || "–";
    return [
      paragraph(t(empty ? "check.empty" : balanced ? (even ? "check.balanced" : "check.balanced_uneven") : even ? "check.flickers_even" : "check.flickers"), balanced && !empty ? "good" : "warn"),
      h("div", { class: "columns" },
        h("section", {}, table([t("check.phase"), t("check.taps"), t("check.count"), t("check.sum"), t("check.field")],
          shown.map((phase) => [name(phase), taps(phase), phase.count, h("b", {}, shortNumber(phase.sum)), this._field(phase)])),
        phases.length > shown.length ? paragraph(t("sum.more", { count: phases.length - shown.length }), "note") : null),
        h("section", { class: "row" },
          figure(t("check.counts"), tiles(t("check.counts"), width, phases.map((phase) => ({ text: phase.count, kind: phase.count === phases[0].count ? "" : "odd" })), 30)),
          figure(t("check.sums"), tiles(t("check.sums"), width, phases.map((phase) => ({ text: shortNumber(phase.sum), kind: shortNumber(phase.sum) === shortNumber(phases[0].sum) ? "" : "odd" })), 30)),
          figure(t("check.ones"), this._grey(ones, most)))),
      balanced && !empty ? null : this._cures(),
    ];
  }

  /** Inputs that an output of the phase sees along each axis. */
  _field(phase) {
    const { model } = this.app;
    const spread = (axis, r) => {
      const steps = axis.phases()[r].map((t) => Math.floor((t * axis.dilation) / axis.stride));
      return steps.length ? Math.max(...steps) - Math.min(...steps) + 1 : 0;
    };
    return sizeText(this.app.stage._sizes(model.axes.map((axis, a) => spread(axis, phase.residues[a]))));
  }

  _grey(values, most) {
    const picture = tiles(this.app.t("check.ones"), this.app.model.fine[1], Array.from(values, (value) => ({ text: this.app.model.columns < 200 ? shortNumber(value, 2) : "" })), Math.max(8, Math.min(30, Math.floor(320 / this.app.model.fine[1]))));
    [...picture.children].forEach((cell, index) => cell.style.setProperty("background", mixed("#ffffff", "#0072b2", 0.1 + (0.5 * Math.abs(values[index])) / most)));
    picture.classList.add("grey");
    return picture;
  }

  _cures() {
    const { app } = this, { t, model } = app, { geometry } = app.state;
    const next = geometry.kernel_size.map((size, a) => Math.max(Math.ceil(size / geometry.stride[a]), 2) * geometry.stride[a]);
    return h("div", { class: "row" }, h("b", {}, t("check.cure")),
      button(t("check.cure.bilinear", { size: sizeText(next) }), () => {
        const dilation = geometry.dilation.map(() => 1);
        const wanted = { ...geometry, kernel_size: next, dilation };
        if (!whatIsWrong(wanted)) app.setGeometry(wanted, { kernel: "bilinear", weight: null });
      }, { "data-key": "cure" }), paragraph(t("check.cure.text"), "note"));
  }
}
