"""What can be measured of a state after training: nothing here writes into a run."""
