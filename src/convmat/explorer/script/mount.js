// The page: one state, the model of it, and the views that draw it.

const WIDE = 1000, NARROW = 620; // pixels of the root's width

class App {
  constructor(root, { state = {}, onChange = null, embedded = false } = {}) {
    this.root = root;
    this.onChange = onChange;
    this.embedded = embedded;
    this.state = cleanState(state);
    this.draft = this.state.geometry;
    this.wrong = null;
    this.hovered = null;
    this.t = (key, values) => say(this.language(), key, values);
    this.channels = { coarse: 0, fine: 0 };
    this.model = modelOf(this.state);
    this._build();
    this.render();
    this._watch();
  }

  // -- what there is -----------------------------------------------------------------------------------------------------

  language() {
    return this.state.lang || (/^zh/i.test(navigator.language || "") ? "zh" : "en");
  }

  theme() {
    return this.state.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  }

  isNarrow() {
    return this.width < WIDE;
  }

  /** The colours of the theme, for what is drawn on a canvas. */
  colours() {
    if (!this._colours) {
      const style = getComputedStyle(this.root), of = (name) => style.getPropertyValue(`--${name}`).trim();
      this._colours = { font: "ui-sans-serif, system-ui, sans-serif", marks: range(8).map((k) => of(`mark${k}`)) };
      for (const name of ["paper", "ink", "muted", "line", "faint", "zero", "positive", "negative", "band"]) this._colours[name] = of(name);
      this._colours.soft = of("accent-soft");
      this._colours.strength = this.theme() === "dark" ? 0.75 : 1;
    }
    return this._colours;
  }

  /** The soft colours of marks, by their number. */
  softColours() {
    const style = getComputedStyle(this.root);
    return range(8).map((k) => style.getPropertyValue(`--soft${k}`).trim());
  }

  /** The symbols of the map's input and output. */
  names() {
    const { transposed } = this.state.geometry;
    if (this.state.gradient) return transposed ? { input: "dy", output: "dx" } : { input: "dz", output: "dy" };
    return transposed ? { input: "y", output: "z" } : { input: "x", output: "y" };
  }

  /** "input" or "output": what coarse and fine cells are to the map. */
  roleOf(side) {
    return (side === "coarse") === this.model.transposed ? "role.input" : "role.output";
  }

  /** The name of a coarse or fine cell by its number. */
  cell(side, index) {
    const { model } = this, names = this.names();
    const name = this.roleOf(side) === "role.input" ? names.input : names.output;
    return side === "coarse"
      ? cellName(model, name, index, model.coarse, model.coarseChannels)
      : cellName(model, name, index, model.fine, model.fineChannels);
  }

  _indexOf([kind, channel, row, column]) {
    const sizes = kind === "coarse" ? this.model.coarse : this.model.fine;
    return channel * area(sizes) + row * sizes[1] + column;
  }

  nameOf(selection) {
    if (selection[0] === "weight") return tapName(this.model, selection[1]);
    if (selection[0] === "place") return this.t("sum.place");
    return this.cell(selection[0], this._indexOf(selection));
  }

  valueOf(selection) {
    const isInput = this.roleOf(selection[0]) === "role.input";
    return (isInput ? this.model.input : this.model.output)[this._indexOf(selection)];
  }

  placeOfSelection([kind, ...numbers]) {
    if (kind === "fine") return this.model.placeOf(numbers[1] * this.model.fine[1] + numbers[2]);
    return kind === "place" ? numbers[0] * this.model.canvas[1] + numbers[1] : -1;
  }

  describe(selection, lit) {
    return sentence(this, selection, lit);
  }

  /** Steps of the timeline: one a stamp, and one more where padding adds the border back. */
  lastStep() {
    const { model } = this;
    return area(model.coarse) + (model.transposed && model.geometry.padding_mode !== "zeros" ? 1 : 0);
  }

  isDone() {
    return this.state.step === null || this.state.step >= this.lastStep();
  }

  stampsDone() {
    return this.isDone() ? Infinity : this.state.step;
  }

  selection() {
    return fitted(this.state.pin, this.model) || this.hovered || usualSelection(this.model, this.state, this.channels);
  }

  // -- what changes it ---------------------------------------------------------------------------------------------------

  /** Change parts of the state, all else following. */
  set(changes, { quiet = false } = {}) {
    this.state = { ...this.state, ...changes };
    this.render();
    if (!quiet) this._tell();
  }

  /** Another geometry that exists; numbers that were given by hand stay where they can. */
  setGeometry(geometry, more = {}) {
    const before = shapesOf(this.state.geometry), after = shapesOf(geometry);
    const next = { ...this.state, geometry, note: null, ...more };
    const { step } = next;
    for (const name of ["weight", "input"]) {
      if (!next[name] || next[name] !== this.state[name]) continue;
      if (String(before[name]) === String(after[name])) continue;
      const filling = smallIntegers(after[name], next.seed + (name === "weight" ? 1000 : 0), name === "weight" ? 3 : 4);
      next[name] = reshaped(next[name], before[name], after[name], filling);
    }
    if (step !== null && String(before.input) !== String(after.input)) next.step = null;
    this.draft = geometry;
    this.wrong = null;
    this.set(next);
  }

  /** Numbers that may not exist: if so, say why, and what would do. */
  tryNumbers(paths, numbers) {
    const next = paths.reduce((geometry, path, k) => changed(geometry, path, numbers[k]), this.draft);
    this.tryGeometry(next, paths);
  }

  tryGeometry(next, paths) {
    const error = whatIsWrong(next);
    if (!error) return this.setGeometry(next);
    this.draft = next;
    const nearest = nearestNumbers(next, paths) || mend(clampGeometry(next));
    const numbers = [...new Set(paths.map((path) => read(nearest, path)))].join("×");
    this.wrong = { error, path: paths[0], offer: { geometry: nearest, text: `${this.t(`name.${paths[0][0]}`)} = ${numbers}` } };
    this.parameters.render();
    return this._renderPanel();
  }

  /** The same table read the other way: C instead of its transpose, with the same weight. */
  setDirection(transposed) {
    const { geometry } = this.state, { model } = this;
    if (geometry.transposed === transposed) return;
    const axes = model.axes.slice(2 - model.ndim);
    const turned = {
      ...geometry, transposed, in_channels: geometry.out_channels, out_channels: geometry.in_channels,
      input_size: axes.map((axis) => (transposed ? axis.coarse : axis.fine)),
      output_padding: axes.map((axis) => (transposed ? axis.slack : 0)),
    };
    this.setGeometry(mend(clampGeometry(turned)), { input: null, pin: null, step: null });
  }

  setStep(step) {
    this.set({ step });
  }

  adjustWeight(place, by) {
    const weight = Float64Array.from(this.model.weight);
    weight[place] = Math.round((weight[place] + by) * 1000) / 1000;
    this.set({ weight, kernel: "own" });
  }

  adjustInput(index, by) {
    const input = Float64Array.from(this.model.input);
    input[index] = Math.round((input[index] + by) * 1000) / 1000;
    this.set({ input });
  }

  pickChannel(which, channel) {
    this.channels[which] = channel;
    this.render();
  }

  hover(selection, spoken = false) {
    this.hovered = selection;
    if (!this.state.pin) this._lightSoon(spoken);
  }

  leave() {
    this.hovered = null;
    if (!this.state.pin) this._lightSoon(false);
  }

  pin(selection) {
    const same = this.state.pin && String(this.state.pin) === String(selection);
    this.state = { ...this.state, pin: same ? null : selection };
    this._lightSoon(true);
    this._tell();
  }

  toggleSheet(open = !this.root.classList.contains("sheet-open")) {
    this.root.classList.toggle("sheet-open", open);
    this.sheetButton.setAttribute("aria-expanded", String(open));
    if (!open) this.sheetButton.focus();
  }

  openPanel(name) {
    const panel = this.state.panel === name ? "" : name;
    this.set({ panel });
    if (panel) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.panel.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
    }
  }

  // -- drawing -----------------------------------------------------------------------------------------------------------

  _build() {
    this.stage = new Stage(this);
    this.matrix = new MatrixView(this);
    this.sum = new SumView(this);
    this.timeline = new Timeline(this);
    this.parameters = new Parameters(this);
    this.panels = Object.fromEntries(Object.entries(PANEL_CLASSES).map(([name, Panel]) => [name, new Panel(this)]));
    this.title = h(this.embedded ? "p" : "h1", { class: "title" });
    this.lead = h("p", { class: "lead" });
    this.switches = h("div", { class: "switches" });
    this.sheetButton = button("", () => this.toggleSheet(), { class: "only-phone", "aria-expanded": "false" });
    this.matrixButton = button("", () => this._toggleMatrix(), { class: "only-phone", "aria-pressed": "false" });
    this.tabs = h("div", { class: "tabs", role: "group" });
    this.panel = h("section", { class: "panel" });
    this.head = h("header", {}, h("div", {}, this.title, this.lead), this.switches);
    this.stageBox = h("div", { class: "stage" }, this.stage.element, this.sum.element, this.matrix.element);
    this.dock = h("div", { class: "dock" }, this.timeline.element, this.sheetButton, this.matrixButton);
    this.root.classList.add("convmat");
    this.root.replaceChildren(this.head, this.parameters.element[0], this.parameters.element[1], this.parameters.element[2],
      this.stageBox, this.dock, this.tabs, this.panel);
    this.root.addEventListener("keydown", (event) => this._key(event));
  }

  _toggleMatrix() {
    const shown = this.root.classList.toggle("matrix-shown");
    this.matrixButton.setAttribute("aria-pressed", String(shown));
    if (shown) {
      this.matrix.fit();
      this._light(false);
      this.matrix.element.scrollIntoView({ block: "nearest" });
    }
  }

  render() {
    this._measure();
    this.model = modelOf(this.state);
    const { model, t } = this;
    this.channels.coarse = Math.min(this.channels.coarse, model.coarseChannels - 1);
    this.channels.fine = Math.min(this.channels.fine, model.fineChannels - 1);
    if (!model.meets(this.channels.coarse, this.channels.fine)) this.channels.coarse = model.coarsesOf(this.channels.fine)[0];
    this.root.lang = this.language() === "zh" ? "zh-Hans" : "en";
    if (this.root.dataset.theme !== this.theme()) this._colours = null;
    this.root.dataset.theme = this.theme();
    this.root.classList.toggle("direct", !model.transposed);
    this.root.classList.toggle("coloured", this.state.show === "colours");
    this.root.classList.toggle("predicting", Boolean(this.state.predict && this.state.predict.kind === "size"));
    this.root.classList.toggle("symbolic", this.state.show === "symbols");
    const kind = model.transposed ? "transposed" : "direct";
    this.title.textContent = t(`title.${kind}`);
    this.lead.textContent = t(this.state.gradient ? `lead.${kind}.gradient` : `lead.${kind}`);
    this._switches();
    this.tabs.setAttribute("aria-label", t("tabs.label"));
    refill(this.tabs, PANELS.map((name) => button(t(`panel.${name}`), () => this.openPanel(name), {
      "aria-expanded": String(this.state.panel === name), "data-key": `tab:${name}`,
    })));
    this.sheetButton.textContent = t("sheet");
    this.matrixButton.textContent = t("matrix.show");
    this.parameters.render();
    // Whoever asks for the room there is comes before what fills it: else the browser would lay it out twice.
    this.sum.render();
    this.matrix.render();
    this.stage.render();
    this.timeline.render();
    this._renderPanel();
    this._light(false);
  }

  _switches() {
    const { t, state } = this;
    const zh = this.language() === "zh", dark = this.theme() === "dark";
    refill(this.switches,
      choice(t("show.label"), ["numbers", "symbols", "colours"].map((show) => [show, t(`show.${show}`)]), state.show, (show) => this.set({ show })),
      button(zh ? "English" : "中文", () => this.set({ lang: zh ? "en" : "zh" }), { class: "quiet", lang: zh ? "en" : "zh-Hans", "data-key": "lang" }),
      button(dark ? "☀" : "☾", () => this.set({ theme: dark ? "light" : "dark" }), { class: "quiet", "aria-label": t(dark ? "theme.light" : "theme.dark"), title: t(dark ? "theme.light" : "theme.dark"), "data-key": "theme" }));
  }

  _renderPanel() {
    const panel = this.panels[this.state.panel];
    this.panel.hidden = !panel;
    if (!panel) return this.panel.replaceChildren();
    this.panel.setAttribute("aria-label", this.t(`panel.${this.state.panel}`));
    refill(this.panel, h("h2", { class: "panel-title" }, this.t(`panel.${this.state.panel}`)), panel.render());
    return null;
  }

  _lightSoon(spoken) {
    this._spoken = this._spoken || spoken;
    if (this._waiting) return;
    this._waiting = requestAnimationFrame(() => {
      this._waiting = null;
      this._light(this._spoken);
      this._spoken = false;
    });
  }

  _light(spoken) {
    const lit = litBy(this.selection(), this.model, this.channels);
    this.lit = lit;
    this.root.classList.toggle("pinned", Boolean(this.state.pin));
    this.stage.light(lit);
    this.matrix.light(lit);
    this.sum.light(lit, spoken);
    const panel = this.panels[this.state.panel];
    if (panel && panel.light) panel.light(lit);
  }

  // -- the world around --------------------------------------------------------------------------------------------------

  _measure() {
    this.width = this.root.clientWidth || WIDE;
    this.root.classList.toggle("wide", this.width >= WIDE);
    this.root.classList.toggle("phone", this.width < NARROW);
  }

  _watch() {
    this.observer = new ResizeObserver(() => {
      if (Math.abs(this.root.clientWidth - this.width) < 1) return;
      this.render();
    });
    this.observer.observe(this.root);
    this._scheme = matchMedia("(prefers-color-scheme: dark)");
    this._onScheme = () => this.render();
    this._scheme.addEventListener("change", this._onScheme);
  }

  _tell() {
    if (this.onChange) this.onChange(this.state, this);
  }

  _key(event) {
    const { target } = event;
    const typing = target.matches("input, textarea, select");
    if (event.key === "Escape") {
      if (this.root.classList.contains("sheet-open")) this.toggleSheet(false);
      else if (this.state.pin) this.pin(this.state.pin);
    } else if (event.key === " " && !typing && !target.matches("button, summary, a") && (this.stageBox.contains(target) || this.dock.contains(target))) {
      event.preventDefault();
      this.timeline.toggle();
    } else if (event.key === "n" && !typing && this.state.panel === "story" && !event.ctrlKey && !event.metaKey) {
      this.panels.story.go(1);
    }
  }

  /** Replace the state from outside. */
  update(given) {
    this.state = cleanState(given);
    this.draft = this.state.geometry;
    this.wrong = null;
    this.render();
  }

  destroy() {
    this.observer.disconnect();
    this._scheme.removeEventListener("change", this._onScheme);
    this.timeline.stop();
    this.root.replaceChildren();
  }
}

/**
 * Put the page into an element.
 *
 * @param root  an element; its style and content are ours from now on
 * @param options  {state, onChange(state), embedded}: part of a state, who is told of changes, whether others write titles
 * @returns  {state, update(state), destroy()}
 */
function mount(root, options = {}) {
  return new App(root, options);
}
