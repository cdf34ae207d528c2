"""Networks that are kept and given away: a graph as JSON, its tensors, and exports of it."""
