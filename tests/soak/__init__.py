"""Many streams for a long time, with faults, cancels and failovers at random."""
