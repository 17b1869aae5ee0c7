"""The runtime: what runs on the watch. Imports numpy and the standard library only."""
