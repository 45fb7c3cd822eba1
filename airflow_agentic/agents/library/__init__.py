"""Ready agents: deterministic, without a key or a network. Heavy libraries are imported inside functions."""
