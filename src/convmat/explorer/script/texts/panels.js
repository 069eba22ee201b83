// The words of the panels: of each key English, then Chinese.

const PANEL_WORDS = {
  "only_transposed": ["This is about Cᵀ; the page shows C now.", "这里讲的是 Cᵀ，而页面现在显示 C。"],

  "name.lo": ["lo", "lo"],
  "name.hi": ["hi", "hi"],
  "name.padding_mode": ["padding mode", "填充方式"],
  "name.axes": ["axes", "轴"],

  "mode.zeros": ["zeros", "零"],
  "mode.reflect": ["reflect", "反射"],
  "mode.replicate": ["replicate", "复制"],
  "mode.circular": ["circular", "循环"],

  "note.window": ["A window of the layer: channels {channels} of {allChannels}, input {size} of {allSize}.", "只显示这一层的一部分：通道 {channels}（共 {allChannels}），输入 {size}（共 {allSize}）。"],
  "note.transpose": ["Shown as its transpose: a direct convolution of these arguments would have another size.", "显示的是它的转置：用这些参数的卷积会得到另一个大小。"],

  "more.same": ["padding \"same\"", "填充 \"same\""],
  "more.same.help": ["An output of input·stride cells; an odd cell of padding goes to the end", "输出为 输入·步长；多出的一格填充放在末尾"],
  "more.numbers": ["Other numbers", "换一组数字"],
  "more.reset": ["Start again", "重新开始"],
  "more.zeros": ["lo and hi may differ here; PyTorch's own layers pad both sides alike.", "这里 lo 与 hi 可以不同；PyTorch 自己的层两边相同。"],
  "more.modes": ["C reads copies where the padding is; Cᵀ adds what overhangs back to the cells that were copied: the exact transpose.", "C 在填充处读到副本；Cᵀ 把伸出去的部分加回原来的格子，是精确的转置。"],

  "ways.scatter": ["Stamps: scatter", "印记：散布"],
  "ways.scatter.text": ["Each input times the kernel, unflipped, is added onto the canvas; then the frame crops.", "每个输入乘以卷积核（不翻转），加到画布上，再由框裁剪。"],
  "ways.scatter.result": ["from stamps", "散布的结果"],
  "ways.gather": ["Zero insertion: gather", "插零：收集"],
  "ways.gather.text": ["Insert stride − 1 zeros between inputs, pad, flip the kernel, slide it with stride 1.", "输入之间插入 步长 − 1 个零，填充，翻转卷积核，以步长 1 滑动。"],
  "ways.gather.result": ["from gathering", "收集的结果"],
  "ways.inserted": ["Input with zeros inserted", "插零后的输入"],
  "ways.flipped": ["Flipped kernel", "翻转的卷积核"],
  "ways.key.inserted": ["zero between inputs", "输入之间的零"],
  "ways.key.padding": ["padding", "填充"],
  "ways.key.dilated": ["dilation's zero between taps", "空洞：抽头之间的零"],
  "ways.zero": ["an inserted zero", "插入的零"],
  "ways.and_zeros": ["+ zeros", "+ 零"],
  "ways.same": ["Both ways give the same output.", "两种算法结果相同。"],
  "ways.differ": ["The two ways differ: a mistake of this page.", "两种算法不同：本页有错。"],
  "ways.modes": ["Zero insertion is shown for zero padding only.", "插零只对零填充画出。"],
  "ways.whose": ["Whose parameters?", "谁的参数？"],
  "ways.whose.direct": ["the direct convolution's", "它所转置的卷积的"],
  "ways.whose.equivalent": ["the equivalent stride-1 convolution's", "等价的步长 1 卷积的"],
  "ways.whose.direct.text": ["A transposed convolution is named after the convolution it transposes: these are ConvTranspose's arguments.", "转置卷积沿用它所转置的卷积的参数：这些就是 ConvTranspose 的参数。"],
  "ways.whose.equivalent.text": ["Of the convolution that slides over the inserted zeros: padding is dilation·(kernel−1) − lo, and at the far end − hi + output_padding; negative crops.", "在插零后的输入上滑动的卷积：填充是 空洞·(卷积核−1) − lo，末端再 − hi + 输出填充；负数就是裁剪。"],

  "sizes.same": ["C takes these sizes to …, {size} among them:", "C 把这些大小变成几格？变成 {size} 的有："],
  "sizes.reach": ["Cᵀ can reach from {size}:", "Cᵀ 从 {size} 可以到达："],
  "sizes.op": ["output_padding {op}", "输出填充 {op}"],
  "sizes.unet": ["Round trip of a U-Net: {fine} → C → {coarse} → Cᵀ → {back}.", "U-Net 往返：{fine} → C → {coarse} → Cᵀ → {back}。"],
  "sizes.unet.same": ["It fits without output_padding.", "不用输出填充就吻合。"],
  "sizes.unet.needs": ["To come back to {fine} it needs output_padding = {op}.", "要回到 {fine}，需要输出填充 = {op}。"],
  "sizes.more_rows": ["Here output_padding = {op} ≥ stride = {stride}: the direct convolution of {fine} cells makes {again}, not {coarse}. PyTorch allows it because dilation is larger.", "这里输出填充 = {op} ≥ 步长 = {stride}：{fine} 格的卷积得到 {again} 格，而不是 {coarse}。PyTorch 允许，因为空洞更大。"],
  "sizes.unread": ["C leaves {count} cells unread: {cells}. Cᵀ writes 0 (+ bias) there.", "C 有 {count} 格没有读到：{cells}。Cᵀ 在那里写 0（+ 偏置）。"],
  "sizes.all_read": ["C reads every cell.", "C 读到了每一格。"],

  "check.balanced": ["Balanced: every phase sums to the same. A constant stays constant, away from the border.", "平衡：各相位的和相等，除边缘外常数仍是常数。"],
  "check.balanced_uneven": ["Balanced: the counts are uneven, and yet every phase sums to the same.", "平衡：次数不均匀，但各相位的和相等。"],
  "check.flickers": ["Checkerboard: the phases sum to different values, so a constant input flickers.", "有棋盘格：各相位的和不相等，常数输入也有起伏。"],
  "check.flickers_even": ["Checkerboard: the counts are even, and yet the phases sum to different values.", "有棋盘格：次数均匀，但各相位的和不相等。"],
  "check.empty": ["Some phases are fed by no tap: stride and dilation share a divisor, and these cells stay 0 (+ bias).", "有些相位一个抽头也没有：步长与空洞有公因数，这些格子永远是 0（+ 偏置）。"],
  "check.phase": ["phase", "相位"],
  "check.taps": ["taps", "抽头"],
  "check.count": ["count", "次数"],
  "check.sum": ["sum", "和"],
  "check.field": ["inputs seen", "看到的输入"],
  "check.counts": ["taps per phase", "各相位的抽头数"],
  "check.sums": ["sum per phase", "各相位的和"],
  "check.ones": ["Cᵀ1: all inputs 1", "Cᵀ1：输入全为 1"],
  "check.cure": ["What cures it:", "怎样消除："],
  "check.cure.bilinear": ["bilinear kernel {size}", "双线性卷积核 {size}"],
  "check.cure.text": ["A kernel that is a multiple of the stride, started from interpolation; or interpolate first, then an ordinary convolution.", "让卷积核大小是步长的倍数，并用插值核初始化；或者先插值，再做普通卷积。"],

  "ask.show": ["Show me", "看一看"],
  "ask.inverse": ["Is it the inverse?", "它是逆吗？"],

  "answer.inverse": ["No. Cᵀ brings back the shape, not the numbers: CᵀC is not the identity.", "不是。Cᵀ 还原形状，不还原数字：CᵀC 不是单位矩阵。"],

  "inverse.product": ["CᵀC, nonzero entries", "CᵀC 的非零元素"],

  "ask.appended": ["Are output_padding's cells zeros?", "输出填充的格子是零吗？"],

  "answer.appended": ["No: the frame's far edge moves out, and its cells are computed like all others. Where no tap reaches, there is 0 + bias.", "不是：框的末端往外移，那里的格子同样算出来。没有抽头到达的才是 0 + 偏置。"],

  "appended.figure": ["output, appended cells marked, unreached dotted", "输出；标出追加的格子，打点的没有抽头到达"],
  "appended.count": ["{all} cells are appended; {empty} of them are reached by no tap.", "追加了 {all} 格，其中 {empty} 格没有抽头到达。"],

  "ask.odd": ["On which side is the odd padding?", "多出的一格填充在哪一边？"],

  "answer.odd": ["output_padding takes from the far end; \"same\" halves the total and puts the odd cell at the end. The outputs are shifted copies.", "输出填充从末端拿走；\"same\" 把总数对半分，多的一格放在末尾。两者的输出错开几格。"],

  "odd.equal": ["Both frames agree.", "两个框相同。"],
  "odd.shift": ["Shifted by {shift}.", "错开 {shift} 格。"],

  "ask.layout": ["Why is the weight (in, out)?", "权重为什么是 (in, out)？"],

  "answer.layout": ["A block of C for each pair of channels. C's rows are the transposed convolution's input: the axes stay, only their names are swapped.", "每对通道是 C 的一块。C 的行是转置卷积的输入：轴没有动，只是叫法互换。"],

  "layout.shape": ["weight: ({first}, {second}/groups, …) = ({shape})", "权重：({first}, {second}/groups, …) = ({shape})"],
  "layout.blocks": ["blocks of C: rows {rows}, columns {columns} channels", "C 的块：行是{rows}通道，列是{columns}通道"],

  "ask.groups": ["What do groups do?", "分组做了什么？"],

  "answer.groups": ["They leave the blocks off the diagonal empty: C is block diagonal.", "对角线以外的块为空：C 是分块对角矩阵。"],

  "groups.blocks": ["{groups} groups", "{groups} 组"],

  "ask.bilinear": ["Are bilinear weights the same as interpolate?", "双线性权重等于 interpolate 吗？"],

  "answer.bilinear": ["Inside, yes. At the border fewer taps meet: divide by Cᵀ1, what the map makes of ones.", "内部相等。边缘的抽头少一些：除以 Cᵀ1，也就是全 1 输入的结果。"],

  "bilinear.same": ["Equal: dividing by Cᵀ1 is align_corners=False.", "相等：除以 Cᵀ1 就是 align_corners=False。"],
  "bilinear.differ": ["Not equal.", "不相等。"],

  "ask.shuffle": ["Is it the same as pixel shuffle?", "它和 pixel shuffle 一样吗？"],

  "answer.shuffle": ["Yes: each phase of the output is a small convolution of stride 1; interleaved, they are the output.", "一样：输出的每个相位是一个步长为 1 的小卷积，交错排好就是输出。"],

  "shuffle.phase": ["phase {phase}", "相位 {phase}"],
  "shuffle.all": ["interleaved", "交错排好"],

  "ask.gradient": ["Why does backward need it?", "反向传播为什么用到它？"],

  "answer.gradient": ["y = Cx gives dL/dx = Cᵀ dL/dy. The same matrix with other names; the flip appears only if one writes it as a gather.", "y = Cx，所以 dL/dx = Cᵀ dL/dy。矩阵没变，只是换了名字；写成收集时才需要翻转。"],

  "gradient.on": ["Name it as gradients", "用梯度的名字"],
  "gradient.off": ["Name it as outputs", "用输出的名字"],

  "ask.field": ["How far does an output see?", "一个输出能看多远？"],

  "answer.field": ["An output of C sees dilation·(kernel−1)+1 cells; one of Cᵀ sees the inputs of its phase.", "C 的输出看到 空洞·(卷积核−1)+1 格；Cᵀ 的输出看到它那个相位的输入。"],

  "field.direct": ["C sees", "C 看到"],
  "field.phases": ["taps of each phase", "各相位的抽头数"],

  "predict.title": ["Predict first", "先猜一猜"],
  "predict.text": ["Hide something, answer, then look.", "藏起一样东西，先回答，再看。"],
  "predict.size": ["Hide the size", "藏起大小"],
  "predict.cell": ["Hide a cell", "藏起一格"],
  "predict.answer": ["Your answer", "你的答案"],
  "predict.check": ["Check", "检查"],
  "predict.ask_size": ["{axis} of the output?", "输出的{axis}是多少？"],
  "predict.ask_cell": ["What stands at the question mark?", "问号处是几？"],
  "predict.right": ["Right: ({n}−1)·{stride} + {spread} + 1 − {lo} − {hi} + {op} = {size}.", "对：({n}−1)·{stride} + {spread} + 1 − {lo} − {hi} + {op} = {size}。"],
  "predict.no_op": ["{given} leaves out output_padding, which moves the far edge out by {op}.", "{given} 漏了输出填充，它让末端往外移 {op} 格。"],
  "predict.no_padding": ["{given} is the uncropped sum: padding crops {lo} and {hi}.", "{given} 是没有裁剪的和：填充裁掉 {lo} 格和 {hi} 格。"],
  "predict.padding_grows": ["{given} adds the padding. In a transposed convolution it crops.", "{given} 把填充加上了。在转置卷积里它是裁剪。"],
  "predict.direct": ["{given} is the size of a direct convolution. This one goes the other way.", "{given} 是普通卷积的大小。这里方向相反。"],
  "predict.times": ["{given} is input·stride. That needs kernel and padding to match; here they don't.", "{given} 是 输入·步长。那要求卷积核与填充配合，这里不是。"],
  "predict.steps": ["There are n − 1 steps between n stamps, not n.", "n 个印记之间有 n − 1 步，不是 n 步。"],
  "predict.one_off": ["Close: off by one.", "接近了：差一。"],
  "predict.other": ["Not {given}. Where does the last stamp begin, and where does it end?", "不是 {given}。最后一个印记从哪里开始，到哪里结束？"],
  "predict.cell_right": ["Right: {value}.", "对：{value}。"],
  "predict.cell_one": ["{given} is one stamp. Several overlap here: add them up.", "{given} 只是一个印记。这里有几个重叠：要加起来。"],
  "predict.cell_flipped": ["{given} comes from the flipped kernel. Stamps are not flipped.", "{given} 用了翻转的卷积核。印记不翻转。"],
  "predict.cell_other": ["Not {given}. Which stamps reach this cell, and through which taps?", "不是 {given}。哪些印记到达这一格，经过哪些抽头？"],

  "break.title": ["Break it", "弄坏它"],
  "break.text": ["Make a mistake on purpose and see which checks notice.", "故意犯一个错，看哪些检查能发现。"],
  "break.size": ["Sizes", "大小"],
  "break.square": ["square", "正方形"],
  "break.oblong": ["not square", "非正方形"],
  "break.kernel": ["Kernel", "卷积核"],
  "break.asymmetric": ["asymmetric", "不对称"],
  "break.symmetric": ["symmetric", "对称"],
  "break.mistake": ["mistake", "错误"],
  "break.swapped": ["axes swapped when padding the kernel", "填充卷积核时把两个轴弄反"],
  "break.flip": ["flip forgotten in zero insertion", "插零时忘了翻转"],
  "break.zeros": ["output_padding appended as zeros", "把输出填充补成零"],
  "break.noticed": ["noticed", "发现了"],
  "break.missed": ["missed", "没发现"],
  "break.moral": ["Compare each step with a reference, on sizes that are not square and a kernel that is not symmetric.", "每一步都与参考结果比，用非正方形的大小和不对称的卷积核。"],

  "story.back": ["Back", "上一步"],
  "story.next": ["Next (n)", "下一步 (n)"],
  "story.more": ["Go on in", "继续看"],
  "story.0.title": ["Slide and dot product", "滑动与点积"],
  "story.0.text": ["The kernel lies on the input; cells that meet are multiplied and added up. Press play: every place makes one output.", "卷积核放在输入上，重合的格子相乘再相加。按播放：每放一个位置得到一个输出。"],
  "story.1.title": ["The region matrix", "区域矩阵"],
  "story.1.text": ["Each region under the kernel becomes a column. All dot products are then one matrix product (im2col).", "卷积核下的每块区域成为一列，所有点积就是一次矩阵乘法（im2col）。"],
  "story.2.title": ["The kernel matrix", "卷积核矩阵"],
  "story.2.text": ["Turn it round: flatten the input, and the kernel becomes a matrix C. Each row is one place of the kernel.", "反过来：把输入展平，卷积核变成矩阵 C，每一行是卷积核的一个位置。"],
  "story.3.title": ["Its transpose", "转置卷积"],
  "story.3.text": ["Cᵀ goes from the output's size back to the input's. Read by columns it scatters: each input stamps the kernel.", "Cᵀ 从输出的大小回到输入的大小。按列看是散布：每个输入盖一次章。"],
  "story.4.title": ["Upsampling", "上采样"],
  "story.4.text": ["With a bilinear kernel and stride 2, Cᵀ enlarges a picture.", "用双线性卷积核，步长 2，Cᵀ 就放大图片。"],
  "story.5.title": ["Zero insertion", "插零"],
  "story.5.text": ["Read by rows Cᵀ gathers: insert zeros, flip the kernel, slide it with stride 1.", "按行看 Cᵀ 是收集：插零，翻转卷积核，以步长 1 滑动。"],
  "story.6.title": ["Checkerboards", "棋盘效应"],
  "story.6.text": ["Where the kernel is no multiple of the stride, neighbours sum different numbers of taps.", "卷积核不是步长的倍数时，相邻的格子加起来的抽头数不同。"],
  "story.7.title": ["Gradients", "梯度"],
  "story.7.text": ["dL/dx = Cᵀ dL/dy: every convolution's backward pass is a transposed convolution.", "dL/dx = Cᵀ dL/dy：每个卷积的反向传播都是转置卷积。"],
  "story.8.title": ["Check every step", "逐步检查"],
  "story.8.text": ["Cᵀ(Cx) comes out right although both steps are wrong, if the axes are swapped and the input is square.", "两个轴弄反、输入又是正方形时，两步都错，Cᵀ(Cx) 却是对的。"],
  "story.9.title": ["The operator", "算子"],
  "story.9.text": ["A matrix has a norm, singular values and solvers; so has the layer, without storing the matrix.", "矩阵有范数、奇异值和求解器；层也有，而且不必存下矩阵。"],

  "preset.label": ["Kernel", "卷积核"],
  "preset.random": ["random", "随机"],
  "preset.ones": ["ones", "全 1"],
  "preset.nearest": ["nearest", "最近邻"],
  "preset.bilinear": ["bilinear", "双线性"],
  "preset.binomial": ["1-3-3-1", "1-3-3-1"],
  "preset.own": ["own", "自定"],
  "preset.hint": ["Drag a tap up or down in the kernel above, or focus it and press + and −.", "在上面的卷积核里上下拖动抽头，或选中后按 + 和 −。"],

  "picture.label": ["Picture", "图片"],
  "picture.disc": ["disc", "圆"],
  "picture.ramp": ["ramp", "渐变"],
  "picture.stripes": ["blocks", "方块"],
  "picture.file": ["Open a picture", "打开图片"],
  "picture.divide": ["divide by Cᵀ1", "除以 Cᵀ1"],
  "picture.small": ["32×32: draw here, or drop a picture", "32×32：在这里画，或拖入图片"],
  "picture.large": ["upsampled by the kernel above", "用上面的卷积核放大"],
  "picture.hint": ["Pictures stay in your browser.", "图片只留在你的浏览器里。"],
  "picture.none": ["That file is no picture.", "这个文件不是图片。"],

  "code.label": ["Library", "库"],
  "code.torch": ["PyTorch", "PyTorch"],
  "code.convmat": ["convmat", "convmat"],
  "code.keras": ["Keras", "Keras"],
  "code.onnx": ["ONNX", "ONNX"],
  "code.jax": ["JAX", "JAX"],
  "code.copy": ["Copy", "复制"],
  "code.copied": ["Copied.", "已复制。"],
  "code.selected": ["Selected: copy it with your keyboard.", "已选中：请用键盘复制。"],
  "code.call": ["This page, from Python:", "用 Python 打开本页："],

  "export.svg": ["Save SVG", "保存 SVG"],
  "export.png": ["Save PNG", "保存 PNG"],

  "share.link": ["Copy link", "复制链接"],
};
