"""What a wearer's own examples are worth: evaluation of runs on test subjects, controls, a summary over subjects."""
