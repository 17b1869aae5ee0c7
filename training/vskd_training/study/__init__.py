"""Studies: arms x folds x seeds, their statistics and their report."""
