// The stage: the grid of coarse cells, the kernel, and the canvas with the frame on it.
//
// Transposed, coarse cells are the input, the canvas is the sum of their stamps, and the frame is the output. Direct, the
// canvas is the padded input, the frame is the input itself, and coarse cells are the output.

class Stage {
  constructor(app) {
    this.app = app;
    const handlers = (select, adjust) => ({
      over: (index, spoken) => app.hover(select(index), spoken),
      out: () => app.leave(),
      pin: (index) => app.pin(select(index)),
      describe: (index) => app.describe(select(index)),
      adjust,
    });
    const coarseAt = (index) => {
      const width = app.model.coarse[1];
      return ["coarse", app.channels.coarse, Math.floor(index / width), index % width];
    };
    const placeAt = (index) => {
      const width = app.model.canvas[1];
      return selectionAt(app.model, app.channels, Math.floor(index / width), index % width);
    };
    const weightAt = (index) => ["weight", app.model.weightPlace(app.channels.coarse, app.channels.fine, index)];
    this.coarse = new Grid("coarse", handlers(coarseAt,
      (index, by) => app.model.transposed && app.adjustInput(app.channels.coarse * area(app.model.coarse) + index, by)));
    this.kernel = new Grid("kernel", handlers(weightAt,
      (index, by) => app.adjustWeight(weightAt(index)[1], by)));
    this.canvas = new Grid("canvas", handlers(placeAt));
    this.frame = new Frame(app);
    this.stamps = h("div", { class: "stamps", "aria-hidden": "true" });
    this.heads = { coarse: h("h2"), kernel: h("h2"), canvas: h("h2") };
    this.pickers = { coarse: h("div"), canvas: h("div") };
    this.captions = { coarse: h("p", { class: "caption" }), kernel: h("p", { class: "caption" }), canvas: h("p", { class: "caption" }) };
    const board = h("div", { class: "board" }, this.canvas.element, this.stamps, this.frame.element);
    this.scrollers = { coarse: this.coarse.element, kernel: this.kernel.element, canvas: board };
    this.panes = {
      coarse: this._pane("coarse", this.coarse.element, this.pickers.coarse),
      kernel: this._pane("kernel", this.kernel.element),
      canvas: this._pane("canvas", board, this.pickers.canvas),
    };
    this.operands = h("div", { class: "operands" }, this.panes.coarse, this.panes.kernel);
    this.element = [this.operands, this.panes.canvas];
  }

  _pane(name, body, picker) {
    const room = h("div", { class: "scroller" }, body);
    return h("section", { class: `pane ${name}` },
      h("div", { class: "pane-head" }, this.heads[name], picker), room, this.captions[name]);
  }

  render() {
    const { app } = this, { model, state } = app;
    const { t } = app;
    const names = app.names();
    const coarseIs = model.transposed ? "input" : "output";
    this._head("coarse", t(`stage.${coarseIs}`), model.transposed ? names.input : names.output, model.coarse);
    this._head("kernel", t("stage.kernel"), "w", model.taps);
    this._head("canvas", t(model.transposed ? "stage.canvas" : "stage.padded"), "", model.canvas);
    this.captions.coarse.textContent = "";
    this.captions.kernel.textContent = t("stage.kernel_hint");
    this._frameCaption();
    this._pickers();
    this.coarse.reshape(...model.coarse, `${t(`stage.${coarseIs}`)} ${sizeText(this._sizes(model.coarse))}`);
    this.kernel.reshape(...model.taps, `${t("stage.kernel")} ${sizeText(this._sizes(model.taps))}`);
    this.canvas.reshape(...model.canvas, t("stage.canvas_label", {
      what: t(model.transposed ? "stage.canvas" : "stage.padded"), size: sizeText(this._sizes(model.canvas)),
      frame: sizeText(this._sizes(model.fine)),
    }));
    this.fit();
    this._fill(state);
    this.frame.render();
  }

  _sizes(sizes) {
    return this.app.model.ndim === 1 ? sizes.slice(1) : sizes;
  }

  _head(name, text, symbol, sizes) {
    this.heads[name].replaceChildren(text, symbol ? h("i", {}, ` ${symbol}`) : "", h("small", {}, ` ${sizeText(this._sizes(sizes))}`));
  }

  _frameCaption() {
    const { app } = this, { model } = app;
    const side = (a) => {
      const axis = model.axes[a], pair = app.state.geometry.padding[model.ndim === 1 ? 0 : a];
      return { lo: axis.lo, hi: pair[1], op: axis.slack, far: axis.far };
    };
    const caption = this.captions.canvas;
    const last = model.axes.length - 1, vertical = side(0), across = side(last);
    const same = model.ndim === 1 || JSON.stringify(vertical) === JSON.stringify(across);
    const text = (numbers) => app.t(model.transposed ? "stage.frame" : "stage.frame_direct", {
      lo: numbers.lo, hi: numbers.hi, op: numbers.op, far: shortNumber(numbers.far),
    });
    const where = same ? text(across) : app.t("stage.frame_by_axis", {
      vertical: app.t("axis.0"), above: text(vertical), across: app.t("axis.1"), beside: text(across),
    });
    caption.replaceChildren(
      h("span", { class: "key frame-key" }), app.t(model.transposed ? "stage.frame_is_output" : "stage.frame_is_input"), " ",
      where, app.language() === "zh" ? "。" : ".");
  }

  _pickers() {
    const { app } = this, { model } = app;
    const pick = (element, which, count) => refill(element, count < 2 ? [] : choice(
      app.t(`pick.${which}`), range(count).map((c) => [c, String(c)]), app.channels[which], (c) => app.pickChannel(which, c)));
    pick(this.pickers.coarse, "coarse", model.coarseChannels);
    pick(this.pickers.canvas, "fine", model.fineChannels);
  }

  /** Sizes of cells for the room there is. */
  fit() {
    const { model } = this.app;
    const narrow = this.app.isNarrow();
    const room = (name) => this.panes[name].querySelector(".scroller");
    const size = (name, [rows, columns], most) => {
      const space = name === "canvas" ? 34 : 8;
      const wide = room(name).clientWidth - space, high = narrow ? 420 : room(name).clientHeight - space;
      const side = Math.floor(Math.min(wide / columns, high / rows, most));
      this.scrollers[name].style.setProperty("--cell", `${Math.max(side, 24)}px`);
      return Math.max(side, 24);
    };
    const canvas = size("canvas", model.canvas, 58);
    const most = this.app.width < NARROW ? 36 : 52;
    size("coarse", model.coarse, Math.max(Math.min(canvas, most), 24));
    size("kernel", model.taps, Math.max(Math.min(canvas, most), 24));
    this.frame.side = canvas;
  }

  _fill(state) {
    const { app } = this, { model, channels } = app;
    const shade = app.state.show === "colours" ? shades : null;
    this._shades(shade);
    const { values, counts } = model.canvasOf(channels.fine, app.stampsDone());
    this.shown = { values, counts };
    const folded = model.transposed && model.geometry.padding_mode !== "zeros" && app.isDone();
    const width = model.canvas[1], names = app.names();
    const hidden = state.predict && state.predict.cell;
    for (let place = 0; place < values.length; place++) {
      const u = Math.floor(place / width), v = place % width, inside = model.inFrame(u, v);
      let value = values[place];
      if (folded && inside) value = model.output[channels.fine * area(model.fine) + model.fineAt(u, v)];
      let text = counts[place] || (inside && app.isDone()) ? cellNumber(value) : "";
      if (!model.transposed && !counts[place]) text = "0";
      if (state.show === "symbols" && text) text = this._placeName(u, v, inside, names);
      if (hidden === place) text = "?";
      const classes = [inside ? "in" : model.transposed && model.geometry.padding_mode === "zeros" ? "cropped" : "border"];
      if (!counts[place] && inside) classes.push("untouched");
      if (model.transposed && !counts[place] && !inside) classes.push("empty");
      this.canvas.set(place, text, classes.join(" "));
      this._tint(this.canvas.cells[place], shade, value);
    }
    this._fillCoarse(names);
    for (let tap = 0; tap < area(model.taps); tap++) {
      const place = model.weightPlace(channels.coarse, channels.fine, tap);
      const there = model.meets(channels.coarse, channels.fine);
      const text = state.show === "symbols" ? tapName(model, place) : cellNumber(model.weight[place]);
      this.kernel.set(tap, there ? text : "", there ? "" : "nothing");
      this._tint(this.kernel.cells[tap], shade, model.weight[place]);
    }
  }

  _shades(shade) {
    if (!shade) return;
    const colours = this.app.colours(), { model } = this.app;
    this.shade = {
      kernel: shade(model.weight, colours), input: shade(model.input, colours), output: shade(model.output, colours),
    };
  }

  _tint(cell, shade, value, which = "output") {
    cell.style.setProperty("--tint", shade ? this.shade[which](value) : "");
  }

  _fillCoarse(names) {
    const { app } = this, { model, channels, state } = app;
    const numbers = model.transposed ? model.input : model.output;
    const done = app.stampsDone();
    for (let o = 0; o < area(model.coarse); o++) {
      const index = channels.coarse * area(model.coarse) + o;
      const name = model.transposed ? names.input : names.output;
      let text = state.show === "symbols" ? cellName(model, name, index, model.coarse, model.coarseChannels) : cellNumber(numbers[index]);
      if (!model.transposed && o >= done) text = "";
      this.coarse.set(o, text, o < done ? "done" : "waiting");
      this._tint(this.coarse.cells[o], state.show === "colours", numbers[index], model.transposed ? "input" : "output");
    }
  }

  _placeName(u, v, inside, names) {
    const { model, channels } = this.app;
    const cell = model.fineAt(u, v);
    if (!inside || cell < 0) return "·";
    const name = model.transposed ? names.output : names.input;
    return cellName(model, name, channels.fine * area(model.fine) + cell, model.fine, model.fineChannels);
  }

  light(lit) {
    const { model, channels } = this.app;
    const part = (map, channel, size) => {
      const found = new Map();
      for (const [index, colour] of map) {
        if (Math.floor(index / size) === channel) found.set(index % size, colour);
      }
      return found;
    };
    const [kind, ...numbers] = lit.selection || [null];
    const coarseSize = area(model.coarse);
    this.coarse.light(part(lit.coarse, channels.coarse, coarseSize),
      kind === "coarse" ? numbers[1] * model.coarse[1] + numbers[2] : -1);
    const first = model.weightPlace(channels.coarse, channels.fine, 0);
    const taps = new Map();
    for (const [place, colour] of lit.weights) {
      if (place >= first && place < first + area(model.taps)) taps.set(place - first, colour);
    }
    this.kernel.light(taps, kind === "weight" ? numbers[0] - first : -1);
    const places = new Map(lit.places);
    for (const [index, colour] of part(lit.fine, channels.fine, area(model.fine))) {
      if (kind !== "fine" || !model.transposed) places.set(model.placeOf(index), colour);
    }
    const chosen = kind === "fine" ? model.placeOf(numbers[1] * model.fine[1] + numbers[2]) : kind === "place" ? numbers[0] * model.canvas[1] + numbers[1] : -1;
    this.canvas.light(places, chosen);
    this._outline(lit);
  }

  /** The outlines of stamps (direct: windows) on the canvas. */
  _outline(lit) {
    const { model } = this.app;
    this.stamps.replaceChildren(...[...lit.stamps].map(([o, colour]) => {
      const at = [Math.floor(o / model.coarse[1]), o % model.coarse[1]];
      const box = h("div", { class: `stamp s${colour}` });
      for (const [a, [start, size]] of [["top", "height"], ["left", "width"]].entries()) {
        box.style.setProperty(start, `calc(var(--cell) * ${model.axes[a].place(at[a], 0)})`);
        box.style.setProperty(size, `calc(var(--cell) * ${model.axes[a].extent} + 1px)`);
      }
      return box;
    }));
  }
}

/** The frame on the canvas: the fine cells. Its edges are sliders: dragging them sets padding and output_padding. */
class Frame {
  constructor(app) {
    this.app = app;
    this.element = h("div", { class: "frame" });
    this.handles = [[0, "near"], [0, "far"], [1, "near"], [1, "far"]].map(([axis, end]) => this._handle(axis, end));
    this.element.append(h("span", { class: "frame-name" }), ...this.handles.map((handle) => handle.element));
  }

  _handle(axis, end) {
    const element = h("div", { class: `handle ${end} axis${axis}`, role: "slider", tabindex: "0" }, h("span"));
    const handle = { axis, end, element };
    let start = null;
    element.addEventListener("pointerdown", (event) => {
      start = { at: axis ? event.clientX : event.clientY, value: this._value(handle) };
      element.setPointerCapture(event.pointerId);
      event.preventDefault();
      element.focus();
    });
    element.addEventListener("pointermove", (event) => {
      if (!start) return;
      const cells = Math.round(((axis ? event.clientX : event.clientY) - start.at) / this.side);
      this._set(handle, start.value + (end === "near" ? cells : -cells));
    });
    element.addEventListener("pointerup", () => { start = null; });
    element.addEventListener("keydown", (event) => {
      const inward = { near: ["ArrowRight", "ArrowDown"], far: ["ArrowLeft", "ArrowUp"] }[end];
      const outward = { near: ["ArrowLeft", "ArrowUp"], far: ["ArrowRight", "ArrowDown"] }[end];
      const by = inward.includes(event.key) ? 1 : outward.includes(event.key) ? -1 : 0;
      if (!by) return;
      event.preventDefault();
      this._set(handle, this._value(handle) + by);
    });
    return handle;
  }

  /** The axis of the geometry that an axis of the stage shows. */
  _axis(handle) {
    return this.app.model.ndim === 1 ? 0 : handle.axis;
  }

  /** How many cells an edge lies inside the stamps (direct: inside the padding). */
  _value({ axis, end }) {
    const { model } = this.app, along = model.axes[axis];
    if (end === "near") return along.lo;
    return model.transposed ? along.far : along.hi;
  }

  /** Move an edge: the near one is lo; the far one is hi - output_padding, of which output_padding moves first. */
  _set(handle, value) {
    const { app } = this, a = this._axis(handle), { geometry } = app.state;
    if (value === this._value(handle)) return;
    let next;
    if (handle.end === "near") next = changed(geometry, ["padding", a, 0], Math.max(value, 0));
    else if (!geometry.transposed) next = changed(geometry, ["padding", a, 1], Math.max(value, 0));
    else {
      const most = Math.max(geometry.stride[a], geometry.dilation[a]) - 1, hi = geometry.padding[a][1];
      const appended = Math.min(Math.max(hi - value, 0), most);
      next = changed(changed(geometry, ["output_padding", a], appended), ["padding", a, 1], Math.max(value + appended, 0));
    }
    if (!whatIsWrong(next)) app.setGeometry(next);
  }

  render() {
    const { app } = this, { model } = app;
    for (const [a, [start, size]] of [["top", "height"], ["left", "width"]].entries()) {
      const axis = model.axes[a];
      this.element.style.setProperty(start, `calc(var(--cell) * ${axis.lo})`);
      this.element.style.setProperty(size, `calc(var(--cell) * ${axis.fine})`);
    }
    const names = app.names();
    this.element.firstChild.textContent = app.t(model.transposed ? "frame.output" : "frame.input", {
      name: model.transposed ? names.output : names.input, size: sizeText(app.stage._sizes(model.fine)),
    });
    for (const handle of this.handles) {
      const { axis, end, element } = handle;
      element.hidden = model.ndim === 1 && axis === 0;
      const value = this._value(handle), label = app.t(`frame.${end}`, { axis: app.t(`axis.${axis}`) });
      element.setAttribute("aria-label", label);
      element.setAttribute("aria-valuenow", value);
      element.setAttribute("aria-valuetext", app.t("frame.value", { value: shortNumber(value) }));
      element.setAttribute("aria-orientation", axis ? "horizontal" : "vertical");
      element.title = label;
    }
  }
}
