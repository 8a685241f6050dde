"""Walk a graph beside what it was made from, to the first tensor that differs."""
