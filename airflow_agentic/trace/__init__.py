"""The records of a run, their store, and what is assembled from them."""
