"""A registered version against the champion, timed here or on another machine.

The rules stand in ``gates`` and the alias is moved by ``tracking``. Imports ``benchmark``,
``check``, ``tracking`` and below.
"""
