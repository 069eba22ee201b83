// The ruler of sizes: which sizes belong together, which inputs the stride leaves unread, and the round trip of a U-Net.

class SizesPanel {
  constructor(app) {
    this.app = app;
  }

  render() {
    return namedAxes(this.app).map(([axis, name, a]) => h("section", {}, this.app.model.ndim > 1 ? h("h3", {}, name) : null, this._axis(axis, a)));
  }

  _axis(axis, a) {
    const { app } = this, { t } = app;
    const coarseOf = (size) => Math.floor((size + axis.lo + axis.hi - axis.extent) / axis.stride) + 1;
    const least = (axis.coarse - 1) * axis.stride + axis.extent - axis.lo - axis.hi;
    const limit = Math.max(axis.stride, axis.dilation);
    const sizes = range(limit + 3).map((k) => least - 1 + k).filter((size) => size > 0 && coarseOf(size) > 0);
    const chip = (text, kind, act, key) => (act ? button(text, act, { class: `chip ${kind}`, "data-key": key }) : h("span", { class: `chip ${kind}` }, text));
    const unread = axis.unread(), again = coarseOf(axis.fine);
    const back = (again - 1) * axis.stride + axis.extent - axis.lo - axis.hi;
    const reach = app.model.transposed
      ? h("div", { class: "ruler" }, h("span", {}, t("sizes.reach", { size: axis.coarse })), range(limit).filter((op) => least + op > 0).map((op) =>
        chip(`${t("sizes.op", { op })} → ${least + op}`, op === axis.slack ? "on" : "", () => app.tryNumbers([["output_padding", a]], [op]), `op${a}.${op}`)))
      : null;
    return [
      h("div", { class: "ruler" }, h("span", {}, t("sizes.same", { size: axis.coarse })), sizes.map((size) => chip(`${size} → ${coarseOf(size)}`, coarseOf(size) === axis.coarse ? "on" : "off"))),
      reach,
      h("p", {}, t("sizes.unet", { fine: axis.fine, coarse: again, back }), " ", t(back === axis.fine ? "sizes.unet.same" : "sizes.unet.needs", { op: axis.fine - back, fine: axis.fine })),
      axis.slack >= axis.stride && app.model.transposed ? paragraph(t("sizes.more_rows", { op: axis.slack, stride: axis.stride, fine: axis.fine, coarse: axis.coarse, again }), "warn") : null,
      paragraph(unread.length ? t("sizes.unread", { cells: unread.join(", "), count: unread.length }) : t("sizes.all_read"), unread.length ? "" : "note"),
    ];
  }
}
