"""THE APPLICATION: ties the packages together; nobody imports it."""
