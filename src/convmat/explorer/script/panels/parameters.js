// All numbers of the geometry, each by itself.

class ParametersPanel {
  constructor(app) {
    this.app = app;
    this.steppers = new Map();
  }

  _stepper(path, key) {
    const { app } = this, name = path.join(".");
    if (!this.steppers.has(name)) {
      this.steppers.set(name, new Stepper(app, {
        name: `more.${name}`,
        label: () => app.t(key),
        get: () => [read(app.draft, path)],
        set: ([number]) => app.tryNumbers([path], [number]),
      }));
    }
    const stepper = this.steppers.get(name), { wrong } = app;
    stepper.render(Boolean(wrong) && String(wrong.path) === String(path));
    return stepper.element;
  }

  render() {
    const { app } = this, { t, draft } = app, ndim = draft.input_size.length;
    const rows = range(ndim).map((a) => {
      const paths = [["input_size", a], ["kernel_size", a], ["stride", a], ["dilation", a], ["padding", a, 0], ["padding", a, 1]];
      const keys = ["name.input_size", "name.kernel_size", "name.stride", "name.dilation", "name.lo", "name.hi"];
      if (draft.transposed) { paths.push(["output_padding", a]); keys.push("name.output_padding"); }
      return h("div", { class: "row", role: "group", "aria-label": ndim === 1 ? t("size.length") : t(`axis.${a}`) },
        h("b", { class: "row-name" }, ndim === 1 ? t("size.length") : t(`axis.${a}`)), paths.map((path, k) => this._stepper(path, keys[k])));
    });
    return [
      rows,
      h("div", { class: "row" }, ["in_channels", "out_channels", "groups"].map((name) => this._stepper([name], `name.${name}`)),
        this._choice("name.padding_mode", MODES.map((mode) => [mode, t(`mode.${mode}`)]), draft.padding_mode, (mode) => app.tryGeometry({ ...app.draft, padding_mode: mode }, [["padding", 0, 0]])),
        this._choice("name.axes", [[1, "1-d"], [2, "2-d"]], ndim, (count) => this._axes(count))),
      h("div", { class: "row" },
        button(t("more.same"), () => this._same(), { "data-key": "same", title: t("more.same.help") }),
        button(t("more.numbers"), () => app.set({ seed: app.state.seed + 1, weight: null, input: null, kernel: "random" }), { "data-key": "seed" }),
        button(t("more.reset"), () => app.update({ lang: app.state.lang, theme: app.state.theme, panel: "parameters" }), { "data-key": "reset" })),
      paragraph(t(`more.${draft.padding_mode === "zeros" ? "zeros" : "modes"}`), "note"),
    ];
  }

  _choice(key, choices, chosen, act) {
    return h("div", { class: "stepper" }, h("span", { class: "stepper-label" }, this.app.t(key)), choice(this.app.t(key), choices, chosen, act));
  }

  _axes(count) {
    const { app } = this, { geometry } = app.state;
    const next = { ...geometry };
    for (const name of [...LISTS, "padding"]) next[name] = count === 1 ? geometry[name].slice(-1) : [geometry[name][0], geometry[name].at(-1)];
    app.setGeometry(next, { pin: null, step: null, input: null, weight: null, kernel: app.state.kernel === "own" ? "random" : app.state.kernel });
  }

  _same() {
    const { app } = this, { geometry } = app.state;
    const found = range(geometry.input_size.length).map((a) =>
      samePadding(geometry.input_size[a], geometry.kernel_size[a], geometry.stride[a], geometry.dilation[a], geometry.transposed));
    const next = { ...geometry, padding: found.map(({ lo, hi }) => [lo, hi]), output_padding: found.map(({ outputPadding }) => outputPadding) };
    app.tryGeometry(next, [["padding", 0, 0]]);
  }
}
