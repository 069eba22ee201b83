// Predict first, and break it: learning by doing.

/** What may have gone wrong in an answer for the size of Cᵀ's output along an axis: [key, size] pairs, the right one first. */
function sizeGuesses(axis) {
  const { coarse: n, stride, lo, hi, slack, extent } = axis;
  const right = axis.fine, full = (n - 1) * stride + extent;
  return [
    ["right", right],
    ["no_op", right - slack],
    ["no_padding", full + slack],
    ["padding_grows", full + lo + hi + slack],
    ["direct", Math.floor((n + lo + hi - extent) / stride) + 1],
    ["times", n * stride],
    ["steps", n * stride + extent - lo - hi + slack],
    ["one_off", right - 1],
    ["one_off", right + 1],
  ];
}

/** The mistakes of "break it": each makes two matrices, of C and of Cᵀ, out of the right model. */
const MISTAKES = {
  swapped: (model) => {
    const wrong = new Float64Array(model.rows * model.columns), [height, width] = model.coarse;
    for (let o = 0; o < height; o++) {
      for (let p = 0; p < width; p++) {
        for (let s = 0; s < model.taps[0]; s++) {
          for (let t = 0; t < model.taps[1]; t++) {
            const i = model.axes[0].place(p, s) - model.axes[0].lo, j = model.axes[1].place(o, t) - model.axes[1].lo;
            if (i < 0 || j < 0 || i >= model.fine[0] || j >= model.fine[1]) continue;
            wrong[(o * width + p) * model.columns + i * model.fine[1] + j] += model.weight[s * model.taps[1] + t];
          }
        }
      }
    }
    return [wrong, wrong];
  },
  flip: (model) => [model.matrix(), new Model(model.geometry, Float64Array.from(model.weight).reverse(), model.input).matrix()],
  zeros: (model) => {
    const wrong = Float64Array.from(model.matrix());
    for (let at = 0; at < wrong.length; at++) {
      const cell = at % model.columns, place = [Math.floor(cell / model.fine[1]), cell % model.fine[1]];
      if (place.some((index, a) => index >= model.fine[a] - model.axes[a].slack)) wrong[at] = 0;
    }
    return [model.matrix(), wrong];
  },
};

/** Which of four checks notice a mistake: [C x, Cᵀ y, round trip, dot test]. */
function noticed(mistake, { square, symmetric }) {
  const geometry = {
    ...defaultState().geometry, input_size: square ? [3, 3] : [2, 4],
    stride: mistake === "zeros" ? [2, 2] : [1, 1], padding: mistake === "zeros" ? [[1, 1], [1, 1]] : [[0, 0], [0, 0]],
    output_padding: mistake === "zeros" ? [1, 1] : [0, 0],
  };
  const weight = Float64Array.from(symmetric ? [1, 2, 1, 2, 4, 2, 1, 2, 1] : [1, 2, 1, 3, 1, 2, 1, 4, 1]);
  const right = new Model(geometry, weight, smallIntegers([1, ...geometry.input_size], 1, 4));
  const [direct, transposed] = MISTAKES[mistake](right);
  const x = smallIntegers([1, ...right.fine], 2, 5), y = right.input;
  const times = (matrix, vector, turned) => {
    const result = new Float64Array(turned ? right.columns : right.rows);
    for (let r = 0; r < right.rows; r++) {
      for (let c = 0; c < right.columns; c++) {
        if (turned) result[c] += matrix[r * right.columns + c] * vector[r];
        else result[r] += matrix[r * right.columns + c] * vector[c];
      }
    }
    return result;
  };
  const differ = (one, other) => one.some((value, at) => value !== other[at]);
  const dot = (one, other) => one.reduce((sum, value, at) => sum + value * other[at], 0);
  const cx = times(direct, x, false), cty = times(transposed, y, true);
  return [differ(cx, right.multiply(x, false)), differ(cty, right.multiply(y, true)),
    differ(times(transposed, cx, true), right.multiply(right.multiply(x, false), true)), dot(cx, y) !== dot(x, cty)];
}

class PracticePanel {
  constructor(app) {
    this.app = app;
    this.square = true;
    this.symmetric = false;
    this.verdict = null;
  }

  render() {
    const { app } = this, { t } = app, { predict } = app.state;
    const box = h("input", { type: "text", inputmode: "numeric", "aria-label": t("predict.answer"), size: 6, "data-key": "answer", autocomplete: "off",
      onkeydown: (event) => event.key === "Enter" && this._check(box.value) });
    const choices = choice(t("break.size"), [[true, t("break.square")], [false, t("break.oblong")]], this.square, (square) => { this.square = square; app._renderPanel(); });
    const kernels = choice(t("break.kernel"), [[false, t("break.asymmetric")], [true, t("break.symmetric")]], this.symmetric, (symmetric) => { this.symmetric = symmetric; app._renderPanel(); });
    const mark = (seen) => h("span", { class: seen ? "good" : "warn" }, t(seen ? "break.noticed" : "break.missed"));
    return [
      h("section", {}, h("h3", {}, t("predict.title")), paragraph(t("predict.text")),
        h("div", { class: "row" }, button(t("predict.size"), () => this._ask("size"), { "data-key": "ask-size" }), button(t("predict.cell"), () => this._ask("cell"), { "data-key": "ask-cell" }), predict ? [h("b", {}, this._question(predict)), box, button(t("predict.check"), () => this._check(box.value), { "data-key": "check" })] : null),
        h("p", { role: "status", class: this.verdict && this.verdict.right ? "good" : "warn" }, this.verdict ? this.verdict.text : "")),
      h("section", {}, h("h3", {}, t("break.title")), paragraph(t("break.text")), h("div", { class: "row" }, choices, kernels),
        table([t("break.mistake"), "C x", "Cᵀ y", "Cᵀ(C x)", "<Cx, y> = <x, Cᵀy>"], Object.keys(MISTAKES).map((name) => [t(`break.${name}`), ...noticed(name, this).map(mark)])),
        paragraph(t("break.moral"), "note")),
    ];
  }

  _question(predict) {
    const { model, t } = this.app;
    if (predict.kind === "size") return t("predict.ask_size", { axis: model.ndim === 1 ? t("size.length") : t("axis.1") });
    return t("predict.ask_cell");
  }

  /** Another geometry, and its size or one of its cells hidden. */
  _ask(kind) {
    const { app } = this;
    const any = (least, most) => least + Math.floor(Math.random() * (most - least + 1));
    let geometry;
    do {
      const stride = any(1, 3), kernel = any(2, 4), padding = any(0, 2);
      geometry = { ...defaultState().geometry, input_size: [2, any(2, 4)], kernel_size: [kernel, kernel], stride: [stride, stride], padding: [[padding, padding], [padding, padding]] };
      const appended = any(0, stride - 1);
      geometry.output_padding = [appended, appended];
    } while (whatIsWrong(geometry));
    this.verdict = null;
    app.setGeometry(geometry, { pin: null, step: null, weight: null, input: null, kernel: "random", predict: { kind } });
    if (kind === "cell") {
      const { model } = app, reached = model.axes.map((axis) => axis.overlap());
      const cells = range(area(model.fine)).filter((index) => reached[0][Math.floor(index / model.fine[1])] && reached[1][index % model.fine[1]]);
      const fine = cells[any(0, cells.length - 1)];
      app.set({ predict: { kind, fine, cell: model.placeOf(fine) }, pin: ["fine", 0, Math.floor(fine / model.fine[1]), fine % model.fine[1]] });
    }
    const answer = app.panel.querySelector("[data-key=answer]");
    if (answer) answer.focus();
  }

  _check(text) {
    const { app } = this, { predict } = app.state, { model, t } = app;
    const number = Number(text.replace("−", "-"));
    if (!predict || text.trim() === "" || Number.isNaN(number)) return;
    const axis = model.axes[1];
    const numbers = { n: axis.coarse, stride: axis.stride, lo: axis.lo, hi: axis.hi, op: axis.slack, kernel: axis.kernel, spread: axis.extent - 1, given: shortNumber(number), size: axis.fine };
    const key = predict.kind === "size" ? (sizeGuesses(axis).find(([, size]) => size === number) || ["other"])[0] : this._cellKey(predict, number);
    const right = key === "right" || key === "cell_right";
    this.verdict = { right, text: t(`predict.${key}`, { ...numbers, value: predict.kind === "cell" ? shortNumber(model.output[predict.fine]) : "" }) };
    if (right) app.set({ predict: null });
    else app._renderPanel();
  }

  _cellKey({ fine }, number) {
    const { model } = this.app, terms = model.termsOfFine(0, fine), taps = area(model.taps);
    if (number === model.output[fine]) return "cell_right";
    if (terms.length > 1 && terms.some((term) => model.read(term) * model.weight[term.weight] === number)) return "cell_one";
    const flipped = terms.reduce((sum, term) => sum + model.read(term) * model.weight[taps - 1 - term.tap], 0);
    return number === flipped ? "cell_flipped" : "cell_other";
  }
}
