"""From a source's address to its text: what may be read, how it is got, and what its format says."""
