"""A registered version against the champion, timed here or on another machine.

The rules are in ``gates``, and ``tracking`` moves the alias. Imports ``benchmark``,
``check``, ``tracking`` and below.
"""
