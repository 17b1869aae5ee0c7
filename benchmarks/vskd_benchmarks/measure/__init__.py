"""Measuring: the plan, the processes, the cases, the clock."""
