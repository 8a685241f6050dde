"""Prefect flows: the order of the tasks, and the program that starts them."""
