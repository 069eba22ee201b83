"""What the library itself says, in Chinese: errors, warnings, notices, why solvers end; of files, what the system says.

The keys are the English templates, word for word as the code has them; see :class:`convmat.geometry.Sentence`.
"""

_KERNEL = {
    "convmat: compiling its kernel for {kind}, {how_often}; it takes some seconds": (
        "convmat: 正在为 {kind} 编译内核（需要若干秒），{how_often}"
    ),
    "once for this processor": "对这种处理器只编译一次",
    "again in every process. {elsewhere}": "每个进程都要重新编译。{elsewhere}",
    "Set NUMBA_CACHE_DIR to a folder that can be written to": "请把 NUMBA_CACHE_DIR 设为一个可写的文件夹",
    "convmat: The compiled code in {folder} cannot be read, so it is compiled again: {reason}": (
        "convmat: {folder} 里编译好的代码读不出来，所以重新编译：{reason}"
    ),
    "convmat: The compiled code cannot be kept in {folder}, so each process compiles it. {elsewhere}: {reason}": (
        "convmat: 编译好的代码无法存到 {folder}，所以每个进程都要编译。{elsewhere}：{reason}"
    ),
    "convmat's kernel cannot be compiled here, PyTorch's own functions are used instead: {reason}": (
        "我们的内核在这里无法编译，改用 PyTorch 自己的函数：{reason}"
    ),
}

_GEOMETRY = {
    "spatial axis {axis}: {error}": "空间轴 {axis}：{error}",
    "{brief} ({count} values)": "{brief}（共 {count} 个值）",
    "{name}={value} has {count} values: need one integer, or one for each of the {ndim} axes": (
        "{name}={value} 有 {count} 个值：应为一个整数，或 {ndim} 个轴各一个"
    ),
    "padding={value} has {count} values: need one integer, or one integer or (lo, hi) pair for each of the {ndim} "
    "axes{hint}": "padding={value} 有 {count} 个值：应为一个整数，或 {ndim} 个轴各一个整数或一对 (lo, hi){hint}",
    "; for one (lo, hi) pair write padding=({pair},)": "；一对 (lo, hi) 写作 padding=({pair},)",
    "padding={padding}: {item} must be a pair (lo, hi)": "padding={padding}：{item} 应为一对 (lo, hi)",
    "padding={value} is unknown: need integers, (lo, hi) pairs, 'same' or 'valid'": (
        "padding={value} 不认识：应为整数、成对的 (lo, hi)、'same' 或 'valid'"
    ),
    "{name}={value} is out of range: need at most 2**63-1": "{name}={value} 超出范围：不能大于 2**63-1",
    "{name}={value} is unknown: need one of {known}": "{name}={value} 不认识：可选 {known}",
    "{name}={value} must be at least 1": "{name}={value} 不能小于 1",
    "{name}={channels} must be at least 0": "{name}={channels} 不能小于 0",
    "{name}={channels} must be a multiple of groups={groups}": "{name}={channels} 必须是 groups={groups} 的倍数",
    "input": "输入",
    "output": "输出",
    "{name} shape {shape} has {elements} elements, more than 2**63-1: sizes overflow": (
        "{name}的形状 {shape} 有 {elements} 个元素，超过 2**63-1：尺寸溢出"
    ),
    "kernel_size={kernel} with dilation={dilation} spans {extent} cells, more than the padded input's "
    "{input_size}+{lo}+{hi}={padded}: need dilation*(kernel_size-1)+1 <= input+padding; {missing} more of padding, "
    "or kernel_size <= {largest}, would do": (
        "卷积核 {kernel}、空洞 {dilation} 跨越 {extent} 格，超过了填充后的输入 {input_size}+{lo}+{hi}={padded} 格：需"
        "要 空洞*(卷积核-1)+1 <= 输入+填充；填充再加 {missing}，或者卷积核 <= {largest} 就行"
    ),
    "output_padding={output_padding} cannot go with {other}, which fixes the size: leave output_padding at 0": (
        "输出填充 {output_padding} 不能与 {other} 合用，后者已定下尺寸：输出填充请保持为 0"
    ),
    "output_padding={output_padding} is out of range: need 0 <= output_padding < max(stride={stride}, "
    "dilation={dilation}); {nearest} would do": (
        "输出填充 {output_padding} 超出范围：需要 0 <= 输出填充 < max(步长 {stride}, 空洞 {dilation})；{nearest} 就行"
    ),
    "padding {padding} crops away all of the output: need lo + hi < (input-1)*stride + dilation*(kernel_size-1) + 1 "
    "+ output_padding = {full}; lo + hi = {most} would leave one cell": (
        "填充 {padding} 把输出全部裁掉了：需要 lo + hi < (输入-1)*步长 + 空洞*(卷积核-1) + 1 + 输出填充 = {full}；lo "
        "+ hi = {most} 时还剩一格"
    ),
    "padding {padding} with padding_mode={padding_mode!r} reads a side of {inputs} cells: need padding {sign} "
    "{inputs}; at most {limit} would do": (
        "填充 {padding}、填充模式 {padding_mode!r} 所读的一边只有 {inputs} 格：需要填充 {sign} {inputs}；至多 "
        "{limit} 就行"
    ),
    "output_size={output_size} is out of reach: the padding crops away all of the output": (
        "输出尺寸 {output_size} 达不到：填充把输出全部裁掉了"
    ),
    "output_size={output_size} is out of reach: need {smallest} <= output_size <= {largest}; {nearest} would do": (
        "输出尺寸 {output_size} 达不到：需要 {smallest} <= 输出尺寸 <= {largest}；{nearest} 就行"
    ),
    "padding {padding} must not be negative: need lo >= 0 and hi >= 0; slice to crop": (
        "填充 {padding} 不能为负：需要 lo >= 0 且 hi >= 0；要裁剪请切片"
    ),
}

_MEMORY = {
    "{what} takes {size} to build, but {free} are free: use {ways}": (
        "{what}需要 {size} 内存，但只剩 {free}：请改用{ways}"
    ),
    "an array of shape {shape}": "形状为 {shape} 的数组",
    "smaller sizes": "更小的尺寸",
    "the axis' {what} of {cells} cells": "一个轴的 {cells} 格{what}",
    "table": "抽头表",
    "padding's table": "填充表",
    "a smaller axis, or its closed forms": "更短的轴，或它的公式",
    "{rows} x {columns} matrix with {entries} nonzero entries": "{rows} x {columns} 的矩阵（{entries} 个非零元素）",
    "{rows} x {columns} matrix with up to {entries} nonzero entries": (
        "{rows} x {columns} 的矩阵（至多 {entries} 个非零元素）"
    ),
    "the {matrix}, as {layout},": "{matrix}存成 {layout} ",
    "layout=torch.sparse_csr, or {ways}": " layout=torch.sparse_csr，或{ways}",
    "the map without its matrix (convmat.conv1d .. conv_transpose3d)": (
        "不建矩阵的算法（convmat.conv1d 到 conv_transpose3d）"
    ),
    "a {rows} x {columns} matrix has more than 2**63-1 places: sizes overflow": (
        "{rows} x {columns} 的矩阵有超过 2**63-1 个位置：尺寸溢出"
    ),
    "upsampling to {height} x {width} by scale={scale}": "放大 {scale} 倍到 {height} x {width} ",
    "a smaller scale or image": "更小的倍数或图片",
    "the output of shape {shape} and {dtype}": "形状为 {shape}、类型为 {dtype} 的输出",
    "a smaller batch, stride or kernel, or parts of the input": "更小的批次、步长或卷积核，或把输入分成几部分",
    "the {count} matrices of the frequencies": "各频率的 {count} 个矩阵",
    "op.norm(), or fewer channels": " op.norm()，或更少的通道",
}

_METHODS = {
    "method={method!r} cannot take this layer: {reason}; {instead}": (
        "method={method!r} 不支持这一层：{reason}；{instead}"
    ),
    "use {methods}": "可以用 {methods}",
    "no method can": "没有算法支持",
    "PyTorch's dilated convolution takes no {dtype}": "PyTorch 带空洞的卷积不支持 {dtype}",
    "PyTorch's transposed convolution takes no {dtype}": "PyTorch 的转置卷积不支持 {dtype}",
    "PyTorch lacks operations on {dtype} that it needs": "PyTorch 缺少所需的 {dtype} 运算",
    "it sums products, which torch.bool does not have": "它要把乘积相加，torch.bool 没有乘积的和",
    "a spectrum of {dtype} would be rounded": "{dtype} 的频谱会有舍入误差",
    "PyTorch convolves over at most {most} axes": "PyTorch 最多在 {most} 个轴上做卷积",
    "PyTorch convolves over at most {most} axes, not {ndim}": "PyTorch 最多在 {most} 个轴上做卷积，而不是 {ndim} 个",
    "scale={scale} must be at least 2": "放大倍数 {scale} 不能小于 2",
    "{name} is {dtype}, with which PyTorch does not compute: need float16 to float64, bfloat16, complex64, "
    "complex128, uint8 or int8 to int64; {name}.{way} would do": (
        "{name} 的类型是 {dtype}，PyTorch 不能用它计算：应为 float16 到 float64、bfloat16、complex64、complex128、"
        "uint8 或 int8 到 int64；{name}.{way} 就行"
    ),
    "SciPy has no sparse arrays of {dtype}: matrix.float() has": "SciPy 没有 {dtype} 的稀疏数组：matrix.float() 有",
    "path=None needs a file: {variable} is empty, so none is used; name one, or unset it": (
        "没有可写的文件：{variable} 为空，所以一个也不用；请用 --out 指定，或取消这个变量"
    ),
    "seconds={seconds} must be a positive number": "seconds={seconds} 必须是正数",
    "our kernel cannot be compiled here ({kind})": "我们的内核在这里无法编译（{kind}）",
    "Numba, which our kernel needs, is not installed: pip install numba": (
        "没有安装我们的内核所需的 Numba：pip install numba"
    ),
    "Numba, which our kernel needs, does not load ({kind}): pip install --upgrade numba": (
        "我们的内核所需的 Numba 无法加载（{kind}）：pip install --upgrade numba"
    ),
    "the tuning file {path} is ignored: {error}. 'convmat tune' writes it anew; {variable}= (empty) uses none": (
        "没有采用系数文件 {path}：{error}。'convmat tune' 会重新写一份；{variable}=（空）则不用任何文件"
    ),
    "it is damaged, as it holds no JSON": "它已损坏，内容不是 JSON",
    "it is damaged, as it holds no table of factors": "它已损坏，里面没有系数表",
    "it is damaged, as {name} must hold {terms}": "它已损坏，{name} 必须有 {terms}",
    "it is damaged, as {name}.{term}={factor} must lie in 1/{most:.0f}..{most:.0f}": (
        "它已损坏，{name}.{term}={factor} 必须在 1/{most:.0f} 到 {most:.0f} 之间"
    ),
    "it was made for {name} {there}, and this is {here}": "它是为 {name} {there} 写的，而这里是 {here}",
    "our kernel is not used on this machine: there is nothing to choose": "这台机器不使用我们的内核：没有什么可选的",
}

_DRAWING = {
    "no installed font has the glyphs of lang={language!r}, so the picture is in English; a font as Noto Sans CJK SC "
    "or WenQuanYi Micro Hei (Debian: fonts-wqy-microhei) would do": (
        "没有安装能写 lang={language!r} 的字体，所以图用英文；装上 Noto Sans CJK SC 或文泉驿微米黑（Debian 上是 "
        "fonts-wqy-microhei）就行"
    ),
    "{count} steps are too many to animate: need at most {most}": "{count} 步太多，无法做成动画：至多 {most} 步",
    "{name}={value} is out of range: need {least} <= {name} <= {largest}": (
        "{name}={value} 超出范围：需要 {least} <= {name} <= {largest}"
    ),
    "{count} stamps beside their sum are too many: need at most {most} inputs; draw.frame shows their sum alone "
    "(in_shape={in_shape})": (
        "{count} 个印记与它们的和放在一起太多：至多 {most} 个输入；draw.frame 只画它们的和（in_shape={in_shape}）"
    ),
    "font_size={font_size} is out of range: need {least:g} <= font_size <= {most:g}": (
        "font_size={font_size} 超出范围：需要 {least:g} <= font_size <= {most:g}"
    ),
    "the {matrix} is too large to draw: need at most {most} entries; a smaller layer looks the same": (
        "{matrix}太大，画不出来：至多 {most} 个元素；更小的层看起来一样"
    ),
    "the {matrix} is too large to draw: need at most {most} entries, zeros included; a smaller layer looks the same": (
        "{matrix}太大，画不出来：连零在内至多 {most} 个元素；更小的层看起来一样"
    ),
    "a geometry over {ndim} axes cannot be drawn: need 1 or 2": "{ndim} 个轴的层画不出来：应为 1 个或 2 个轴",
    "an overlap of {cells} cells is too large to draw: need at most {most}; a smaller layer looks the same": (
        "{cells} 格的重叠图太大，画不出来：至多 {most} 格；更小的层看起来一样"
    ),
    "a picture of {cells} cells is too large to draw: need at most {most}; a smaller layer looks the same": (
        "{cells} 格的图太大，画不出来：至多 {most} 格；更小的层看起来一样"
    ),
    "a tensor of {count} elements is too large to draw: need at most {most}; a smaller layer looks the same": (
        "{count} 个元素的张量太大，画不出来：至多 {most} 个；更小的层看起来一样"
    ),
    "{count} phases are too many to draw: need at most {most}; a smaller stride would do": (
        "{count} 个相位太多，画不出来：至多 {most} 个；更小的步长就行"
    ),
    "padding_mode={padding_mode!r} mixes the phases at the borders: phases need 'zeros'": (
        "填充模式 {padding_mode!r} 在边界上混合各个相位：画相位需要 'zeros'"
    ),
    "view='gather' inserts zeros, and padding_mode={padding_mode!r} pads with others; view='scatter' would do": (
        "view='gather' 插入零，而填充模式 {padding_mode!r} 填的不是零；view='scatter' 就行"
    ),
    "at={at} is no {what} cell: need an index into {own}, with or without the channel, or a number below {count}": (
        "at={at} 不是{what}的格子：应为 {own} 之内的下标（可以不写通道），或小于 {count} 的编号"
    ),
    "draw.unfold is about direct convolutions: geometry.transpose() would do": (
        "draw.unfold 画的是普通卷积：去掉 --transposed 就行"
    ),
}

_MODELS = {
    "torch.fx does not see layers that convmat.accelerate has swapped, so quantizing or fusing this graph leaves them "
    "as they are: call convmat.restore(model) before, and accelerate last": (
        "torch.fx 看不到 convmat.accelerate 换上的层，所以量化或融合这张图时它们原样不动：请先用 "
        "convmat.restore(model) 换回，最后再加速"
    ),
    "the norm has not converged after {steps} steps: {value:.6g}, relative error about {error:.1e}; a larger tol or "
    "float64 would do": (
        "范数在 {steps} 步之后仍未收敛：{value:.6g}，相对误差约为 {error:.1e}；放宽 tol 或改用 float64 就行"
    ),
    "{kind} called no convolution of PyTorch's": "{kind} 没有调用 PyTorch 的卷积",
    "{argument}: {model}({described}) raised {kind}: {reason}{need}": (
        "{argument}：{model}({described}) 抛出 {kind}：{reason}{need}"
    ),
    "; need a tuple of the model's positional arguments, a dict of those by name, or its only argument": (
        "；应为按位置的参数元组、按名字的参数字典，或唯一的参数"
    ),
    "; need what the model is called with": "；应为调用模型的参数",
    "the operator is {dtype}: singular values need a floating dtype; op.to(torch.float64)": (
        "算子的类型是 {dtype}：奇异值需要浮点类型；用 op.to(torch.float64)"
    ),
    "the operator's entries are not finite: it has no singular values": "算子的元素不都是有限的：没有奇异值",
    "the operator's entries are not finite, or overflow: it has no norm": "算子的元素不都是有限的，或者溢出：没有范数",
}

_RESTORING = {
    "the operator's weight is zero everywhere: no scene reaches the data": "算子的权重处处为零：没有场景到达数据",
    "psf is zero everywhere: need a positive sum": "PSF 处处为零：总和必须为正",
    "{name} has values that are NaN or infinite: need finite ones": "{name} 里有 NaN 或无穷大：必须都是有限的",
    "{name} has {wrong} values that are NaN or infinite, of {count}: need finite ones": (
        "{name} 的 {count} 个值里有 {wrong} 个是 NaN 或无穷大：必须都是有限的"
    ),
    "{name} has {count} negative values, down to {smallest:g}: need values of at least 0; subtract the offset, or "
    "{argument}.clamp(min=0)": (
        "{name} 里有 {count} 个负值，最小为 {smallest:g}：不能小于 0；请减去偏置，或 {argument}.clamp(min=0)"
    ),
    "psf of shape {shape} and data of {sizes}: need one axis of the PSF for each of the data": (
        "PSF 的形状是 {shape}，数据是 {sizes}：数据的每个轴都要有 PSF 的一个轴"
    ),
    "psf of shape {shape} and data of {sizes}: the PSF has more axes": (
        "PSF 的形状是 {shape}，数据是 {sizes}：PSF 的轴更多"
    ),
    "psf {shape} on data {sizes}: along an axis the PSF is the larger. Its axes must be in the order of the data's; "
    "{way}": "PSF {shape}，数据 {sizes}：有一个轴上 PSF 更大。它的轴必须与数据的轴顺序相同；{way}",
    "psf.permute{order} would fit": "psf.permute{order} 就合适",
    "crop it to where it is not zero": "请裁剪到它不为零的部分",
    "{name} is {dtype} on {device}, but the operator {of_operator} on {device_of_operator}: they should be the same": (
        "{name} 是 {device} 上的 {dtype}，而算子是 {device_of_operator} 上的 {of_operator}：两者应当相同"
    ),
    "damp={damp:g} must be at least 0": "阻尼 {damp:g} 不能小于 0",
    "{name}={value} must be finite and at least 0": "{name}={value} 必须有限，且不小于 0",
    '{name} is missing, which volumes need: pip install "convmat[{extra}]"': (
        '缺少体数据所需的 {name}：pip install "convmat[{extra}]"'
    ),
    "memory={memory} must be a number of bytes, or a text as '2GiB'": (
        "memory={memory} 应为字节数，或 '2GiB' 这样的文字"
    ),
    "memory={memory} is too little to copy a chunk of y, with all channels {largest}: that takes {held}; smaller "
    "chunks where y is made, or more memory, would do": (
        "memory={memory} 太少，不够复制数据的一块（连同所有通道 {largest}）：那要 {held}；数据用更小的块，或给更多内"
        "存就行"
    ),
    "memory={memory} is too little: a task takes {smallest} with the smallest blocks, for a kernel of that reach: "
    "more memory, or a smaller PSF, would do": (
        "memory={memory} 太少：这样大的核，用最小的块，一个任务也要 {smallest}：给更多内存，或用更小的 PSF 就行"
    ),
    "memory={memory} is too little for the blocks that {folder!r} was begun with: as much as then would do": (
        "memory={memory} 太少，不够 {folder!r} 开始时所用的块：给当时那么多就行"
    ),
    "y has {what} (in chunk {chunk}, the first of them at {first})": (
        "数据里有{what}（在块 {chunk} 里，第一个在 {first}）"
    ),
    "values that are NaN or infinite: need finite ones": " NaN 或无穷大：必须都是有限的",
    "negative values: need values of at least 0; subtract the offset, or y.clip(0)": (
        "负值：不能小于 0；请减去偏置，或 y.clip(0)"
    ),
    "y is {dtype} and the operator {of_operator}: they should be the same; y.astype would do": (
        "数据的类型是 {dtype}，算子是 {of_operator}：两者应当相同；y.astype 就行"
    ),
    "store={folder!r} takes {size} ({listed}), but {free} are free there: use another disk, or free some of it": (
        "{folder!r} 需要 {size}（{listed}），但那里只剩 {free}：请换一个磁盘，或腾出空间"
    ),
    "overwrite and resume exclude each other: start anew, or go on": (
        "--overwrite 与 --resume 不能同时使用：要么重新开始，要么接着算"
    ),
    "store={folder!r} exists and is none that convmat made: name another, or remove it yourself": (
        "{folder!r} 已存在，而且不是 convmat 建立的：请换一个名字，或自己删除它"
    ),
    "store={folder!r} exists, {at}: resume=True goes on with it, overwrite=True starts anew": (
        "{folder!r} 已存在，{at}：--resume 接着算，--overwrite 重新开始"
    ),
    "its data are not whole": "其中的数据不完整",
    "iteration {iteration} is whole": "第 {iteration} 次迭代是完整的",
    "store={folder!r} was begun with another operator, PSF, method or damping: resume goes on with the same only; "
    "overwrite starts anew": (
        "{folder!r} 是用别的算子、PSF、算法或阻尼开始的：--resume 只能接着算同样的；--overwrite 重新开始"
    ),
    "store={folder!r} was begun with other data: resume goes on with the same only; overwrite starts anew": (
        "{folder!r} 是用别的数据开始的：--resume 只能接着算同样的；--overwrite 重新开始"
    ),
    "store={folder!r} ended at iteration {iteration}, and its vectors are gone: start anew with overwrite=True, and "
    "all iterations at once": (
        "{folder!r} 在第 {iteration} 次迭代结束，所需的向量已不在：请用 --overwrite 重新开始，一次做完全部迭代"
    ),
    "the disk is full; nothing is kept yet": "磁盘已满；还没有保存任何结果",
    "the disk is full; iteration {kept} is kept: free some, then resume": (
        "磁盘已满；第 {kept} 次迭代已保存：请腾出空间，再用 --resume 接着算"
    ),
}

_REASONS = {
    "y is zero, and so is x": "y 为零，x 也为零",
    "op.H @ y is zero, and so is x": "op.H @ y 为零，x 也为零",
    "the right-hand side is zero, and so is x": "右端为零，x 也为零",
    "op @ x = y within the tolerance": "op @ x = y，误差在容限之内",
    "least squares within the tolerance": "已是最小二乘解，误差在容限之内",
    "normal equations within the tolerance": "正规方程的误差在容限之内",
    "normal equations to rounding": "正规方程的误差只剩舍入误差",
    "maxiter={most} reached": "达到上限 {most} 次",
    "solved by singular values": "由奇异值求得",
    "singular: rank {rank} of {full}; the least-norm solution, by singular values": (
        "矩阵奇异：秩为 {rank}，满秩为 {full}；由奇异值求得范数最小的解"
    ),
    "relative change at most {change:g}": "相对变化不超过 {change:g}",
    "discrepancy: op @ x is as near to y as Poisson noise allows": "op @ x 与 y 的偏差已在泊松噪声允许的范围内",
    "discrepancy: op @ x is as near to y as Gaussian noise of {deviation:g} allows": (
        "op @ x 与 y 的偏差已在标准差为 {deviation:g} 的高斯噪声允许的范围内"
    ),
    "{first}; {second}": "{first}；{second}",
    "{left} of {count} solutions did not converge: {reasons}": "{count} 个解中有 {left} 个没有收敛：{reasons}",
    "{left} of {count} solutions of the gradient did not converge: {reasons}": (
        "梯度的 {count} 个解中有 {left} 个没有收敛：{reasons}"
    ),
    "the solution did not converge: {reason}": "解没有收敛：{reason}",
    "all {count} iterations done": "做完全部 {count} 次",
    "all {count} iterations done before the stopping rule held": "做完全部 {count} 次，仍未满足停止条件",
}

OF_THE_SYSTEM = {
    "No such file or directory": "没有这个文件或文件夹",
    "Permission denied": "没有权限",
    "Operation not permitted": "不允许这样做",
    "File exists": "已有同名的文件",
    "Not a directory": "不是文件夹",
    "Is a directory": "是文件夹，不是文件",
    "No space left on device": "磁盘已满",
    "Read-only file system": "只能读，不能写",
    "File name too long": "文件名太长",
}

SENTENCES = {
    **_KERNEL,
    **_GEOMETRY,
    **_MEMORY,
    **_METHODS,
    **_DRAWING,
    **_MODELS,
    **_RESTORING,
    **_REASONS,
    **OF_THE_SYSTEM,
}
