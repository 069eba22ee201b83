"""The stages of the compiled program: reading windows, multiplying tiles, writing lines; and preparing weights."""
