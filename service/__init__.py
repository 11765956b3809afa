"""The token broker's service: decides (broker), touches the world (adapters), answers HTTP (api)."""
