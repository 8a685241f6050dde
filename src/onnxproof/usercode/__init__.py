"""The user's own code and files: what may be loaded, where it is, and what it imports.

Holds allowed packages and folders, operator libraries, source lines and the closure of imports.
A module of the user is imported here alone, where it is allowed. Imports ``records`` and below.
"""
