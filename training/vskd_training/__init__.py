"""Training: data sets, networks, distillation, the loop, evaluation and studies (torch)."""
