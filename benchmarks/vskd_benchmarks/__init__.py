"""Honest latency, memory and size of a bundle; imports the runtime only, so that it runs on the device."""
