"""The machine: profiles, confinement, environment, power and energy."""
