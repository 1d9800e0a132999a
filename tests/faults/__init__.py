"""One answer of a store goes wrong, or most of them for a while: nothing is lost, and the next run makes it good."""
