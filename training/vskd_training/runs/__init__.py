"""Runs: the folder that a training leaves behind, its network, and what that network predicts."""
