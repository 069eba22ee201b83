"""Solving for volumes beyond memory: arrays on a disk, block by block, by whoever dask lets compute.

A dask array is copied to the disk once (``copying``), in blocks that the memory allows (``cutting``). Each iteration is
a few passes over all blocks (``crew``). A task of a pass reads a block and its halo from the disk (``disk``), maps it,
writes a block, and returns some sums, which are added in the order of the blocks. Whatever is written lies beside what
was read, so that nothing is lost before a marker says that the iteration is whole (``job``).
"""
