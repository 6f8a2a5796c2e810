"""What an advantage chain makes of one small group, and how well a partition agrees with labelled pairs."""
