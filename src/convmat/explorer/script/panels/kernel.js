// Kernels by name, and a small picture upsampled by the kernel on the page, live.

const PICTURE = 32; // pixels of a side of the small picture
const PICTURES = {
  disc: (i, j) => (Math.hypot(i - 15.5, j - 15.5) < 11 ? 0.9 : 0.15),
  ramp: (i, j) => (i + j) / 62,
  stripes: (i, j) => ((Math.floor(i / 4) + Math.floor(j / 8)) % 2 ? 0.85 : 0.2),
};

/** A picture, upsampled by a pair of channels' kernel, each axis by its stride. */
function upsampled(model, a, b, picture, divided) {
  const size = model.axes.map((axis) => (PICTURE - 1) * axis.stride + axis.extent);
  const sums = new Float64Array(size[0] * size[1]), weights = new Float64Array(size[0] * size[1]);
  for (let i = 0; i < PICTURE; i++) {
    for (let j = 0; j < PICTURE; j++) {
      for (let tap = 0; tap < area(model.taps); tap++) {
        const u = model.axes[0].place(i, Math.floor(tap / model.taps[1])), v = model.axes[1].place(j, tap % model.taps[1]);
        const weight = model.weight[model.weightPlace(a, b, tap)];
        sums[u * size[1] + v] += weight * picture[i * PICTURE + j];
        weights[u * size[1] + v] += weight;
      }
    }
  }
  const phases = phasesOf(model, a, b), mean = phases.reduce((sum, phase) => sum + phase.sum, 0) / phases.length || 1;
  return { size, values: sums.map((sum, at) => (divided ? (weights[at] ? sum / weights[at] : 0) : sum / mean)) };
}

class KernelPanel {
  constructor(app) {
    this.app = app;
    this.name = "disc";
    this.divided = false;
    this.picture = this._made("disc");
    this.small = h("canvas", { width: PICTURE, height: PICTURE, class: "picture", role: "img" });
    this.large = h("canvas", { class: "picture", role: "img" });
    this.file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: () => this.file.files[0] && this._load(this.file.files[0]) });
    const draw = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = this.small.getBoundingClientRect(), at = (value, start, length) => Math.floor(((value - start) / length) * PICTURE);
      const i = at(event.clientY, box.top, box.height), j = at(event.clientX, box.left, box.width);
      for (const [u, v] of [[i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1]]) {
        if (u >= 0 && v >= 0 && u < PICTURE && v < PICTURE) this.picture[u * PICTURE + v] = 0.05;
      }
      this.paint();
    };
    for (const type of ["pointerdown", "pointermove"]) this.small.addEventListener(type, draw);
    this.small.addEventListener("dragover", (event) => event.preventDefault());
    this.small.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this._load(event.dataTransfer.files[0]);
    });
  }

  _made(name) {
    return Float64Array.from({ length: PICTURE * PICTURE }, (_, at) => PICTURES[name](Math.floor(at / PICTURE), at % PICTURE));
  }

  /** A picture of the reader's, which stays in the browser; what is no picture changes nothing. */
  async _load(file) {
    try {
      const bitmap = await createImageBitmap(file, { resizeWidth: PICTURE, resizeHeight: PICTURE });
      const context = h("canvas", { width: PICTURE, height: PICTURE }).getContext("2d");
      context.drawImage(bitmap, 0, 0, PICTURE, PICTURE);
      const { data } = context.getImageData(0, 0, PICTURE, PICTURE);
      this.picture = Float64Array.from({ length: PICTURE * PICTURE }, (_, at) => (0.3 * data[4 * at] + 0.59 * data[4 * at + 1] + 0.11 * data[4 * at + 2]) / 255);
      this.name = "own";
      this.paint();
    } catch {
      this.status.textContent = this.app.t("picture.none");
    }
  }

  render() {
    const { app } = this, { t, state, model } = app;
    const presets = ["random", ...Object.keys(PROFILES), ...(state.kernel === "own" ? ["own"] : [])];
    this.status = h("p", { role: "status", class: "note" }, t("picture.hint"));
    const content = [
      h("div", { class: "row" }, choice(t("preset.label"), presets.map((name) => [name, t(`preset.${name}`)]), state.kernel, (kernel) => kernel !== "own" && app.set({ kernel, weight: null })),
        button(t("more.numbers"), () => app.set({ seed: state.seed + 1, weight: null, input: null, kernel: "random" }), { "data-key": "seed" })),
      paragraph(t("preset.hint"), "note"),
    ];
    if (!model.transposed) return [content, onlyTransposed(app)];
    content.push(
      h("div", { class: "row" }, choice(t("picture.label"), Object.keys(PICTURES).map((name) => [name, t(`picture.${name}`)]), this.name, (name) => { this.name = name; this.picture = this._made(name); app._renderPanel(); }),
        button(t("picture.file"), () => this.file.click(), { "data-key": "file" }), this.file,
        button(t("picture.divide"), () => { this.divided = !this.divided; app._renderPanel(); }, { "aria-pressed": String(this.divided), "data-key": "divide" })),
      h("div", { class: "row" }, figure(t("picture.small"), this.small), figure(t("picture.large"), this.large)), this.status);
    this.paint();
    return content;
  }

  paint() {
    const { model, channels, t } = this.app;
    this.small.setAttribute("aria-label", t("picture.small"));
    this.large.setAttribute("aria-label", t("picture.large"));
    paintGrey(this.small, this.picture, [PICTURE, PICTURE]);
    const { size, values } = upsampled(model, channels.coarse, channels.fine, this.picture, this.divided);
    this.large.height = size[0];
    this.large.width = size[1];
    paintGrey(this.large, values, size);
  }
}

function paintGrey(canvas, values, [height, width]) {
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  values.forEach((value, at) => {
    const grey = Math.round(255 * Math.min(Math.max(value, 0), 1));
    image.data.set([grey, grey, grey, 255], 4 * at);
  });
  context.putImageData(image, 0, 0);
}
