"""Images that every installation has: computed phantoms, and averages in which no person can be recognised."""
