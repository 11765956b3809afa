"""What moves users in and out, and looks after them from a terminal: `import`, `export` and `users`."""
