"""The samples of an evaluation: kept, graded, graded again, told apart, and read from logs of other tools."""
