"""The order of a run: plan, load, search over candidates, conclude, register, promote.

No stage does its work here; each is called. Imports every stage's package and below.
"""
