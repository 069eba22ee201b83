"""Layers that every method must compute and differentiate: small, and each with something of its own."""

from tests.layers import Layer

# One layer for each thing that can go wrong by itself or with others.
LAYERS = {
    "plain": Layer(sizes=(5, 4), kernel=(2, 3), channels=(2, 3)),
    "strided": Layer(sizes=(6,), kernel=(3,), stride=2, padding=1, channels=(2, 1)),
    "dilated": Layer(sizes=(5, 7), kernel=(2, 3), dilation=(3, 2), stride=(1, 2), padding=(1, 0)),
    "grouped": Layer(sizes=(4, 3), kernel=(3, 2), stride=(2, 1), padding=1, groups=2, channels=(4, 2)),
    "uneven": Layer(sizes=(4,), kernel=(4,), stride=3, padding=((3, 1),), channels=(2, 2)),
    "far_out": Layer(sizes=(2, 3), kernel=(2, 1), padding=(3, 2), stride=(2, 3)),
    "same": Layer(sizes=(5, 4), kernel=(2, 3), stride=(2, 3), padding="same"),
    "reflect": Layer(sizes=(4, 3), kernel=(3, 2), padding=((2, 1), (0, 2)), padding_mode="reflect"),
    "replicate": Layer(
        sizes=(3,), kernel=(3,), stride=2, padding=4, padding_mode="replicate", groups=2, channels=(2, 4)
    ),
    "circular": Layer(sizes=(3, 4), kernel=(3, 3), padding=(3, 1), dilation=(2, 1), padding_mode="circular"),
    "volume": Layer(sizes=(2, 4, 3), kernel=(2, 1, 3), stride=(1, 2, 2), padding=(0, 1, 1), channels=(1, 2)),
    "transposed": Layer(transposed=True, sizes=(3, 2), kernel=(2, 3), stride=(2, 3), padding=(0, 1), channels=(2, 1)),
    "transposed_grouped": Layer(
        transposed=True, sizes=(3,), kernel=(4,), stride=3, padding=1, output_padding=2, groups=2, channels=(2, 4)
    ),
    "transposed_dilated": Layer(
        transposed=True, sizes=(2, 3), kernel=(2, 3), stride=(2, 1), dilation=(4, 2), output_padding=(3, 1)
    ),
    "transposed_uneven": Layer(transposed=True, sizes=(3,), kernel=(3,), stride=2, padding=((2, 0),)),
    "transposed_far_out": Layer(transposed=True, sizes=(4, 3), kernel=(2, 1), stride=(3, 2), padding=((4, 3), (1, 2))),
    "transposed_same": Layer(transposed=True, sizes=(2, 3), kernel=(3, 4), stride=(3, 2), padding="same"),
    "transposed_sized": Layer(
        transposed=True, sizes=(2, 3), kernel=(3, 2), stride=(2, 3), padding=1, output_size=(4, 6)
    ),
    "transposed_reflect": Layer(
        transposed=True, sizes=(3,), kernel=(3,), stride=2, padding=((2, 1),), padding_mode="reflect", channels=(2, 1)
    ),
    "transposed_replicate": Layer(
        transposed=True, sizes=(2, 3), kernel=(3, 2), padding=(1, 1), stride=(2, 1), padding_mode="replicate"
    ),
    "transposed_circular": Layer(
        transposed=True, sizes=(3, 2), kernel=(3, 4), stride=(1, 2), padding="same", padding_mode="circular"
    ),
    "transposed_volume": Layer(
        transposed=True, sizes=(1, 2, 2), kernel=(2, 3, 1), stride=(2, 1, 2), padding=(0, 1, 0), channels=(2, 1)
    ),
}
