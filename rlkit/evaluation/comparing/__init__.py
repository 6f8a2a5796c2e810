"""Two evaluations of the same problems: paired differences, and the verdict on them."""
