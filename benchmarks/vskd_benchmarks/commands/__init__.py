"""The commands of the benchmarks, one module each."""
