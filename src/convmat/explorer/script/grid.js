// A grid of cells in the WAI-ARIA pattern: one tab stop, arrows move, what the pointer does focus does too.

class Grid {
  /**
   * @param handlers  over(index), out(), pin(index), adjust(index, by), describe(index), announce(text)
   */
  constructor(name, handlers) {
    this.handlers = handlers;
    this.element = h("div", { class: `cells ${name}`, role: "grid" });
    this.cells = [];
    this.shape = [0, 0];
    this.current = 0;
    const at = (event) => {
      const cell = event.target.closest("[role=gridcell]");
      return cell ? this.cells.indexOf(cell) : -1;
    };
    const on = (type, act) => this.element.addEventListener(type, act);
    on("pointerover", (event) => at(event) >= 0 && event.pointerType !== "touch" && handlers.over(at(event)));
    on("pointerleave", () => handlers.out());
    on("focusin", (event) => at(event) >= 0 && this._focused(at(event)));
    on("focusout", (event) => !this.element.contains(event.relatedTarget) && handlers.out());
    on("click", (event) => at(event) >= 0 && !this.dragged && handlers.pin(at(event)));
    on("keydown", (event) => this._key(event, at(event)));
    if (handlers.adjust) this._dragging(on, at);
  }

  _focused(index) {
    this._rove(index);
    const cell = this.cells[index];
    cell.setAttribute("aria-label", this.handlers.describe(index));
    this.handlers.over(index, true);
  }

  _rove(index) {
    if (this.cells[this.current]) this.cells[this.current].tabIndex = -1;
    this.current = index;
    this.cells[index].tabIndex = 0;
  }

  _key(event, index) {
    if (index < 0) return;
    const [height, width] = this.shape;
    const row = Math.floor(index / width), column = index % width;
    const to = moved(event, row, column, height, width);
    if (to) {
      event.preventDefault();
      this.cells[to[0] * width + to[1]].focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.handlers.pin(index);
    } else if (this.handlers.adjust && ["+", "-", "="].includes(event.key)) {
      event.preventDefault();
      this.handlers.adjust(index, event.key === "-" ? -1 : 1);
      this._focused(index);
    }
  }

  /** Numbers change by dragging a cell up or down. */
  _dragging(on, at) {
    let start = null;
    on("pointerdown", (event) => {
      this.dragged = false;
      start = at(event) >= 0 ? { index: at(event), y: event.clientY, done: 0 } : null;
    });
    on("pointermove", (event) => {
      if (!start || !event.buttons) return;
      const steps = Math.trunc((start.y - event.clientY) / 12);
      if (steps === start.done) return;
      this.dragged = true;
      this.handlers.adjust(start.index, steps - start.done);
      start.done = steps;
    });
    on("pointerup", () => { start = null; });
  }

  /** Make the cells of a shape; those that stay keep their focus. */
  reshape(height, width, label) {
    this.element.setAttribute("aria-label", label);
    if (this.shape[0] === height && this.shape[1] === width) return;
    const [oldHeight, oldWidth] = this.shape;
    const focused = this.cells.indexOf(document.activeElement);
    this.shape = [height, width];
    this.element.style.setProperty("--rows", height);
    this.element.style.setProperty("--columns", width);
    this.cells = range(height * width).map(() => h("div", { role: "gridcell", tabindex: "-1" }));
    const rows = range(height).map((r) => h("div", { role: "row" }, this.cells.slice(r * width, (r + 1) * width)));
    this.element.replaceChildren(...rows);
    const row = Math.min(Math.floor(this.current / (oldWidth || 1)), height - 1);
    const column = Math.min(this.current % (oldWidth || 1), width - 1);
    this.current = oldHeight ? row * width + column : 0;
    this.cells[this.current].tabIndex = 0;
    if (focused >= 0) this.cells[this.current].focus({ preventScroll: true });
  }

  /** Set the text and the classes of a cell, if they changed. */
  set(index, text, classes) {
    const cell = this.cells[index];
    if (cell.shown !== text) {
      cell.textContent = text;
      cell.shown = text;
      cell.classList.toggle("long", text.length > 3);
      if (text.length > 3) cell.style.setProperty("--characters", text.length);
    }
    if (cell.kind !== classes) {
      cell.kind = classes;
      this._dress(cell);
    }
  }

  /** Light the cells of a map from index to colour, and no others. */
  light(colours, chosen = -1) {
    const before = this.lit || new Map();
    for (const [index] of before) if (!colours.has(index)) this._paint(index, "");
    for (const [index, colour] of colours) if (before.get(index) !== colour) this._paint(index, ` lit c${colour}`);
    this.lit = new Map(colours);
    if (this.chosen !== chosen) {
      for (const index of [this.chosen, chosen]) {
        if (this.cells[index]) this.cells[index].classList.toggle("chosen", index === chosen);
      }
      this.chosen = chosen;
    }
  }

  _paint(index, light) {
    const cell = this.cells[index];
    if (!cell) return;
    cell.light = light;
    this._dress(cell);
    cell.classList.toggle("chosen", index === this.chosen);
  }

  _dress(cell) {
    const long = cell.shown && cell.shown.length > 3 ? " long" : "";
    cell.className = `${cell.kind || ""}${cell.light || ""}${long}`;
  }
}

/** Where a key of the grid pattern leads, or null. */
function moved(event, row, column, height, width) {
  const all = event.ctrlKey || event.metaKey;
  const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);
  const to = {
    ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
    Home: [all ? 0 : row, 0], End: [all ? height - 1 : row, width - 1],
    PageUp: [row - 5, column], PageDown: [row + 5, column],
  }[event.key];
  return to && !event.altKey ? [clamp(to[0], height), clamp(to[1], width)] : null;
}
