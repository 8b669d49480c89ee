"""Long work: `worker`, one thread behind widgets, knows neither networks nor widgets; `atlas` fills a store by many."""
