"""The user's own code and files: what may be loaded, where it is, and what it imports.

Holds allowed packages and folders, operator libraries, source lines and the closure of imports.
Nothing here runs the user's code. Imports ``records``, ``spec`` and the ground.
"""
