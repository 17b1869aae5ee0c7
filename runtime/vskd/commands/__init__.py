"""The runtime's own commands, one module each. Results on stdout, everything else on stderr."""
