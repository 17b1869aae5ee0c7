"""The Wear OS project of a bundle: a core in plain Kotlin, written for its contract, and an app around it."""
