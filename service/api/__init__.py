"""The HTTP doors: public (browsers), internal (the app's own services), observe (probes and metrics)."""
