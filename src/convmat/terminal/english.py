"""What the command line says, in English. :mod:`convmat.terminal.chinese` has the same keys."""

WORDS = {
    # -- help: the program and its commands --
    "help": "See that a convolution is a matrix, and a transposed convolution is that matrix transposed.",
    "help.demo": "Tell the whole story: in numbers, on a photograph, and as a report to open in a browser.",
    "help.matrix": """Print the matrix of a layer, or save it.

`convmat matrix --input 4x4 --kernel 3x3` prints the 4 x 16 matrix with the names of its taps: `w01` is the tap in
row 0, column 1 of the kernel. Where the terminal is too narrow for names, each tap becomes a letter.

`convmat matrix --input 64x48 --kernel 3 --padding 1 --out C.npz` saves a larger one, for `scipy.sparse.load_npz`.""",
    "help.check": """Compare every method with PyTorch on one layer, both ways: largest error, time, peak memory.

`convmat check --input 64x48 --kernel 5 --stride 2 --padding 2 --in-channels 8 --out-channels 16`""",
    "help.norm": """Print the true norm of every convolution of a model, or of a layer, and bounds on it.

`convmat norm torchvision.models:resnet18 --input 3x224x224`, or `convmat norm mymodels:build`, or
`convmat norm model.pt`

`convmat norm --input 16x16 --kernel 3 --padding 1 --in-channels 8 --out-channels 8` takes one layer with random
weights.""",
    "help.accelerate": """Measure what a model gains by convmat: each convolution on the inputs that it meets, and all.

`convmat accelerate torchvision.models:resnet18 --input 3x224x224`, or `convmat accelerate mymodels:build`, or `convmat
accelerate model.pt`

The model runs in eval mode on random numbers, about twenty times. In Python, `convmat.accelerate(model, example=...)`
does the same, and the model stays accelerated.""",
    "help.upsample": """Upsample a picture by a transposed convolution, each channel by itself.

`convmat upsample photo.jpg --scale 2 --out larger.png`

Grey pictures of 16 bits stay so where the format to write can hold them; all others have 8 bits per channel. Of an
animation the first frame is taken.""",
    "help.deblur": """Blur a photograph, add noise, restore it; write the three side by side.

`convmat deblur --psf motion:15:30 --method lsmr`""",
    "help.draw": "Draw a layer step by step, by its stamps, by its matrix; or a gallery of them.",
    "help.draw.arithmetic": """Draw one step of a convolution or of a transposed one.

`convmat draw arithmetic --input 2x3 --kernel 3 --stride 2 --padding 1 --transposed --view gather`""",
    "help.draw.animate": """Draw all steps as an animated GIF.

`convmat draw animate --input 2x3 --kernel 3 --stride 2 --padding 1 --output-padding 1 --transposed`""",
    "help.draw.frame": """Draw the sum of the stamps of a transposed convolution, and the output as a frame on it.

`convmat draw frame --input 2x3 --kernel 3 --stride 2 --padding 1 --output-padding 1`""",
    "help.draw.stamps": """Draw the stamp of each input of a transposed convolution, and their sum.

`convmat draw stamps --input 3 --kernel 4 --stride 2 --padding 1`""",
    "help.draw.phases": """Draw which taps feed which outputs of a transposed convolution.

`convmat draw phases --input 2x3 --kernel 3 --stride 2`""",
    "help.draw.zero-insertion": """Draw a transposed convolution as a convolution of an input with zeros inserted.

`convmat draw zero-insertion --input 2x3 --kernel 2x3 --stride 2x3`""",
    "help.draw.slide": """Draw three places of the kernel, and the output that each makes.

`convmat draw slide --input 3x6 --kernel 2x3`""",
    "help.draw.unfold": """Draw a convolution as one matrix product (im2col).

`convmat draw unfold --input 3x6 --kernel 2x3`""",
    "help.draw.sparsity": """Draw the matrix of a layer.

`convmat draw sparsity --input 4x4 --kernel 3 --names`""",
    "help.draw.padding-modes": """Draw the matrix of a layer under each padding mode.

`convmat draw padding-modes --input 6 --kernel 5 --padding 2 --names`""",
    "help.draw.overlap": """Draw how many taps reach each output of a transposed convolution.

`convmat draw overlap --input 4x6 --kernel 3 --stride 2 --transposed`""",
    "help.draw.gallery": """Draw the 15 classic cases of convolution arithmetic, and those that they lack.

These are output padding, dilated and grouped transposed convolutions, kernels as large as the stride, and sizes that
are not square. `index.html` shows all of them.""",
    "help.deconvolve": """Restore a volume larger than memory: without seams, and without starting again after a break.

`convmat deconvolve data.zarr psf.npy restored.zarr --iterations 20 --memory 2GiB`

Data and PSF are zarr, .npy or TIFF. With `--crop 64x256x256` a part in the middle is restored first, and written as a
picture. On the way a folder beside OUT holds about four times the data (rl), or eleven times (lsmr).""",
    "help.explore": """Write the interactive page: C and Cᵀ, linked to the input, the kernel and the output.

`convmat explore --open` shows it in the browser. The page is one file that loads nothing.

`convmat explore --input 4x5 --kernel 3x3 --stride 2 --padding 1 --transposed --out page.html`""",
    "help.tune": """Measure for a minute, so that `auto` chooses better on this machine.

`auto` compares an estimate of our kernel with one of PyTorch's own function. The file holds six factors that correct
the terms of both, and is used from then on. Leave the machine alone meanwhile.""",
    "help.methods": "List the methods to compute a convolution with.",
    # -- help: options --
    "help.usage": "Usage: {call}",
    "help.options": "[OPTIONS]",
    "help.commands": "COMMAND [ARGS]...",
    "help.required": "[required]",
    "help.default": "[default: {value}]",
    "panel.commands": "Commands",
    "panel.options": "Options",
    "panel.layer": "The layer",
    "option.help": "Show this message and exit.",
    "option.version": "Show the version and exit.",
    "option.tuning_file": "File to write. Default: where auto looks for it.",
    "option.tuning_seconds": "How long to measure, in seconds.",
    "option.lang": "Language: en or zh. Default: that of LC_ALL, LC_MESSAGES or LANG.",
    "option.report": "Folder for the report.",
    "option.input": "Spatial sizes joined by x: 7, 4x5 or 3x4x5.",
    "option.kernel": "Kernel sizes; a single one serves all axes.",
    "option.stride": "Step between windows.",
    "option.padding": "Padding at both ends; LO:HI at each (1:0x2:2); or same, valid.",
    "option.dilation": "Step between taps.",
    "option.groups": "Blocks of channels that do not see each other.",
    "option.in_channels": "Channels of the input.",
    "option.out_channels": "Channels of the output.",
    "option.padding_mode": "zeros, reflect, replicate or circular.",
    "option.transposed": "The transposed convolution of that input: Cᵀ.",
    "option.output_padding": "With --transposed: cells to append.",
    "option.output_size": "With --transposed: the output's sizes.",
    "option.weight": "The weight. Default: its taps are numbered 1, 2, 3, ...",
    "option.page_file": "HTML file for the page.",
    "option.open": "Show it in the browser.",
    "option.matrix_file": "Save the numbers (.npz, SciPy's format) or a picture (.png, .svg, .pdf).",
    "option.batch": "Inputs at a time.",
    "option.model": "package.module:name (a model, or what makes one), or a .pt file, whose code is run.",
    "option.model_input": "Of a model: channels and sizes, 3x224x224. Of a layer: spatial sizes.",
    "option.model_input_only": "Channels and sizes of the model's input: 3x224x224.",
    "option.freeze": "Keep the kernel's weights with the layers, for inference.",
    "option.fold": "Fold BatchNorms and activations into the convolutions before them.",
    "option.model_kernel": "Without a MODEL: kernel sizes.",
    "option.photo_to_blur": "A picture. Default: the photograph that matplotlib has.",
    "option.psf": "gaussian:SIGMA, disk:RADIUS, motion:LENGTH:DEGREES (pixels) or FILE.npy.",
    "option.noise": "poisson:PEAK (photons at white), gaussian:SIGMA (of white 1) or none.",
    "option.deblur_method": "rl (Richardson-Lucy) or lsmr (least squares).",
    "option.iterations": "The most iterations. Default: 30 for rl, 100 for lsmr.",
    "option.damp": "Damping of lsmr. Default: by the noise.",
    "option.three_pictures": "The picture to write: all three side by side.",
    "option.volume": "The data: .zarr, .npy or .tif, of one to three axes.",
    "option.volume_psf": "The PSF: its axes in the order of the data's, on the data's grid.",
    "option.volume_out": "The file to write: .zarr, .npy or .tif.",
    "option.volume_method": "rl (Richardson-Lucy), lsmr or cg (least squares).",
    "option.volume_iterations": "The most iterations.",
    "option.volume_damp": "Damping of lsmr and cg.",
    "option.memory": "What all processes may take together, as 2GiB.",
    "option.crop": "Restore a part of these sizes first, and show it.",
    "option.resume": "Go on after a break.",
    "option.overwrite": "Begin anew where something is there.",
    "option.scheduler": "The address of a dask scheduler: a cluster computes.",
    "option.photo": "A picture: grey, RGB or RGBA.",
    "option.scale": "Output pixels per input pixel: 2, 3, ...",
    "option.picture_file": "The picture to write; its ending says the format.",
    "option.interpolation": "nearest, bilinear or bicubic.",
    "option.method": "How to compute it; `convmat methods` lists the ways.",
    "option.view": "gather or scatter. Default: scatter with --transposed, else gather.",
    "option.at": "The cell: its index (1x2), or its number in row-major order.",
    "option.so_far": "Only what the steps up to this one have made.",
    "option.names": "Names of taps and cells in place of numbers.",
    "option.font_size": "Of the words in cells; the picture grows with it.",
    "option.drawing": "The picture: .png, .svg or .pdf.",
    "option.animation": "The animation.",
    "option.seconds": "How long each step is shown.",
    "option.dpi": "Pixels per inch.",
    "option.stills": "One step of each as .png, not all as .gif.",
    "option.gallery": "Folder for the gallery.",
    # -- what is wrong --
    "wrong.language": "--lang {language!r} is unknown: need one of {known}",
    "wrong.sizes": "{option} {text!r} must be integers joined by x, as in 4x5",
    "wrong.padding": (
        "--padding {text!r} must be integers joined by x, as in 1x2, LO:HI pairs, as in 1:0x2:2, or same or valid"
    ),
    "wrong.direction": "--output-padding and --output-size go with --transposed only",
    "wrong.input_and_kernel": "--input and --kernel go together: give both, or neither for a small layer to begin with",
    "wrong.model_or_layer": "name a MODEL, or give a layer by --input and --kernel: one of the two is needed",
    "wrong.memory": (
        "there is not enough memory for this layer; smaller sizes, fewer channels or a smaller batch would do"
    ),
    "wrong.ending": "--out {out}: need an ending out of {endings}",
    "wrong.weight_in_picture": "--weight {file} goes with numbers: a picture shows which tap is where",
    "wrong.names_and_weight": "--weight {file} and --names exclude each other: taps are shown by number or by name",
    "wrong.weight": "--weight {file} is no array of numbers in NumPy's .npy format",
    "wrong.no_weight": "--weight {text!r} is no file: need one as numpy.save writes it, of shape {needed}",
    "wrong.weight_shape": "--weight {file} has shape {shape}: need {needed}",
    "wrong.weight_reshape": "--weight {file} has shape {shape}: need {needed}; array.reshape{needed} would do",
    "wrong.weight_kernel": "--weight {file} has shape {shape}: need {needed}, or --kernel {kernel}",
    "wrong.picture": "{path} is no picture that can be read: {error}",
    "wrong.numbers": "{path} holds numbers of 32 bits without a known white: need 8 or 16 bits per channel",
    "wrong.folder": "{path}: there is no folder {folder}",
    "wrong.format": "{path}: no picture format is known by the ending {ending!r}; .png would do",
    "wrong.channels": "{path}: {format} cannot hold this picture ({error}); .png would do",
    "wrong.same_file": "{path} is the picture to read: write to another file",
    "wrong.volume_ending": "{path}: need an ending out of {endings}",
    "wrong.volume": "{path} is no volume of one to three axes of real numbers: {error}",
    "wrong.psf_axes": "{path} has shape {shape}: need a PSF of {axes} axes, as the data have",
    "wrong.volume_method": "--method {method!r} is unknown: need one of {known}",
    "wrong.exists": "{path} exists: --overwrite writes it anew",
    "wrong.crop": "--crop {crop} does not go with data of {sizes}: need a size of at most that for each axis",
    "wrong.scheduler": "no scheduler answers at {address}: {error}",
    "wrong.integer": "{option} {text!r} must be an integer of at least {least}",
    "wrong.number": "{option} {text!r} must be a number",
    "wrong.small": "{option} {text!r} must be at least {least}",
    "wrong.axes": "--input {sizes} has {axes} axes: PyTorch convolves over one to three",
    "wrong.file": "{path}: {error}",
    "wrong.other": "{error}",
    "wrong.deblur_method": "--method {method!r} is unknown: need {known}",
    "wrong.psf": (
        "--psf {psf!r} is unknown: need gaussian:SIGMA (up to 50), disk:RADIUS (up to 100), "
        "motion:LENGTH:DEGREES (up to 200) or a .npy file"
    ),
    "wrong.psf_file": "--psf {file} holds {axes} axes of {dtype}: need 2 axes of real numbers",
    "wrong.large_psf": "--psf {psf} is {size} pixels, larger than the photo, {photo}",
    "wrong.noise": "--noise {noise!r} is unknown: need poisson:PEAK, gaussian:SIGMA or none",
    "wrong.colons": "{option} {text!r} must be a name and numbers joined by colons",
    "wrong.not_finite": "{option} {text!r} must have finite numbers",
    "wrong.model": "{model!r} is no model: need package.module:name, or a file that ends in .pt or .pth",
    "wrong.import": "{model!r} cannot be imported: {error}",
    "wrong.arguments": "{model!r} makes no model without arguments ({error}): write a function that takes none",
    "wrong.model_file": "{path} holds no model that can be opened here: {error}",
    "wrong.no_module": "{model!r} is a {kind} and no torch.nn.Module: save the model itself",
    # -- how a command is called --
    "usage.missing_option": "Missing option '{name}'.",
    "usage.missing_argument": "Missing argument '{name}'.",
    "usage.no_option": "No such option: {name}",
    "usage.no_option_near": "No such option: {name} (Possible options: {near})",
    "usage.value_missing": "Option '{name}' requires an argument.",
    "usage.value_unwanted": "Option '{name}' does not take a value.",
    "usage.extra": "Got unexpected extra arguments ({arguments})",
    "usage.no_command": "No such command '{name}'.",
    "usage.no_command_near": "No such command '{name}'. Did you mean {near}?",
    # -- progress --
    "busy.matrix": "building the matrix",
    "busy.comparing": "comparing with PyTorch",
    "busy.measuring": "measuring",
    "busy.upsampling": "upsampling",
    "busy.deblurring": "deblurring",
    "busy.drawing": "drawing",
    "busy.copying": "copying the data",
    "busy.preview": "restoring a part",
    "busy.writing": "writing the result",
    # -- norms and deblurring --
    "tune.term": "term",
    "tune.kernel": "our kernel",
    "tune.call": "the call",
    "tune.arithmetic": "arithmetic",
    "tune.moving": "moving bytes",
    "tune.note": "Factors of the estimated times; 1 leaves an estimate as it is.",
    "tune.gained": (
        "On {layers} layers, what auto chose took {before} % longer than the best choice; now it takes {after} % "
        "longer."
    ),
    "tune.written": "{out} written; auto uses it from now on.",
    "tune.not_used": "{out} written; auto uses it where {variable} names it.",
    "norms.layer": "layer",
    "norms.sizes": "sizes",
    "norms.norm": "norm",
    "norms.upper": "upper",
    "norms.reshaped": "reshaped",
    "norms.cond": "cond",
    "norms.note": (
        "norm: the largest singular value, to 0.1 %; upper: no norm is larger; reshaped: what torch's spectral_norm "
        "divides by; cond: where it is cheap"
    ),
    "gains.layer": "layer",
    "gains.input": "input",
    "gains.gain": "speedup",
    "gains.note": (
        "Times of one call; (2) after an input: two calls. The method PyTorch: convmat gains nothing there, or does "
        "not take the layer, which stays as it is."
    ),
    "gains.model": "The model: {before} by PyTorch, {after} with convmat, speedup {gain}",
    "gains.none": "The model has no convolution.",
    "deblur.psnr": "PSNR {before} dB blurred, {after} dB restored",
    "deblur.iterations": "{iterations} iterations: {reason}",
    "deblur.damped": "{reason}, damp {damping}",
    "explore.written": "wrote {out}: open it in a browser",
    "deblur.written": "{out}: photo, blurred, restored, each {width} x {height} pixels",
    # -- volumes --
    "deconvolve.state": "{left} left, residual {residual}\n{rate} Mvoxel/s, {read} read, {written} written",
    "deconvolve.done": "{iterations} iterations: {reason}",
    "deconvolve.residual": "residual {residual}",
    "deconvolve.written": "{out}: {sizes} voxels",
    "deconvolve.preview": "{picture}: before and after, {sizes} voxels from the middle",
    "deconvolve.estimate": "the whole would take about {duration}",
    "deconvolve.go_on": "Restore the whole?",
    "deconvolve.not_asked": "nobody is there to ask: without --crop the whole is restored",
    # -- matrices --
    "layer": "{name}: {shapes}, kernel {kernel}",
    "matrix.size": "{rows} x {columns} matrix with {entries} nonzero entries",
    "matrix.size_at_most": "{rows} x {columns} matrix with up to {entries} nonzero entries",
    "matrix.too_large": "Too large to print; --out FILE.npz saves its numbers, --out FILE.png a picture.",
    "matrix.letters": "One letter per entry; `| less -S` shows whole words.",
    "matrix.blocks": "In blocks of columns; `| less -S` shows whole rows.",
    "matrix.block": "columns {first} to {last}",
    "matrix.saved": "{out}: {rows} x {columns} matrix",
    # -- tables --
    "table.method": "method",
    "table.error": "max error",
    "table.time": "time",
    "table.memory": "peak memory",
    "table.refused": "refused",
    "table.as_native": "as native",
    "table.as_native_note": "{method}: here it calls the same function of PyTorch as native.",
    # -- picture files --
    "picture.written": "{out}: {width} x {height} pixels",
    "picture.frames": "{path} holds {frames} pictures; the first alone is upsampled",
    "picture.read_8_bits": "{path} has 16 bits per channel, of which 8 are read; a grey picture keeps 16",
    "picture.write_8_bits": "{path}: 16 bits are cut to 8, which is what {format} holds; .png would keep them",
    "draw.animated": "{out}: {frames} steps, {width} x {height} pixels",
    "draw.gallery": "{index}: {count} pictures",
    # -- the demo --
    "demo.matrix": "1. A convolution is a matrix",
    "demo.matrix.shapes": "A 4x4 input and a 3x3 kernel give a 2x2 output.",
    "demo.matrix.rows": "Each output is one row of the matrix C:",
    "demo.matrix.numbers": "In numbers:",
    "demo.transpose": "2. A transposed convolution is that matrix transposed",
    "demo.transpose.spread": "The same C, from 2x2 to 4x4: it spreads each number over nine cells.",
    "demo.transpose.no_inverse": "It has the shape of x, but it is not x: the transpose is no inverse.",
    "demo.columns": "3. The same by unfold, a matrix product, and fold",
    "demo.columns.product": "weight as a matrix @ unfold(x)",
    "demo.columns.folded": "its fold with a 1x1 kernel",
    "demo.columns.viewed": "or a mere view",
    "demo.columns.transposed": "Transposed: multiply by the transposed weight, then fold the columns.",
    "demo.columns.batch": "With a batch: a column holds the 5*2*3 = 30 cells under one of 2*2 windows.",
    "demo.columns.batch_unfold": "unfold of 2x5x3x4 with a 2x3 kernel",
    "demo.kernel": "kernel",
    "demo.weight": "weight",
    "demo.equal": "equal to {name} (largest difference {error})",
    "demo.different": "DIFFERENT FROM {name} (largest difference {error})",
    "demo.photo": "4. On a photograph, by every method",
    "demo.photo.blurred": "The photograph, blurred by a 5x5 convolution",
    "demo.photo.upsampled": "The photograph, upsampled x{scale} by a transposed convolution",
    "demo.photo.crop": "* on {height}x{width} pixels alone: the {rows} x {columns} matrix would take {memory}",
    "demo.report": "The report, with pictures: {index}",
    # -- its report --
    "report.title": "convmat: a convolution is a matrix",
    "report.heading": "A convolution is a matrix,\nand a transposed convolution is that matrix transposed",
    "report.explore": "Touch it: the interactive page, in which C and Cᵀ are linked to input, kernel and output",
    "report.matrix": "The matrix",
    "report.matrix.small": (
        "A 4x4 input and a 3x3 kernel: each row of C makes one output, each column belongs to one input cell, each "
        "colour is one tap of the kernel. Read by columns, the same picture says where each input goes; that is Cᵀ, "
        "the transposed convolution."
    ),
    "report.matrix.small_direct": "C: from 16 input cells to 4 outputs",
    "report.matrix.small_transposed": "Cᵀ: from 4 cells back to 16",
    "report.matrix.large": (
        "Two input channels, three output channels, stride 2, padding 1: one block for each pair of channels."
    ),
    "report.matrix.large_direct": "C: 2x12x16 to 3x6x8",
    "report.matrix.large_transposed": "Cᵀ: 3x6x8 to 2x12x16",
    "report.photo": "On a photograph",
    "report.photo.methods": (
        "Each method computes the same map; the error is the largest difference from PyTorch in float64."
    ),
    "report.photo.original": "The photograph: {width}x{height} pixels (Grace Hopper, public domain)",
    "report.photo.blurred": "Blurred by a 5x5 convolution",
    "report.photo.upsampled": "Upsampled by a transposed convolution with a bilinear kernel, divided by Cᵀ1",
    "report.checkerboards": "Checkerboards",
    "report.checkerboards.why": (
        "A 3x3 kernel with stride 2 reaches some outputs once, others twice or four times. Unless something evens this "
        "out, it shows. A kernel that is a multiple of the stride, or dividing by Cᵀ1, mends it."
    ),
    "report.checkerboards.picture": "Each pixel spread by a kernel of ones; right: the same, divided by Cᵀ1",
    "report.checkerboards.overlap": "How many taps reach each output: Cᵀ1 of a 3x3 kernel of ones with stride 2",
}
