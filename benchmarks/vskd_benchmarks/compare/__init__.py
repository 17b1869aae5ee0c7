"""Two results side by side, judged by a policy."""
