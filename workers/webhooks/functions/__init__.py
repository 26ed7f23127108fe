"""Server-side functions of the deliveries, one a file."""
