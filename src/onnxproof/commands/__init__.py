"""The commands that are not a run of the pipeline: init, operators, verify, bench, doctor.

Each module is one command as a function; the command line is ``flows.cli``. Imports every
package but ``pipeline``'s run.
"""
