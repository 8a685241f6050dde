"""Every decision, as functions of records: promotion, simplified graphs, the candidate chosen.

Nothing here measures, reads a file or talks to a server. Imports ``records`` and below.
"""
