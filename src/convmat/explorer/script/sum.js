// One sum written out, and the formula of the size with its numbers.

const MOST_TERMS = 9;

class SumView {
  constructor(app) {
    this.app = app;
    this.sum = h("div", { class: "sum" });
    this.formula = h("div", { class: "formula" });
    this.live = h("div", { class: "unseen", "aria-live": "polite" });
    this.element = h("div", { class: "words" },
      h("section", { class: "pane-sum" }, this.sum), h("section", { class: "pane-formula" }, this.formula), this.live);
  }

  render() {
    const { app } = this, { model, state } = app;
    this.sum.setAttribute("aria-label", app.t("sum.label"));
    const hide = state.predict && state.predict.kind === "size";
    this.formula.replaceChildren(h("h2", {}, app.t("size.title")),
      ...model.axes.slice(2 - model.ndim).map((axis, a) => this._size(axis, a, hide)));
  }

  _size(axis, a, hide) {
    const { app } = this, { geometry } = app.state;
    const piece = (number, name) => h("span", { class: "piece" }, h("b", {}, number), h("small", {}, name));
    const title = app.model.ndim === 1 ? app.t("size.length") : app.t(`axis.${a}`);
    const result = hide ? "?" : String(geometry.transposed ? axis.fine : axis.coarse);
    const spread = piece(`${axis.dilation}·(${axis.kernel}−1)`, app.t("size.spread"));
    const pieces = geometry.transposed
      ? [piece(`(${axis.coarse}−1)·${axis.stride}`, app.t("size.steps")), "+", spread, "+", piece("1", " "), "−", piece(axis.lo, "lo"), "−",
        piece(axis.hi, "hi"), "+", piece(axis.slack, app.t("size.slack"))]
      : ["⌊(", piece(axis.fine, app.t("size.input")), "+", piece(axis.lo, "lo"), "+", piece(axis.hi, "hi"), "−", spread, "− 1) /",
        piece(axis.stride, app.t("size.stride")), "⌋ + 1"];
    return h("p", { class: "size" }, h("span", { class: "piece result" }, h("b", {}, result), h("small", {}, title)), "=", pieces);
  }

  light(lit, spoken) {
    const { selection } = lit;
    const parts = selection ? this._parts(lit) : [h("p", { class: "sum-line" }, this.app.t("sum.none"))];
    this.sum.replaceChildren(...parts);
    if (spoken) this.live.textContent = this.app.describe(selection, lit);
  }

  _parts(lit) {
    const { app } = this, { model } = app, [kind] = lit.selection;
    const isOutput = kind === (model.transposed ? "fine" : "coarse");
    if (kind === "weight") return this._weight(lit);
    if (!isOutput && kind !== "place") return this._spread(lit);
    const terms = lit.terms.slice(0, MOST_TERMS);
    const total = lit.terms.reduce((sum, term) => sum + model.weight[term.weight] * model.read(term), 0);
    const name = kind === "place" ? app.t("sum.place") : app.nameOf(lit.selection);
    if (!lit.terms.length) {
      const why = kind === "place" && !model.transposed ? "sum.padding" : "sum.untouched";
      return [this._title(name), h("p", { class: "sum-line" }, h("b", {}, kind === "place" ? "" : "0"), app.t(why))];
    }
    if (kind === "place" && !model.transposed) {
      const inside = lit.terms[0].fine;
      const why = inside < 0 ? app.t("sum.padding") : app.t("sum.copy", { name: app.cell("fine", inside), value: shortNumber(model.input[inside]) });
      return [this._title(name), h("p", { class: "sum-line" }, why)];
    }
    const pieces = terms.flatMap((term, index) => [index ? "+" : "", this._term(term)]);
    if (lit.terms.length > terms.length) pieces.push(h("span", { class: "more" }, app.t("sum.more", { count: lit.terms.length - terms.length })));
    const hidden = app.state.predict && app.state.predict.cell === app.placeOfSelection(lit.selection);
    const note = kind !== "place" ? null : model.geometry.padding_mode === "zeros" ? app.t("sum.cropped")
      : app.t("sum.folded", { name: app.cell("fine", lit.terms[0].fine) });
    return [this._title(name, hidden ? "?" : shortNumber(total)), h("p", { class: "sum-line" }, pieces, note ? h("span", { class: "more" }, note) : null)];
  }

  /** What is summed, and the total: many terms are scrolled below it. */
  _title(name, total = null) {
    const title = this.app.t(this.app.model.transposed ? "sum.title" : "sum.title_direct", { name });
    const equals = total === null ? null : h("span", { class: "equals" }, "= ", h("b", { class: "total" }, total));
    return h("h2", {}, title, " ", equals);
  }

  /** A term as a product over the names of its factors. */
  _term(term) {
    const { app } = this, { model, state } = app;
    const numbers = `${shortNumber(model.read(term))}·${factor(model.weight[term.weight])}`;
    const names = `${this._read(term)} ${tapName(model, term.weight)}`;
    const symbols = state.show === "symbols";
    return h("span", { class: `piece lit c${term.colour}` }, h("b", {}, symbols ? names : numbers), h("small", {}, symbols ? numbers : names));
  }

  /** An input: which outputs it goes into, and through which taps. */
  _spread(lit) {
    const { app } = this, { model } = app;
    return this._list(lit, app.t(lit.terms.length ? "sum.spread" : "sum.unread", {
      name: app.nameOf(lit.selection), value: shortNumber(app.valueOf(lit.selection)), count: lit.terms.length,
    }), (term) => [`·${factor(model.weight[term.weight])}`, `→ ${this._written(term)}`]);
  }

  _weight(lit) {
    const { app } = this, { model } = app, place = lit.selection[1], value = shortNumber(model.weight[place]);
    return this._list(lit, app.t("sum.weight", { name: tapName(model, place), value, count: lit.terms.length }),
      (term) => [`${shortNumber(model.read(term))}·${factor(model.weight[place])}`, `${this._read(term)} → ${this._written(term)}`]);
  }

  _read(term) {
    const side = this.app.model.transposed ? "coarse" : "fine";
    return this.app.cell(side, term[side]);
  }

  _written(term) {
    const side = this.app.model.transposed ? "fine" : "coarse";
    return this.app.cell(side, term[side]);
  }

  /** A title, and the first terms as a number over words each. */
  _list(lit, title, wordsOf) {
    const rest = lit.terms.length - MOST_TERMS;
    const pieces = lit.terms.slice(0, MOST_TERMS).map((term) => {
      const [above, below] = wordsOf(term);
      return h("span", { class: `piece lit c${term.colour}` }, h("b", {}, above), h("small", {}, below));
    });
    return [h("h2", {}, title), h("p", { class: "sum-line" }, pieces, rest > 0 ? h("span", { class: "more" }, this.app.t("sum.more", { count: rest })) : null)];
  }
}

/** A selection in one sentence, for those who listen. */
function sentence(app, selection, lit) {
  const { model, t } = app;
  if (!selection) return t("sum.none");
  const terms = (lit || litBy(selection, model, app.channels)).terms;
  const name = app.nameOf(selection);
  if (selection[0] === "weight") {
    return t("sum.weight", { name, value: shortNumber(model.weight[selection[1]]), count: terms.length });
  }
  const isOutput = selection[0] === (model.transposed ? "fine" : "coarse");
  if (!isOutput && selection[0] !== "place") {
    return t(terms.length ? "sum.spread" : "sum.unread", { name, value: shortNumber(app.valueOf(selection)), count: terms.length });
  }
  if (selection[0] === "place" && !model.transposed) return t("sum.padding");
  if (!terms.length) return `${name}: 0. ${t("sum.untouched")}`;
  const products = terms.slice(0, MOST_TERMS).map((term) => `${shortNumber(model.read(term))}·${factor(model.weight[term.weight])}`);
  const rest = terms.length - products.length;
  const total = terms.reduce((sum, term) => sum + model.weight[term.weight] * model.read(term), 0);
  const more = rest > 0 ? ` ${t("sum.more", { count: rest })}` : "";
  const cropped = selection[0] === "place" ? ` ${t("sum.cropped")}` : "";
  return `${name} = ${products.join(" + ")}${more} = ${shortNumber(total)}${cropped}`;
}
