"""Arrays -> pictures. Nothing here computes with networks or knows widgets; matplotlib is imported when first needed."""
