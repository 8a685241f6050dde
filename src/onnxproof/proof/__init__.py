"""The proof: its key, its manifest, the program that replays it, and a replay on this machine.

Nothing here makes a graph or talks to MLflow. Imports ``source`` for digests, ``runtime``,
``usercode`` and below.
"""
