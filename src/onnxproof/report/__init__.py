"""Words for people: Markdown and plots made from records.

Nothing here decides or measures. Imports ``samples``, ``records``
and below.
"""
