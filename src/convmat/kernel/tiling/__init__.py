"""How a convolution is cut into matrix products for a register-blocked kernel.

Along an axis with stride s the outputs ``i = a*s + e`` of one ``e`` form a phase out: all of them read the inputs
``a + delta`` for a few deltas, each through a tap of its own. So a phase is a matrix product: its *rows* are the output
channels, its columns the *cells* a, and it sums over input channels and deltas. A *window* of the input holds all that
a *box* of cells reads, so that a delta is a fixed step from cell to cell of the flattened window.

Two tilings come of it. A :class:`~convmat.kernel.tiling.rows.RowTiling` cuts the rows into tiles, for every size of the
input alike, as packed weights depend on it. A :class:`~convmat.kernel.tiling.boxes.BoxTiling` cuts the cells into
boxes, for one size.
"""
