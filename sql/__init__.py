"""The database's schema: numbered plain SQL files beside this one, and the runner that applies them."""
