"""Fake quantization in torch, and the fine-tuning that prepares a student for int8."""
