"""What the command line shows and writes: tables, progress, matrices, picture files."""
