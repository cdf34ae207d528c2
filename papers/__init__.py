"""Published studies: their grids, tables and figures, and the numbers that were published."""
