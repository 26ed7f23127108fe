"""Server-side functions of the projections, one a file."""
