"""Arrays -> pictures. Nothing here computes with networks or knows widgets."""
