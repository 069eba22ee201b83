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
        piece(axis.hi, "hi"), "+", piece(axis.slack, "output_padding")]
      : ["⌊(", piece(axis.fine, app.t("size.input")), "+", piece(axis.lo, "lo"), "+", piece(axis.hi, "hi"), "−", spread, "− 1) /",
        piece(axis.stride, "stride"), "⌋ + 1"];
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
    pieces.push(h("span", { class: "equals" }, "= ", h("b", { class: "total" }, hidden ? "?" : shortNumber(total))));
    const note = kind !== "place" ? null : model.geometry.padding_mode === "zeros" ? app.t("sum.cropped")
      : app.t("sum.folded", { name: app.cell("fine", lit.terms[0].fine) });
    return [this._title(name), h("p", { class: "sum-line" }, pieces, note ? h("span", { class: "more" }, note) : null)];
  }

  _title(name) {
    return h("h2", {}, this.app.t(this.app.model.transposed ? "sum.title" : "sum.title_direct", { name }));
  }

  /** A term as a product over the names of its factors. */
  _term(term) {
    const { app } = this, { model, state } = app;
    const read = app.cell(model.transposed ? "coarse" : "fine", model.transposed ? term.coarse : term.fine);
    const numbers = `${shortNumber(model.read(term))}·${shortNumber(model.weight[term.weight])}`;
    const names = `${read} ${tapName(model, term.weight)}`;
    const symbols = state.show === "symbols";
    return h("span", { class: `piece lit c${term.colour}` }, h("b", {}, symbols ? names : numbers), h("small", {}, symbols ? numbers : names));
  }

  /** An input: which outputs it goes into, and through which taps. */
  _spread(lit) {
    const { app } = this, { model } = app;
    const written = (term) => app.cell(model.transposed ? "fine" : "coarse", model.transposed ? term.fine : term.coarse);
    const terms = lit.terms.slice(0, MOST_TERMS);
    const pieces = terms.map((term) => h("span", { class: `piece lit c${term.colour}` },
      h("b", {}, `·${shortNumber(model.weight[term.weight])}`), h("small", {}, `→ ${written(term)}`)));
    const rest = lit.terms.length - terms.length;
    const value = lit.terms.length ? model.read(lit.terms[0]) : app.valueOf(lit.selection);
    return [h("h2", {}, app.t(lit.terms.length ? "sum.spread" : "sum.unread", { name: app.nameOf(lit.selection), value: shortNumber(value), count: lit.terms.length })),
      h("p", { class: "sum-line" }, pieces, rest > 0 ? h("span", { class: "more" }, app.t("sum.more", { count: rest })) : null)];
  }

  _weight(lit) {
    const { app } = this, { model } = app, place = lit.selection[1];
    const terms = lit.terms.slice(0, MOST_TERMS), rest = lit.terms.length - terms.length;
    const pieces = terms.map((term) => h("span", { class: "piece lit c1" },
      h("b", {}, `${shortNumber(model.read(term))}·${shortNumber(model.weight[place])}`),
      h("small", {}, `${app.cell(model.transposed ? "coarse" : "fine", model.transposed ? term.coarse : term.fine)} → ${app.cell(model.transposed ? "fine" : "coarse", model.transposed ? term.fine : term.coarse)}`)));
    return [h("h2", {}, app.t("sum.weight", { name: tapName(model, place), value: shortNumber(model.weight[place]), count: lit.terms.length })),
      h("p", { class: "sum-line" }, pieces, rest > 0 ? h("span", { class: "more" }, app.t("sum.more", { count: rest })) : null)];
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
  const products = terms.slice(0, MOST_TERMS).map((term) => `${shortNumber(model.read(term))}·${shortNumber(model.weight[term.weight])}`);
  const rest = terms.length - products.length;
  const total = terms.reduce((sum, term) => sum + model.weight[term.weight] * model.read(term), 0);
  const more = rest > 0 ? ` ${t("sum.more", { count: rest })}` : "";
  const cropped = selection[0] === "place" ? ` ${t("sum.cropped")}` : "";
  return `${name} = ${products.join(" + ")}${more} = ${shortNumber(total)}${cropped}`;
}
