"""From a network and a mask to the smaller network that computes the same."""
