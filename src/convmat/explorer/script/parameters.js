// The steppers: the row of the first screen, and all the other numbers behind a panel. What is wrong is said at once, and
// the picture stays that of the last geometry that exists.

/** A number with buttons on both sides. */
class Stepper {
  constructor(app, { label, title, get, set, name }) {
    Object.assign(this, { app, label, title, get, set });
    this.box = h("input", {
      type: "text", inputmode: "numeric", autocomplete: "off", "data-key": `${name}:box`,
      onchange: () => this._typed(), onkeydown: (event) => this._key(event),
    });
    this.less = button("−", () => this._by(-1), { "data-key": `${name}:less` });
    this.more = button("+", () => this._by(1), { "data-key": `${name}:more` });
    this.caption = h("span", { class: "stepper-label" });
    this.element = h("div", { class: "stepper", role: "group" }, this.caption, h("span", { class: "stepper-box" }, this.less, this.box, this.more));
  }

  _by(step) {
    const numbers = this.get();
    this.set(numbers.map((number) => number + step));
  }

  _typed() {
    const given = this.box.value.replace(/−/g, "-").match(/-?\d+/g);
    const numbers = this.get();
    if (given) this.set(numbers.map((_, a) => Number(given[Math.min(a, given.length - 1)])));
    else this.render();
  }

  _key(event) {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this._by(by);
  }

  render(isWrong = false) {
    const numbers = this.get(), same = numbers.every((number) => number === numbers[0]);
    this.box.value = same ? String(numbers[0]) : numbers.join("×");
    this.box.size = Math.max(this.box.value.length, 2);
    const label = this.label();
    this.caption.textContent = label;
    const title = this.title ? this.title() : "";
    this.element.title = title;
    this.element.setAttribute("aria-label", label);
    this.box.setAttribute("aria-label", label);
    this.box.setAttribute("aria-invalid", String(isWrong));
    this.less.setAttribute("aria-label", this.app.t("stepper.less", { label }));
    this.more.setAttribute("aria-label", this.app.t("stepper.more", { label }));
  }
}

class Parameters {
  constructor(app) {
    this.app = app;
    const all = (name) => (name === "padding"
      ? (a) => [["padding", a, 0], ["padding", a, 1]]
      : (a) => [[name, a]]);
    const together = (name, key = name) => this._stepper(key, (a) => all(name)(a));
    this.direction = h("div");
    this.first = [
      this._stepper("height", (a) => (a === 0 ? [["input_size", 0]] : [])),
      this._stepper("width", (a, ndim) => (a === ndim - 1 ? [["input_size", a]] : [])),
      together("kernel_size"), together("stride"), together("padding"), together("output_padding"),
    ];
    this.message = h("div", { class: "message", role: "status" });
    this.note = h("p", { class: "note" });
    this.close = button("×", () => app.toggleSheet(false), { class: "close" });
    this.whose = h("p", { class: "note whose" });
    this.row = h("div", { class: "parameters", role: "group" }, this.direction, this.first.map((one) => one.element), this.whose, this.close);
    this.element = [this.row, this.message, this.note];
  }

  /** A stepper of the numbers at some paths of the geometry; `pathsOf` lists them for each axis. */
  _stepper(name, pathsOf) {
    const { app } = this;
    const paths = () => {
      const ndim = app.draft.input_size.length;
      return range(ndim).flatMap((a) => pathsOf(a, ndim));
    };
    const stepper = new Stepper(app, {
      name,
      label: () => app.t(app.draft.input_size.length === 1 && name === "width" ? "parameter.length" : `parameter.${name}`),
      title: () => (`parameter.${name}.help` in WORDS ? app.t(`parameter.${name}.help`) : ""),
      get: () => paths().map((path) => read(app.draft, path)),
      set: (numbers) => app.tryNumbers(paths(), numbers),
    });
    stepper.name = name;
    stepper.paths = paths;
    return stepper;
  }

  render() {
    const { app } = this, { t } = app, { wrong } = app;
    this.row.setAttribute("aria-label", t("parameter.label"));
    refill(this.direction, choice(t("direction.label"), [["transposed", t("direction.transposed")], ["direct", t("direction.direct")]],
      app.draft.transposed ? "transposed" : "direct", (value) => app.setDirection(value === "transposed")));
    for (const stepper of this.first) {
      const hidden = (stepper.name === "height" && app.draft.input_size.length === 1) || (stepper.name === "output_padding" && !app.draft.transposed);
      stepper.element.hidden = hidden;
      if (!hidden) stepper.render(Boolean(wrong) && stepper.paths().some((path) => path[0] === wrong.path[0]));
    }
    const { model } = app, sizes = (which) => sizeText(app.stage._sizes(model[which]));
    this.whose.textContent = t(model.transposed ? "whose.transposed" : "whose.direct", { fine: sizes("fine"), coarse: sizes("coarse") });
    this.close.setAttribute("aria-label", t("close"));
    this._message(wrong);
    const { note } = app.state;
    this.note.hidden = !note;
    this.note.textContent = note ? t(note.key, note.values) : "";
  }

  _message(wrong) {
    const { app } = this;
    this.message.hidden = !wrong;
    if (!wrong) return refill(this.message);
    const axis = app.draft.input_size.length > 1 && wrong.error.key !== "wrong.groups" && wrong.error.key !== "wrong.entries" ? `${app.t(`axis.${wrong.error.axis}`)}: ` : "";
    const offer = wrong.offer && button(app.t("wrong.use", { text: wrong.offer.text }), () => app.setGeometry(wrong.offer.geometry), { "data-key": "offer" });
    return refill(this.message, h("span", {}, axis + app.t(wrong.error.key, wrong.error.values)), " ", offer,
      button(app.t("wrong.back"), () => app.setGeometry(app.state.geometry), { class: "quiet", "data-key": "back" }));
  }
}
