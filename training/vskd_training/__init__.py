"""The workshop: data sets, networks, losses and the training loop (torch)."""
