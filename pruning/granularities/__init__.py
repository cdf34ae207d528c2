"""What is kept or cut as one, each granularity in a file of its own."""
