"""A tensor meets a geometry: arguments, padding, im2col, memory, derivatives, and who is watching."""
