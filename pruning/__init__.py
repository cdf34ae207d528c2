"""What is pruned: schedule x allocation x granularity x criterion, small choices composed."""
