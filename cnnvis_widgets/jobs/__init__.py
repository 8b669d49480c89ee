"""Long work: one thread, latest request wins, progress and cancel. Nothing here knows networks or widgets."""
