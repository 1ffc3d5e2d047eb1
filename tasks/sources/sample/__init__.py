"""A made-up shop, written as the files its export would be: what `reengage demo` and the tests load.

Everything follows from the seed: who the customers are, their rhythms, and what they would buy by themselves. What a
simulated day adds depends on one thing more, the messages that reached somebody: as in a real shop, some of those
people come back because of it, by a known share, so the evaluation has something to recover. All people, addresses
(example.com and its siblings) and numbers are invented.
"""
