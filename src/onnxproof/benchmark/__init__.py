"""The stage benchmark, and two models timed head to head.

What takes part, repetitions in turn, ratios with intervals, profiles, memory. What follows from the
numbers is decided in ``gates``. Imports ``runtime``, ``graph``, ``samples`` and below; torch in
``pytorch`` and ``memory`` alone.
"""
