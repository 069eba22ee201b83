// The timeline: one stamp (direct: one window) after the other.

class Timeline {
  constructor(app) {
    this.app = app;
    this.timer = null;
    this.back = button("‹", () => this.go(-1));
    this.play = button("▶", () => this.toggle(), { class: "play" });
    this.forth = button("›", () => this.go(1));
    this.scrub = h("input", { type: "range", min: "0", step: "1", oninput: () => this._to(Number(this.scrub.value)) });
    this.slow = button("", () => { this.isSlow = !this.isSlow; this.render(); }, { class: "quiet" });
    this.text = h("output", { class: "step-text" });
    this.element = h("div", { class: "timeline", role: "group" }, this.back, this.play, this.forth, this.scrub, this.text, this.slow);
  }

  get at() {
    return this.app.state.step === null ? this.app.lastStep() : Math.min(this.app.state.step, this.app.lastStep());
  }

  _to(step, playing = false) {
    if (!playing) this.stop();
    this.app.setStep(step >= this.app.lastStep() ? null : step);
  }

  go(by) {
    const next = this.at + by;
    this._to(next < 0 ? this.app.lastStep() : next > this.app.lastStep() ? 0 : next);
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.at >= this.app.lastStep()) this._to(0, true);
    const tick = () => {
      this._to(this.at + 1, true);
      if (this.at >= this.app.lastStep()) this.stop();
      else this.timer = setTimeout(tick, this.isSlow ? 2200 : 800);
    };
    this.timer = setTimeout(tick, 300);
    return this.render();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.render();
  }

  render() {
    const { app } = this, { t, model } = app;
    const kind = model.transposed ? "stamp" : "window", count = area(model.coarse);
    this.element.setAttribute("aria-label", t("time.label"));
    for (const [element, key] of [[this.back, "time.back"], [this.forth, "time.forth"], [this.scrub, "time.scrub"]]) {
      element.setAttribute("aria-label", t(key));
      element.title = t(key);
    }
    this.play.textContent = this.timer ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", t(this.timer ? "time.pause" : "time.play"));
    this.play.title = t(this.timer ? "time.pause" : "time.play");
    this.slow.textContent = t("time.slow");
    this.slow.setAttribute("aria-pressed", String(Boolean(this.isSlow)));
    this.scrub.max = app.lastStep();
    this.scrub.value = this.at;
    this.text.textContent = app.isDone() ? t(`time.all_${kind}s`, { count }) : t(`time.${kind}`, { step: Math.min(this.at, count), count });
    this.scrub.setAttribute("aria-valuetext", this.text.textContent);
  }
}
