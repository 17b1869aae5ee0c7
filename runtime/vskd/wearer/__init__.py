"""The wearer's own examples: profiles, how a recording becomes an example, and how examples decide with the network.

Nothing is trained: an example is the model's embedding of a recording, rounded to int8. Numpy and the standard library
only. What examples are worth on other days than that of their recording is not known here.
"""
