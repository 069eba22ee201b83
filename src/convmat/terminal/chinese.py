"""What the command line says, in Chinese. :mod:`convmat.terminal.english` has the same keys."""

WORDS = {
    # -- help: the program and its commands --
    "help": "看见卷积就是一个矩阵，转置卷积就是这个矩阵的转置。",
    "help.demo": "用数字、一张照片和一份网页报告讲完整个故事。",
    "help.matrix": (
        "打印一层的矩阵，或者把它保存下来。\n\n"
        "`convmat matrix --input 4x4 --kernel 3x3` 打印 4 x 16 的矩阵，元素是抽头的名字："
        "`w01` 是卷积核第 0 行第 1 列的抽头。终端太窄、放不下名字时，每个抽头用一个字母表示。\n\n"
        "`convmat matrix --input 64x48 --kernel 3 --padding 1 --out C.npz` 把更大的矩阵存成文件，"
        "可用 `scipy.sparse.load_npz` 读取。"
    ),
    "help.check": (
        "在一层上比较每种算法与 PyTorch：最大误差、时间、内存峰值。\n\n两个方向都算。例如：\n\n"
        "`convmat check --input 64x48 --kernel 5 --stride 2 --padding 2 --in-channels 8 --out-channels 16`"
    ),
    "help.norm": (
        "打印模型中每个卷积（或一层卷积）的真实范数及其上下界。\n\n"
        "`convmat norm torchvision.models:resnet18 --input 3x224x224`，或 `convmat norm mymodels:build`，"
        "或 `convmat norm model.pt`\n\n"
        "`convmat norm --input 16x16 --kernel 3 --padding 1 --in-channels 8 --out-channels 8` 取权重随机的一层。"
    ),
    "help.accelerate": (
        "测量模型改用 convmat 能快多少：每个卷积按实际遇到的输入测量，再测整个模型。\n\n"
        "`convmat accelerate torchvision.models:resnet18 --input 3x224x224`，或 `convmat accelerate mymodels:build`，"
        "或 `convmat accelerate model.pt`\n\n"
        "模型以 eval 模式对随机数运行约二十次。在 Python 里，`convmat.accelerate(model, example=...)` 做同样的事，"
        "模型随后保持加速。"
    ),
    "help.upsample": (
        "用转置卷积放大图片，每个通道分开计算。\n\n"
        "`convmat upsample photo.jpg --scale 2 --out larger.png`\n\n"
        "16 位的灰度图，只要输出格式放得下，就保持 16 位；其余图片每个通道 8 位。动图只取第一帧。"
    ),
    "help.deblur": ("把照片模糊、加噪声、再复原；三张并排写出。\n\n`convmat deblur --psf motion:15:30 --method lsmr`"),
    "help.draw": "画出一层：一步步地画、画印记、画矩阵；或画一个图库。",
    "help.draw.arithmetic": """画出卷积或转置卷积的一步。

`convmat draw arithmetic --input 2x3 --kernel 3 --stride 2 --padding 1 --transposed --view gather`""",
    "help.draw.animate": """把所有步骤画成 GIF 动画。

`convmat draw animate --input 2x3 --kernel 3 --stride 2 --padding 1 --output-padding 1 --transposed`""",
    "help.draw.frame": """画出转置卷积的印记之和，输出是其中的一个方框。

`convmat draw frame --input 2x3 --kernel 3 --stride 2 --padding 1 --output-padding 1`""",
    "help.draw.stamps": """画出转置卷积每个输入的印记，以及它们的和。

`convmat draw stamps --input 3 --kernel 4 --stride 2 --padding 1`""",
    "help.draw.phases": """画出转置卷积的哪些抽头产生哪些输出。

`convmat draw phases --input 2x3 --kernel 3 --stride 2`""",
    "help.draw.zero-insertion": """把转置卷积画成对插零后的输入的普通卷积。

`convmat draw zero-insertion --input 2x3 --kernel 2x3 --stride 2x3`""",
    "help.draw.slide": """画出卷积核的三个位置，以及各自得到的输出。

`convmat draw slide --input 3x6 --kernel 2x3`""",
    "help.draw.unfold": """把卷积画成一次矩阵乘法（im2col）。

`convmat draw unfold --input 3x6 --kernel 2x3`""",
    "help.draw.sparsity": """画出一层的矩阵。

`convmat draw sparsity --input 4x4 --kernel 3 --names`""",
    "help.draw.padding-modes": """画出一层在各种填充模式下的矩阵。

`convmat draw padding-modes --input 6 --kernel 5 --padding 2 --names`""",
    "help.draw.overlap": """画出转置卷积的每个输出有多少个抽头到达。

`convmat draw overlap --input 4x6 --kernel 3 --stride 2 --transposed`""",
    "help.draw.gallery": """画出卷积算术的 15 个经典情形，以及它们缺少的那些。

后者是输出填充、带空洞和带分组的转置卷积、与步长一样大的卷积核，以及非正方形的尺寸。全部图片都在 `index.html` 里。""",
    "help.deconvolve": (
        "复原比内存还大的体数据：没有接缝，中断之后也不必从头再来。\n\n"
        "`convmat deconvolve data.zarr psf.npy restored.zarr --iterations 20 --memory 2GiB`\n\n"
        "数据和 PSF 可以是 zarr、.npy 或 TIFF。加上 `--crop 64x256x256`，先复原中间的一小块并写成图片。"
        "计算期间，OUT 旁边的文件夹存放所需的数组：rl 约为数据的四倍，lsmr 约为十一倍。"
    ),
    "help.explore": """写出交互页面：C 与 Cᵀ，与输入、卷积核、输出联动。

`convmat explore --open` 在浏览器里打开它。页面是单个文件，不加载任何东西。

`convmat explore --input 4x5 --kernel 3x3 --stride 2 --padding 1 --transposed --out page.html`""",
    "help.tune": (
        "测量一分钟，让 `auto` 在这台机器上选得更准。\n\n"
        "`auto` 比较两个估计：一个是我们的内核，一个是 PyTorch 自己的函数。"
        "文件里有六个系数，分别修正两个估计的各项，此后一直生效。测量时请不要做别的事。"
    ),
    "help.methods": "列出计算卷积的各种算法。",
    # -- help: options --
    "help.usage": "用法：{call}",
    "help.options": "[选项]",
    "help.commands": "命令 [参数]...",
    "help.required": "[必填]",
    "help.default": "[默认：{value}]",
    "panel.commands": "命令",
    "panel.options": "选项",
    "panel.layer": "层的参数",
    "option.help": "显示这段说明并退出。",
    "option.version": "显示版本并退出。",
    "option.tuning_file": "要写入的文件。默认是 auto 查找的位置。",
    "option.tuning_seconds": "测量多少秒。",
    "option.lang": "语言：en 或 zh。默认取自 LC_ALL、LC_MESSAGES 或 LANG。",
    "option.report": "存放报告的文件夹。",
    "option.input": "各轴的尺寸，用 x 连接：7、4x5 或 3x4x5。",
    "option.kernel": "卷积核的尺寸；只写一个时用于所有轴。",
    "option.stride": "步长：相邻窗口的间隔。",
    "option.padding": "两端的填充；两端不同时写 LO:HI（1:0x2:2）；或 same、valid。",
    "option.dilation": "空洞：相邻抽头的间隔。",
    "option.groups": "分组：互不相通的通道块数。",
    "option.in_channels": "输入通道数。",
    "option.out_channels": "输出通道数。",
    "option.padding_mode": "填充模式：zeros、reflect、replicate 或 circular。",
    "option.transposed": "改为对该输入做转置卷积：Cᵀ。",
    "option.output_padding": "与 --transposed 合用：末尾追加的格数。",
    "option.output_size": "与 --transposed 合用：输出的尺寸。",
    "option.weight": "权重文件。默认各抽头依次为 1、2、3……",
    "option.page_file": "页面的 HTML 文件。",
    "option.open": "在浏览器里打开。",
    "option.matrix_file": "保存数值（.npz，SciPy 的格式）或图片（.png、.svg、.pdf）。",
    "option.batch": "一次计算的样本数。",
    "option.model": "package.module:name（模型，或生成模型的函数），或 .pt 文件（其中的代码会被运行）。",
    "option.model_input": "对模型：通道数与尺寸，3x224x224。对一层：各轴的尺寸。",
    "option.model_input_only": "模型输入的通道数与尺寸：3x224x224。",
    "option.freeze": "为推理把内核排好的权重随层保存。",
    "option.fold": "把 BatchNorm 和激活函数折叠进它们前面的卷积。",
    "option.model_kernel": "不给 MODEL 时：卷积核的尺寸。",
    "option.photo_to_blur": "一张图片。默认用 matplotlib 自带的照片。",
    "option.psf": "gaussian:SIGMA、disk:RADIUS、motion:LENGTH:DEGREES（像素）或 FILE.npy。",
    "option.noise": "poisson:PEAK（白色处的光子数）、gaussian:SIGMA（以白色为 1）或 none。",
    "option.deblur_method": "rl（Richardson-Lucy）或 lsmr（最小二乘）。",
    "option.iterations": "迭代次数的上限。默认 rl 为 30，lsmr 为 100。",
    "option.damp": "lsmr 的阻尼。默认由噪声决定。",
    "option.three_pictures": "要写出的图片：三张并排。",
    "option.volume": "数据：.zarr、.npy 或 .tif，一到三个轴。",
    "option.volume_psf": "PSF：轴的顺序和网格都与数据相同。",
    "option.volume_out": "要写的文件：.zarr、.npy 或 .tif。",
    "option.volume_method": "rl（Richardson-Lucy）、lsmr 或 cg（最小二乘）。",
    "option.volume_iterations": "最多迭代次数。",
    "option.volume_damp": "lsmr 和 cg 的阻尼。",
    "option.memory": "所有进程合计可用的内存，如 2GiB。",
    "option.crop": "先复原这样大小的一块给人看。",
    "option.resume": "中断之后接着算。",
    "option.overwrite": "已有文件时重新开始。",
    "option.scheduler": "dask 调度器的地址：由集群计算。",
    "option.photo": "一张图片：灰度、RGB 或 RGBA。",
    "option.scale": "放大倍数：2、3……",
    "option.picture_file": "要写出的图片；格式由扩展名决定。",
    "option.interpolation": "nearest、bilinear 或 bicubic。",
    "option.method": "用哪种算法；`convmat methods` 会列出全部。",
    "option.view": "gather（收集）或 scatter（散布）。默认：有 --transposed 时 scatter，否则 gather。",
    "option.at": "哪一格：下标（1x2），或按行数的编号。",
    "option.so_far": "只显示到这一步为止的结果。",
    "option.names": "写抽头和格子的名字，不写数字。",
    "option.font_size": "格子里文字的大小；图随之变大。",
    "option.drawing": "图片：.png、.svg 或 .pdf。",
    "option.animation": "动画。",
    "option.seconds": "每一步显示多久。",
    "option.dpi": "每英寸的像素数。",
    "option.stills": "各画一步存为 .png，而不是把所有步骤存为 .gif。",
    "option.gallery": "图库的文件夹。",
    # -- what is wrong --
    "wrong.language": "--lang {language!r} 不认识：可选 {known}",
    "wrong.sizes": "{option} {text!r} 必须是用 x 连接的整数，例如 4x5",
    "wrong.padding": (
        "--padding {text!r} 必须是用 x 连接的整数（如 1x2）、成对的 LO:HI（如 1:0x2:2），或者 same、valid"
    ),
    "wrong.direction": "--output-padding 和 --output-size 只能与 --transposed 合用",
    "wrong.input_and_kernel": "--input 与 --kernel 要一起给出；都不给就从一个小层开始",
    "wrong.model_or_layer": "请给出 MODEL，或用 --input 和 --kernel 给出一层：两者必取其一",
    "wrong.memory": "内存不够计算这一层；请减小尺寸、通道数或样本数",
    "wrong.ending": "--out {out}：扩展名必须是 {endings} 之一",
    "wrong.weight_in_picture": "--weight {file} 只用于数值：图片只显示哪个抽头在哪里",
    "wrong.names_and_weight": "--weight {file} 与 --names 不能同时使用：抽头要么写数字，要么写名字",
    "wrong.weight": "--weight {file} 不是 NumPy 的 .npy 格式的数值数组",
    "wrong.no_weight": "--weight {text!r} 不是文件：应为 numpy.save 写出的文件，其中数组的形状是 {needed}",
    "wrong.weight_shape": "--weight {file} 的形状是 {shape}：应为 {needed}",
    "wrong.weight_reshape": "--weight {file} 的形状是 {shape}：应为 {needed}；array.reshape{needed} 就行",
    "wrong.weight_kernel": "--weight {file} 的形状是 {shape}：应为 {needed}，或用 --kernel {kernel}",
    "wrong.picture": "{path} 不是可以读取的图片：{error}",
    "wrong.numbers": "{path} 里是 32 位的数，不知道多大才算白色：每个通道须为 8 位或 16 位",
    "wrong.folder": "{path}：没有文件夹 {folder}",
    "wrong.format": "{path}：不认识扩展名 {ending!r} 的图片格式；可以用 .png",
    "wrong.channels": "{path}：{format} 存不了这张图片（{error}）；可以用 .png",
    "wrong.same_file": "{path} 就是要读的图片：请写到另一个文件",
    "wrong.volume_ending": "{path}：扩展名必须是 {endings} 之一",
    "wrong.volume": "{path} 不是一到三个轴的实数体数据：{error}",
    "wrong.psf_axes": "{path} 的形状是 {shape}：PSF 必须和数据一样有 {axes} 个轴",
    "wrong.volume_method": "--method {method!r} 未知：必须是 {known} 之一",
    "wrong.exists": "{path} 已存在：--overwrite 会重写它",
    "wrong.crop": "--crop {crop} 与数据 {sizes} 不符：每个轴写一个不超过它的尺寸",
    "wrong.scheduler": "{address} 没有调度器应答：{error}",
    "wrong.integer": "{option} {text!r} 必须是不小于 {least} 的整数",
    "wrong.number": "{option} {text!r} 必须是数",
    "wrong.small": "{option} {text!r} 不能小于 {least}",
    "wrong.axes": "--input {sizes} 有 {axes} 个轴：PyTorch 在一到三个轴上做卷积",
    "wrong.file": "无法读写 {path}：{error}",
    "wrong.other": "出错了：{error}",
    "wrong.deblur_method": "--method {method!r} 不认识：可选 {known}",
    "wrong.psf": (
        "--psf {psf!r} 不认识：应为 gaussian:SIGMA（至多 50）、disk:RADIUS（至多 100）、"
        "motion:LENGTH:DEGREES（至多 200）或 .npy 文件"
    ),
    "wrong.psf_file": "--psf {file} 有 {axes} 个轴，类型是 {dtype}：应为 2 个轴的实数",
    "wrong.large_psf": "--psf {psf} 有 {size} 像素，比照片（{photo}）还大",
    "wrong.noise": "--noise {noise!r} 不认识：应为 poisson:PEAK、gaussian:SIGMA 或 none",
    "wrong.colons": "{option} {text!r} 必须是用冒号连接的名字和数",
    "wrong.not_finite": "{option} {text!r} 里的数必须有限",
    "wrong.model": "{model!r} 不是模型：应为 package.module:name，或扩展名为 .pt 或 .pth 的文件",
    "wrong.import": "{model!r} 无法导入：{error}",
    "wrong.arguments": "{model!r} 不给参数就生成不了模型（{error}）：请写一个不需要参数的函数",
    "wrong.model_file": "{path} 里没有可以在这里打开的模型：{error}",
    "wrong.no_module": "{model!r} 是 {kind}，不是 torch.nn.Module：请保存模型本身",
    # -- how a command is called --
    "usage.missing_option": "缺少选项 {name}",
    "usage.missing_argument": "缺少参数 {name}",
    "usage.no_option": "没有选项 {name}",
    "usage.no_option_near": "没有选项 {name}（是不是 {near}？）",
    "usage.value_missing": "选项 {name} 后面要有值",
    "usage.value_unwanted": "选项 {name} 不带值",
    "usage.extra": "多余的参数：{arguments}",
    "usage.no_command": "没有命令 {name}",
    "usage.no_command_near": "没有命令 {name}（是不是 {near}？）",
    # -- progress --
    "busy.matrix": "正在构造矩阵",
    "busy.comparing": "正在与 PyTorch 比较",
    "busy.measuring": "正在测量",
    "busy.upsampling": "正在放大",
    "busy.deblurring": "正在去模糊",
    "busy.drawing": "正在画图",
    "busy.copying": "正在复制数据",
    "busy.preview": "正在复原一小块",
    "busy.writing": "正在写结果",
    # -- norms and deblurring --
    "tune.term": "项",
    "tune.kernel": "我们的内核",
    "tune.call": "调用",
    "tune.arithmetic": "运算",
    "tune.moving": "搬运字节",
    "tune.note": "估计时间的系数；1 表示不修正。",
    "tune.gained": "在 {layers} 个层上，auto 原来选的比最好的多用 {before}% 的时间；现在多用 {after}%。",
    "tune.written": "已写入 {out}，auto 从现在起使用它。",
    "tune.not_used": "已写入 {out}；{variable} 指向它时，auto 就使用它。",
    "norms.layer": "层",
    "norms.sizes": "尺寸",
    "norms.norm": "范数",
    "norms.upper": "上界",
    "norms.reshaped": "重排后",
    "norms.cond": "条件数",
    "norms.note": (
        "范数：最大奇异值，误差 0.1 %；上界：范数不会更大；"
        "重排后：torch 的 spectral_norm 所除的值；条件数：只在容易算时给出"
    ),
    "gains.layer": "层",
    "gains.input": "输入",
    "gains.gain": "加速比",
    "gains.note": (
        "时间是一次调用的；输入后的 (2) 表示调用两次。算法一栏写 PyTorch：convmat 在这里没有更快，或不支持这一层，"
        "所以保持原样。"
    ),
    "gains.model": "整个模型：PyTorch {before}，convmat {after}，加速比 {gain}",
    "gains.none": "模型里没有卷积。",
    "deblur.psnr": "PSNR：模糊 {before} dB，复原 {after} dB",
    "deblur.iterations": "迭代 {iterations} 次：{reason}",
    "deblur.damped": "{reason}，阻尼 {damping}",
    "explore.written": "已写出 {out}，请用浏览器打开",
    "deblur.written": "{out}：照片、模糊、复原，每张 {width} x {height} 像素",
    # -- volumes --
    "deconvolve.state": "还需 {left}，残差 {residual}\n{rate} Mvoxel/s，读 {read}，写 {written}",
    "deconvolve.done": "迭代 {iterations} 次：{reason}",
    "deconvolve.residual": "残差 {residual}",
    "deconvolve.written": "{out}：{sizes} 体素",
    "deconvolve.preview": "{picture}：复原前后，中间的 {sizes} 体素",
    "deconvolve.estimate": "复原全部大约需要 {duration}",
    "deconvolve.go_on": "复原全部吗？",
    "deconvolve.not_asked": "没有人可问：不加 --crop 就复原全部",
    # -- matrices --
    "layer": "{name}：{shapes}，卷积核 {kernel}",
    "matrix.size": "{rows} x {columns} 的矩阵，{entries} 个非零元素",
    "matrix.size_at_most": "{rows} x {columns} 的矩阵，至多 {entries} 个非零元素",
    "matrix.too_large": "矩阵太大，不打印；--out FILE.npz 保存数值，--out FILE.png 保存图片。",
    "matrix.letters": "每个元素用一个字母表示；`| less -S` 可看全名。",
    "matrix.blocks": "按列分块打印；`| less -S` 可看整行。",
    "matrix.block": "第 {first} 到 {last} 列",
    "matrix.saved": "{out}：{rows} x {columns} 的矩阵",
    # -- tables --
    "table.method": "算法",
    "table.error": "最大误差",
    "table.time": "时间",
    "table.memory": "内存峰值",
    "table.refused": "不支持",
    "table.as_native": "同 native",
    "table.as_native_note": "{method}：在这里调用的是与 native 相同的 PyTorch 函数。",
    # -- picture files --
    "picture.written": "{out}：{width} x {height} 像素",
    "picture.frames": "{path} 里有 {frames} 张图，只放大第一张",
    "picture.read_8_bits": "{path} 每个通道有 16 位，只读取其中 8 位；灰度图可以保持 16 位",
    "picture.write_8_bits": "{path}：16 位只写出 8 位，因为 {format} 只能存 8 位；改用 .png 可以保持 16 位",
    "draw.animated": "{out}：{frames} 步，{width} x {height} 像素",
    "draw.gallery": "{index}：{count} 张图",
    # -- the demo --
    "demo.matrix": "1. 卷积就是一个矩阵",
    "demo.matrix.shapes": "4x4 的输入和 3x3 的卷积核，得到 2x2 的输出。",
    "demo.matrix.rows": "每个输出对应矩阵 C 的一行：",
    "demo.matrix.numbers": "写成数字：",
    "demo.transpose": "2. 转置卷积就是这个矩阵的转置",
    "demo.transpose.spread": "同一个 C，从 2x2 回到 4x4：每个数散布到九个格子上。",
    "demo.transpose.no_inverse": "形状与 x 相同，但并不是 x：转置不是逆。",
    "demo.columns": "3. 换一种算法：unfold、矩阵乘法、fold",
    "demo.columns.product": "权重矩阵 @ unfold(x)",
    "demo.columns.folded": "再用 1x1 的核 fold",
    "demo.columns.viewed": "或者只用 view",
    "demo.columns.transposed": "转置时，先乘以转置的权重，再 fold 各列。",
    "demo.columns.batch": "有批次时，每一列是 2*2 个窗口之一里的 5*2*3 = 30 个格子。",
    "demo.columns.batch_unfold": "2x5x3x4 用 2x3 的核 unfold",
    "demo.kernel": "卷积核",
    "demo.weight": "权重",
    "demo.equal": "与 {name} 相等（最大差 {error}）",
    "demo.different": "与 {name} 不同（最大差 {error}）",
    "demo.photo": "4. 在一张照片上，用每种算法",
    "demo.photo.blurred": "照片，用 5x5 的卷积模糊",
    "demo.photo.upsampled": "照片，用转置卷积放大到 {scale} 倍",
    "demo.photo.crop": "* 只取 {height}x{width} 像素：完整的 {rows} x {columns} 矩阵要占 {memory}",
    "demo.report": "带图的报告：{index}",
    # -- its report --
    "report.title": "convmat：卷积就是一个矩阵",
    "report.heading": "卷积就是一个矩阵，\n转置卷积就是这个矩阵的转置",
    "report.explore": "动手试试：交互页面，C 与 Cᵀ 同输入、卷积核、输出联动",
    "report.matrix": "矩阵",
    "report.matrix.small": (
        "4x4 的输入，3x3 的卷积核：C 的每一行给出一个输出，每一列对应一个输入格子，每种颜色是卷积核的一个抽头。"
        "按列来看，同一张图说明每个输入去了哪里，这就是 Cᵀ，即转置卷积。"
    ),
    "report.matrix.small_direct": "C：从 16 个输入格子到 4 个输出",
    "report.matrix.small_transposed": "Cᵀ：从 4 个格子回到 16 个",
    "report.matrix.large": "两个输入通道，三个输出通道，步长 2，填充 1：每对通道一块。",
    "report.matrix.large_direct": "C：从 2x12x16 到 3x6x8",
    "report.matrix.large_transposed": "Cᵀ：从 3x6x8 到 2x12x16",
    "report.photo": "在一张照片上",
    "report.photo.methods": "所有算法计算同一个映射；误差是与 PyTorch 的 float64 结果的最大差。",
    "report.photo.original": "照片：{width}x{height} 像素（Grace Hopper，属于公有领域）",
    "report.photo.blurred": "用 5x5 的卷积模糊",
    "report.photo.upsampled": "用双线性核的转置卷积放大，再除以 Cᵀ1",
    "report.checkerboards": "棋盘效应",
    "report.checkerboards.why": (
        "3x3 的卷积核、步长 2 时，有的输出加了一次，有的加了两次或四次。如果没有别的东西把它抹平，就会看到棋盘格"
        "（棋盘效应，checkerboard artifacts）。让卷积核大小是步长的倍数，或者除以 Cᵀ1，就能消除。"
    ),
    "report.checkerboards.picture": "每个像素用全 1 的卷积核散布开；右：同样的结果除以 Cᵀ1",
    "report.checkerboards.overlap": "到达每个输出的抽头数：全 1 的 3x3 卷积核、步长 2 时的 Cᵀ1",
}

SUMMARIES = {
    "auto": "静态估算后取最快的：tiles 或 PyTorch 自己的函数；PyTorch 没有相应函数时用 unfold。",
    "native": "PyTorch 自己的卷积。",
    "dense": "直接乘以矩阵或它的转置。",
    "sparse": "乘以稀疏矩阵或它的转置。",
    "unfold": "im2col 加矩阵乘法；转置时是矩阵乘法加 col2im。",
    "zero_insertion": "插零、填充，再做普通卷积，得到转置卷积。",
    "phases": "亚像素的观点：一个步长为 1 的卷积把 Cᵀ 的所有相位算成通道，再交织起来。",
    "fft": "频谱相乘：适合大卷积核。",
    "tiles": "我们为 CPU 编译的内核，两个方向都算：按寄存器分块的矩阵乘法。",
}
