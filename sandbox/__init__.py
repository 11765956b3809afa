"""A world to try the broker in: stand-ins and demos. Production code never imports this package."""
