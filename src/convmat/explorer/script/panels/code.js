// The same map as code: PyTorch, convmat, Keras, ONNX and JAX; and pictures and links to take away.

const LENSES = ["torch", "convmat", "keras", "onnx", "jax"];

/** A tuple in Python's notation. */
function tuple(values) {
  return values.length === 1 ? `(${values[0]},)` : `(${values.join(", ")})`;
}

/** The geometry as code of a library. */
function codeOf(lens, geometry, axes) {
  const g = geometry, d = g.input_size.length, lo = g.padding.map((pair) => pair[0]), hi = g.padding.map((pair) => pair[1]);
  const even = lo.every((low, a) => low === hi[a]), slack = axes.map((axis) => (g.transposed ? axis.slack : 0));
  const written = { torch: torchCode, convmat: convmatCode, keras: kerasCode, onnx: onnxCode, jax: jaxCode }[lens];
  return written(g, { d, lo, hi, even, slack, axes, reach: axes.map((axis) => axis.extent - 1) });
}

/** The arguments that most layers leave out. */
function rareOptions(g) {
  const options = g.dilation.some((step) => step > 1) ? [`dilation=${tuple(g.dilation)}`] : [];
  if (g.groups > 1) options.push(`groups=${g.groups}`);
  return options;
}

function torchCode(g, { d, lo, hi, even, slack }) {
  const sizes = [1, g.in_channels, ...g.input_size].join(", ");
  const name = g.transposed ? `ConvTranspose${d}d` : `Conv${d}d`;
  // PyTorch pads both sides alike and with zeros only: pad little, and crop or extend what differs.
  const both = lo.map((low, a) => Math.min(low, hi[a])), rest = hi.map((high, a) => high - both[a]);
  const appended = slack.map((more, a) => Math.max(more - rest[a], 0));
  const common = [g.in_channels, g.out_channels, `kernel_size=${tuple(g.kernel_size)}`, `stride=${tuple(g.stride)}`, `padding=${tuple(even ? lo : both)}`];
  if (g.transposed && (even ? slack : appended).some(Boolean)) common.push(`output_padding=${tuple(even ? slack : appended)}`);
  common.push(...rareOptions(g), "bias=False");
  if (g.padding_mode !== "zeros" && !g.transposed && even) common.push(`padding_mode="${g.padding_mode}"`);
  const lines = ["import torch", "", `layer = torch.nn.${name}(${common.join(", ")})`, `x = torch.randn(${sizes})`];
  if (g.padding_mode !== "zeros" && (g.transposed || !even)) return `# PyTorch has no padding_mode="${g.padding_mode}" here; convmat has.`;
  if (even) return [...lines, "y = layer(x)"].join("\n");
  if (!g.transposed) {
    const pads = lo.map((low, a) => [low - both[a], rest[a]]).reverse().flat();
    return [...lines, `y = layer(torch.nn.functional.pad(x, ${tuple(pads)}))`].join("\n");
  }
  const slices = lo.map((low, a) => {
    const end = rest[a] - (slack[a] - appended[a]);
    return `${low - both[a] || ""}:${end > 0 ? -end : ""}`;
  });
  return [...lines, `y = layer(x)[:, :, ${slices.join(", ")}]`].join("\n");
}

function convmatCode(g, { d, lo, hi, even }) {
  const weight = g.transposed ? [g.in_channels, g.out_channels / g.groups] : [g.out_channels, g.in_channels / g.groups];
  const options = [`stride=${tuple(g.stride)}`, `padding=${even ? tuple(lo) : tuple(lo.map((low, a) => `(${low}, ${hi[a]})`))}`];
  if (g.transposed && g.output_padding.some(Boolean)) options.push(`output_padding=${tuple(g.output_padding)}`);
  options.push(...rareOptions(g));
  if (g.padding_mode !== "zeros") options.push(`padding_mode="${g.padding_mode}"`);
  const name = g.transposed ? "conv_transpose" : "conv", list = options.join(", ");
  return ["import torch, convmat", "", `weight = torch.randn(${[...weight, ...g.kernel_size].join(", ")})`, `x = torch.randn(${[1, g.in_channels, ...g.input_size].join(", ")})`,
    `y = convmat.${name}${d}d(x, weight, ${list})`, `C = convmat.${name}_matrix(weight, ${tuple(g.input_size)}, ${list})`].join("\n");
}

function kerasCode(g, { d, lo, hi, slack, reach }) {
  const both = g.stride.some((step) => step > 1) && g.dilation.some((step) => step > 1);
  if (g.padding_mode !== "zeros" || (g.transposed && g.groups > 1) || both) return "# Keras has no layer for this geometry (padding modes, groups of a transposed one, or stride with dilation).";
  const pair = (pairs) => (d === 1 ? `(${pairs[0].join(", ")})` : `(${pairs.map((one) => `(${one.join(", ")})`).join(", ")})`);
  const options = [g.out_channels, tuple(g.kernel_size), `strides=${tuple(g.stride)}`, 'padding="valid"', `dilation_rate=${tuple(g.dilation)}`, "use_bias=False"];
  if (!g.transposed) return ["from keras import layers", "", `pad = layers.ZeroPadding${d}D(${pair(lo.map((low, a) => [low, hi[a]]))})`, `conv = layers.Conv${d}D(${[...options, `groups=${g.groups}`].join(", ")})`, "y = conv(pad(x))  # channels last; kernel (*kernel, in, out)"].join("\n");
  // Keras makes at least strides cells of the last stamp.
  const far = hi.map((high, a) => high - slack[a] + Math.max(g.stride[a] - reach[a] - 1, 0));
  const lines = ["from keras import layers", "", `up = layers.Conv${d}DTranspose(${options.join(", ")})`, `crop = layers.Cropping${d}D(${pair(lo.map((low, a) => [low, Math.max(far[a], 0)]))})`];
  const append = far.some((cells) => cells < 0);
  if (append) lines.push(`append = layers.ZeroPadding${d}D(${pair(far.map((cells) => [0, Math.max(-cells, 0)]))})  # beyond the last stamp`);
  return [...lines, `y = ${append ? "append(crop(up(x)))" : "crop(up(x))"}  # channels last; kernel (*kernel, out, in)`].join("\n");
}

function onnxCode(g, { lo, hi, slack }) {
  if (g.padding_mode !== "zeros") return "# ONNX pads convolutions with zeros only; put a Pad node before a Conv.";
  const list = (values) => `[${values.join(", ")}]`;
  const lines = [`kernel_shape=${list(g.kernel_size)}`, `strides=${list(g.stride)}`, `pads=${list([...lo, ...hi])}`, `dilations=${list(g.dilation)}`, `group=${g.groups}`];
  if (g.transposed) lines.splice(3, 0, `output_padding=${list(slack)}`);
  return `from onnx import helper\n\nnode = helper.make_node(\n    "${g.transposed ? "ConvTranspose" : "Conv"}", ["x", "w"], ["y"],\n    ${lines.join(", ")},\n)`;
}

function jaxCode(g, { d, lo, hi, axes }) {
  if (g.padding_mode !== "zeros") return '# JAX pads convolutions with zeros only; jnp.pad(mode="wrap", "reflect" or "edge") before.';
  const pads = g.transposed ? axes.map((axis) => axis.zeroInsertion()) : lo.map((low, a) => [low, hi[a]]);
  const letters = "HW".slice(2 - d), numbers = `("NC${letters}", "OI${letters}", "NC${letters}")`;
  const options = [`padding=[${pads.map((pair) => `(${pair.join(", ")})`).join(", ")}]`, `rhs_dilation=${tuple(g.dilation)}`, `feature_group_count=${g.groups}`, `dimension_numbers=${numbers}`];
  const start = ["import jax.numpy as jnp", "from jax import lax", ""];
  if (!g.transposed) return [...start, `y = lax.conv_general_dilated(x, w, ${tuple(g.stride)}, ${options.join(", ")})`].join("\n");
  const spatial = range(d).map((a) => a + 2);
  if (g.groups > 1) return "# JAX: swap the channel axes of each group by itself, then as for one group; convmat does it.";
  return [...start, "# Zero insertion: the parameters of the equivalent convolution.", `flipped = jnp.flip(w.swapaxes(0, 1), ${tuple(spatial)})`,
    `y = lax.conv_general_dilated(x, flipped, ${tuple(spatial.map(() => 1))}, lhs_dilation=${tuple(g.stride)}, ${options.join(", ")})`].join("\n");
}

/** The call of convmat.explore that opens this page. */
function exploreCall(state) {
  const g = state.geometry, pads = g.padding.map(([lo, hi]) => `(${lo}, ${hi})`);
  const options = [`${tuple(g.input_size)}`, `kernel_size=${tuple(g.kernel_size)}`, `stride=${tuple(g.stride)}`, `padding=${tuple(pads)}`];
  if (g.transposed && g.output_padding.some(Boolean)) options.push(`output_padding=${tuple(g.output_padding)}`);
  options.push(...rareOptions(g));
  if (g.padding_mode !== "zeros") options.push(`padding_mode="${g.padding_mode}"`);
  const channels = g.in_channels * g.out_channels > 1;
  if (channels) {
    const [first, second] = g.transposed ? [g.in_channels, g.out_channels] : [g.out_channels, g.in_channels];
    options[1] = `weight=torch.ones(${[first, second / g.groups, ...g.kernel_size].join(", ")})`;
  }
  if (!g.transposed) options.push("transposed=False");
  return `convmat.explore(input_size=${options.join(", ")})`;
}

class CodePanel {
  constructor(app) {
    this.app = app;
    this.lens = "torch";
  }

  render() {
    const { app } = this, { t, state, model } = app;
    const code = codeOf(this.lens, state.geometry, model.axes.slice(2 - model.ndim));
    const block = (text, key) => h("div", { class: "code" }, h("pre", { tabindex: "0", role: "group", "aria-label": t("code.label") }, h("code", {}, text)), button(t("code.copy"), (event) => this._copy(text, event.currentTarget), { "data-key": key }));
    this.status = h("p", { role: "status", class: "note" });
    return [
      choice(t("code.label"), LENSES.map((lens) => [lens, t(`code.${lens}`)]), this.lens, (lens) => { this.lens = lens; app._renderPanel(); }),
      block(code, "copy-code"), paragraph(t("code.call")), block(exploreCall(state), "copy-call"),
      h("div", { class: "row" }, button(t("export.svg"), () => this._save("convmat.svg", new Blob([sceneOf(app)], { type: "image/svg+xml" })), { "data-key": "svg" }),
        button(t("export.png"), async () => this._save("convmat.png", await pngOf(sceneOf(app))), { "data-key": "png" }),
        hasAddress() ? button(t("share.link"), (event) => this._copy(`${location.href.split("#")[0]}#${toHash(state)}`, event.currentTarget), { "data-key": "share" }) : null),
      this.status,
    ];
  }

  async _copy(text, control) {
    const shown = control.parentNode.querySelector("code");
    if (hasAddress() && navigator.clipboard) await navigator.clipboard.writeText(text).catch(() => {});
    else { // frames may not use the clipboard: select the text, and let the browser copy it if it will
      getSelection().selectAllChildren(shown);
      if (!document.execCommand("copy")) {
        this.status.textContent = this.app.t("code.selected");
        return;
      }
    }
    this.status.textContent = this.app.t("code.copied");
  }

  _save(name, blob) {
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}
